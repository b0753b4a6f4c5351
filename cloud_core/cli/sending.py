"""Orders to a gate: the routes that the Python client, which asks, does not cover."""

import http.client
import json
from typing import Any

from cloud_core.cli.reach import Where
from middle_tier.http import pinned
from middle_tier.http.wirecall import Got, checked, document

TIMEOUT_S = 30.0


def post(place: Where, path: str, body: object = None) -> dict[str, Any]:
    """Give an order and return what came of it; raises the `MeshError` that the gate answers."""
    return sent(place, "POST", path, body or {})


def sent(place: Where, method: str, path: str, body: object = None) -> dict[str, Any]:
    """Send JSON and return the answer; raises the `MeshError` that the gate answers."""
    return send(place, method, path, None if body is None else json.dumps(body).encode())


def send(
    place: Where, method: str, path: str, body: bytes | None = None, *,
    media: str = "application/json",
) -> dict[str, Any]:  # fmt: skip
    """Send anything and return the JSON that came; raises the `MeshError` that the gate answers."""
    host, port, base, context = pinned.place(place.url, place.ca)
    connection = (
        http.client.HTTPConnection(host, port, timeout=TIMEOUT_S) if context is None else
        http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=context)
    )  # fmt: skip
    headers = {"Content-Type": media}
    if place.token is not None:
        headers["Authorization"] = f"Bearer {place.token}"
    try:
        connection.request(method, base + path, body, headers)
        response = connection.getresponse()
        got = Got(response.status, dict(response.getheaders()), response.read())
    except (OSError, http.client.HTTPException) as error:
        raise pinned.unreachable(place.url, error) from error
    finally:
        connection.close()
    return document(checked(got)) if got.body else {}
