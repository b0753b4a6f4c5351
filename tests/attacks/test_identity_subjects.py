"""Nobody speaks for another, hears what another is told, or comes in without a name."""

import socket

import pytest

from tests.grounds import SITE, connected

pytestmark = pytest.mark.nats


def first_words(port: int, words: bytes = b"CONNECT {}\r\nPING\r\n") -> bytes:
    """What a server says to whoever says `words`, until it hangs up."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as stranger:
        stranger.sendall(words)
        said = b""
        while data := stranger.recv(4096):
            said += data
    return said


@pytest.mark.parametrize("where", ["hub", "site", "leaf"])
def test_nobody_connects_without_a_name(ground, where):
    said = first_words(getattr(ground, where))
    assert b"PONG" not in said
    assert b"Authorization Violation" in said


@pytest.mark.parametrize("where", ["hub", "site"])
def test_a_password_opens_nothing(ground, where):
    said = first_words(
        getattr(ground, where), b'CONNECT {"user": "cloud", "pass": "x"}\r\nPING\r\n'
    )
    assert b"PONG" not in said


async def heard_by_the_site(ground, role: str, name: str, subject: str, listen: str) -> list[str]:
    """What the site hears on `listen` when `name` says something on `subject`."""
    async with (
        connected(ground.site, ground.holds("site", SITE, tier="middle")) as site,
        connected(ground.site, ground.holds(role, name)) as node,
    ):
        await site.listens(listen)
        await node.says(subject)
        return site.heard


async def test_a_node_adverts_itself(ground):
    own = f"tm.v1.ad.edge.{SITE}.cam-1"
    assert await heard_by_the_site(ground, "agent", "cam-1", own, "tm.v1.ad.*.site-1.*") == [own]


@pytest.mark.parametrize(
    "subject",
    [
        pytest.param(f"tm.v1.ad.edge.{SITE}.cam-2", id="another device"),
        pytest.param(f"tm.v1.ad.cloud.{SITE}.cam-1", id="another tier"),
        pytest.param("tm.v1.ad.edge.site-2.cam-1", id="another site"),
    ],
)
async def test_a_node_adverts_nobody_else(ground, subject):
    async with (
        connected(ground.hub, ground.holds("cloud", "cloud", "cloud", "cloud")) as cloud,
        connected(ground.hub, ground.holds("agent", "cam-1")) as node,
    ):
        await cloud.listens("tm.v1.ad.>")
        await node.says(subject)
        assert cloud.heard == []
        assert "permissions violation" in node.refused[0]


@pytest.mark.parametrize(
    "subject",
    [
        pytest.param(f"tm.v1.evt.{SITE}.cam-2.crashed", id="another's event"),
        pytest.param(f"tm.v1.ask.{SITE}.cam-2", id="an ask"),
        pytest.param(f"tm.v1.ctl.{SITE}.cam-2.drain", id="an order"),
        pytest.param(f"tm.v1.route.{SITE}", id="a query as if from a router"),
        pytest.param(f"tm.v1.sum.{SITE}", id="a summary"),
        pytest.param("tm.v1.id.enrol", id="an enrolment"),
        pytest.param("tm.v1.blob.site-2", id="another site's bundles"),
        pytest.param("$JS.API.STREAM.NAMES", id="streams"),
        pytest.param("$KV.policy.current", id="desired state"),
        pytest.param("$SYS.REQ.SERVER.PING", id="the servers"),
        pytest.param("_INBOX.site-1.guessed.1", id="an answer to what it was not asked"),
    ],
)
async def test_a_node_says_nothing_beyond_its_own(ground, subject):
    async with connected(ground.site, ground.holds("agent", "cam-1")) as node:
        await node.says(subject)
        assert "permissions violation" in node.refused[0]


@pytest.mark.parametrize(
    "subject",
    [
        ">", "tm.v1.>", "*.v1.>",
        f"tm.v1.ask.{SITE}.*", f"tm.v1.ask.{SITE}.cam-2", "tm.v1.ask.site-2.cam-1",
        f"tm.v1.ctl.{SITE}.cam-2.*", f"tm.v1.ad.edge.{SITE}.*", f"tm.v1.blob.{SITE}",
        "tm.v1.id.enrol", "_INBOX.>", "_INBOX.site-1.*.*", "$SYS.>", "$JS.>",
    ],
)  # fmt: skip
async def test_a_node_hears_nothing_beyond_its_own(ground, subject):
    async with connected(ground.site, ground.holds("agent", "cam-1")) as node:
        await node.listens(subject)
        assert "permissions violation" in node.refused[0]


async def test_a_node_answers_what_it_is_asked_more_than_once(ground):
    async with (
        connected(ground.site, ground.holds("site", SITE, tier="middle")) as site,
        connected(ground.site, ground.holds("agent", "cam-1")) as node,
    ):

        async def answers(message) -> None:
            await message.respond(b"first")
            await message.respond(b"second")

        await node.client.subscribe(f"tm.v1.ask.{SITE}.cam-1", cb=answers)
        await node.settled()
        inbox = site.client.new_inbox()
        await site.listens(f"{inbox}.*")
        await site.client.publish(f"tm.v1.ask.{SITE}.cam-1", b"", f"{inbox}.1")
        await site.settled()
        assert site.heard == [f"{inbox}.1"] * 2


async def test_no_two_connections_share_an_inbox(ground):
    victim = ground.holds("site", SITE, tier="middle")
    async with connected(ground.site, ground.holds("agent", "cam-1")) as node:
        await node.listens(f"{victim.inbox}.>")
        assert "permissions violation" in node.refused[0]


async def test_a_site_speaks_for_itself_only(ground):
    async with (
        connected(ground.hub, ground.holds("cloud", "cloud", "cloud", "cloud")) as cloud,
        connected(ground.hub, ground.holds("site", SITE, tier="middle")) as site,
    ):
        await cloud.listens("tm.v1.*.>")
        for subject in ("sum.site-2", "ask.site-2.cam-1", "ctl.site-2.cam-1.drain", "sum.site-1"):
            await site.says(f"tm.v1.{subject}")
        assert cloud.heard == ["tm.v1.sum.site-1"]
        assert len(site.refused) == 3


@pytest.mark.parametrize(
    "subject",
    ["tm.v1.sum.site-2", "tm.v1.evt.site-2.cam-1.cloned", "tm.v1.ctl.site-2.cam-1.drain"],
)
async def test_a_site_s_server_lets_nothing_out_for_another_site(ground, subject):
    """Whatever is connected to it: the cloud's own credentials speak freely there, and no further.

    What stands for itself shows that the way is open.
    """
    own = "tm.v1.sum.site-1"
    async with (
        connected(ground.hub, ground.holds("cloud", "cloud", "cloud", "cloud")) as cloud,
        connected(ground.site, ground.holds("cloud", "mole", "cloud", "cloud")) as mole,
    ):
        await cloud.listens("tm.v1.*.>")
        await mole.says(subject)
        await mole.says(own)
        assert cloud.heard == [own]


@pytest.mark.parametrize("subject", ["tm.v1.id.enrol", "tm.v1.route.cloud", "tm.v1.ask.site-2.x"])
async def test_a_site_s_server_hears_nothing_that_is_for_others(ground, subject):
    async with (
        connected(ground.site, ground.holds("cloud", "mole", "cloud", "cloud")) as mole,
        connected(ground.hub, ground.holds("cloud", "cloud", "cloud", "cloud")) as cloud,
    ):
        await mole.listens("tm.v1.*.>")
        await cloud.says(subject)
        await cloud.says(f"tm.v1.route.{SITE}")
        assert mole.heard == [f"tm.v1.route.{SITE}"]


async def test_an_observer_says_nothing(ground):
    async with connected(ground.hub, ground.holds("observer", "ann", "cloud", "cloud")) as observer:
        await observer.listens("tm.v1.sum.*")
        assert observer.refused == []
        await observer.says("tm.v1.sum.site-1")
        assert "permissions violation" in observer.refused[0]
