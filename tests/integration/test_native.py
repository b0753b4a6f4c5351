"""A tenant of a running mesh that connects to NATS with an account of its own."""

import asyncio

import numpy as np
import pytest

from middle_tier.native import native
from protocol.errors import MeshError, OverBudgetError
from tests.integration.conftest import eventually, tiermesh
from tests.integration.test_tenants import operator, used

pytestmark = pytest.mark.mesh


def asked(url, path, images, **wants):
    """Ask for each of `images` at once, over one connection."""

    async def ask():
        async with native(url, path) as mesh:
            given = [{"image": image[np.newaxis]} for image in images]
            return await asyncio.gather(*(mesh.ask("digits", one, **wants) for one in given))

    return asyncio.run(asyncio.wait_for(ask(), 20))


def answered(url, path, images):
    try:
        return asked(url, path, images, latency_ms=5000)
    except (MeshError, TimeoutError):
        return None


@pytest.mark.parametrize("place", ["cloud", "site-1"])
def test_it_is_answered_and_counted_until_it_is_removed(running, images, tmp_path, place):
    name, path = f"native-{place}", tmp_path / "own.creds"
    operator(running, "tenants", "add", name, "--concurrency", 4)
    operator(running, "tenants", "credentials", name, "--out", path)
    assert path.stat().st_mode & 0o077 == 0
    url = server_of(running, place)
    eventually(lambda: answered(url, path, images[:1]), "the servers have been told")
    before = used(running, name)
    assert len(asked(url, path, images[:4], latency_ms=5000)) == 4
    with pytest.raises(OverBudgetError, match="4 queries"):
        asked(url, path, images[:40], latency_ms=5000)
    eventually(lambda: used(running, name) >= before + 4, "it is counted as others are")
    operator(running, "tenants", "remove", name)
    refused = tiermesh(
        "tenants", "credentials", name, "--out", tmp_path / "x", "--dir", running.dir
    )
    assert refused.returncode == 1
    eventually(lambda: cut_off(url, path, images[0]), "it is out")
    kinds = [e["kind"] for e in operator(running, "audit", "show")["entries"]
             if e["fields"].get("tenant") == name]  # fmt: skip
    assert kinds == ["tenant-add", "tenant-account", "tenant-account-end", "tenant-remove"]


def cut_off(url, path, image):
    """Whether no server lets it in any more."""

    async def try_():
        async with native(url, path) as mesh:
            await mesh.ask("digits", {"image": image[np.newaxis]})

    try:
        asyncio.run(asyncio.wait_for(try_(), 2))
    except MeshError as error:
        return "no tenant" not in str(error)
    except TimeoutError:
        return True
    return False


def server_of(running, place):
    if place == "cloud":
        return running.document["nats_url"]
    text = next(running.dir.rglob("nats-site.conf")).read_text()
    return "nats://" + text.split('listen: "', 1)[1].split('"', 1)[0]
