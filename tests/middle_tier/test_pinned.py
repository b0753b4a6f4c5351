"""Where the Python client sends a token: to the host that the URL names, as it says, or nowhere."""

from pathlib import Path

import pytest

from middle_tier.client import AsyncMesh, Mesh
from middle_tier.http import pinned
from protocol.errors import BadRequestError


@pytest.mark.parametrize("client", [Mesh, AsyncMesh])
@pytest.mark.parametrize(
    "url", ["htps://h", "h:8080", "h", "", "/", "http://", "http://:80", "ftp://h", "https:///x"]
)
def test_what_is_not_the_url_of_a_gate_makes_no_client(client, url):
    with pytest.raises(BadRequestError) as refused:
        client(url, "token")
    assert "https://HOST" in refused.value.hint


@pytest.mark.parametrize("client", [Mesh, AsyncMesh])
def test_plain_http_is_refused_where_an_authority_is_given(client):
    with pytest.raises(BadRequestError, match="verified"):
        client("http://127.0.0.1:8080", "token", ca=Path("ca.crt"))


def test_a_url_is_taken_apart_once():
    assert pinned.place("http://H:80/mesh/", None) == ("h", 80, "/mesh", None)
    assert pinned.place("HTTPS://[::1]", None)[:3] == ("::1", None, "")
    assert pinned.place("HTTPS://[::1]", None).tls is not None
