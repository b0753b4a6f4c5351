"""`tiermesh up` where its demo may not be: no process is started here."""

import time

from cloud_core.cli import up
from cloud_core.up.layout import Layout
from cloud_core.up.signed import DEMO, founded
from cloud_core.up.state import State
from edge_agent.bundles.believed import Rights


async def test_without_the_demos_publisher_there_is_no_first_query(tmp_path, capsys):
    made = founded(Layout(tmp_path), time.time)
    made.add_publisher(DEMO, Rights(code=True))
    made.revoke_publisher(DEMO)
    state = State(
        url="http://127.0.0.1:1", token="", dir=str(tmp_path), nats_url="", gates=(), relays=(),
        processes=(), supervisor=0,
    )  # fmt: skip
    asked = await up._first(state)  # noqa: SLF001  # what `up` does once the mesh runs
    assert asked is None
    up._welcome(state, asked)  # noqa: SLF001  # as above
    assert "demo was revoked" in capsys.readouterr().out
