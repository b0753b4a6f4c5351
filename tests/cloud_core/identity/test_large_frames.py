"""What each role is permitted suffices for frames that are fetched in pieces, on every leg."""

import pytest

from edge_agent.bus.nats import connecting
from edge_agent.identity.passport import Passport
from protocol.codec import Frame
from protocol.messages import Query
from protocol.types import Tensor
from tests.build import a_query
from tests.conformance.parties import Inbox
from tests.conformance.test_large_frames import asks, pattern, replies
from tests.grounds import SITE, grounds

pytestmark = pytest.mark.nats
LARGE = 10 << 20


@pytest.fixture(scope="module")
def ground(tmp_path_factory, nats_program):
    with grounds(tmp_path_factory.mktemp("ground"), nats_program) as made:
        yield made


def a_passport(ground, *holder):
    return Passport(ground.path(*holder[:3]), ground.holds(*holder))


async def test_a_site_asks_its_agent_and_is_answered(ground):
    url = f"nats://127.0.0.1:{ground.site}"
    site = a_passport(ground, "site", SITE, SITE, "middle")
    node = a_passport(ground, "agent", "cam-1", SITE, "edge")
    async with (
        connecting(url, name="site", passport=site) as router,
        connecting(url, name="cam-1", passport=node) as agent,
    ):
        taken, answers, own = Inbox(), Inbox(), router.inbox()
        subject = f"tm.v1.ask.{SITE}.cam-1"
        async with agent.subscribe(subject, taken), router.subscribe(f"{own}.*", answers):
            router.publish(subject, asks(LARGE), f"{own}.1")
            (delivery,) = await taken.of(1)
            agent.publish(delivery.reply, replies(LARGE))
            (answer,) = await answers.of(1)
    assert bytes(delivery.frame.buffers[0]) == pattern(LARGE)
    assert bytes(answer.frame.buffers[0]) == pattern(LARGE)


async def test_a_query_goes_up_through_the_leaf_node_and_its_answer_comes_down(ground):
    below = a_passport(ground, "site", SITE, SITE, "middle")
    above = a_passport(ground, "cloud", "cloud", "cloud", "cloud")
    tensor = Tensor(name="x", datatype="UINT8", shape=(1, LARGE))
    query = Frame(a_query(inputs=(tensor,), deadline_ms=20_000.0), (pattern(LARGE),))
    async with (
        connecting(f"nats://127.0.0.1:{ground.hub}", name="cloud", passport=above) as cloud,
        connecting(f"nats://127.0.0.1:{ground.site}", name="site", passport=below) as site,
    ):
        asked = []

        def answered(delivery):
            asked.append(delivery)
            cloud.publish(delivery.reply, replies(LARGE))

        async with cloud.subscribe("tm.v1.route.cloud", answered, "routers"):
            answer = await site.request("tm.v1.route.cloud", query, 10)
    assert isinstance(asked[0].frame.message, Query)
    assert bytes(asked[0].frame.buffers[0]) == pattern(LARGE)
    assert bytes(answer.buffers[0]) == pattern(LARGE)
