"""Bytes that turn out untrustworthy when they are loaded are recorded; what merely fails is not."""

import pytest

from edge_agent.audit import Remembered
from protocol.errors import ConflictError, ExecutionError, UntrustedError
from tests.edge_agent.node import Loads, a_node


@pytest.mark.parametrize(
    ("fault", "recorded"), [(UntrustedError("other bytes"), 1), (ExecutionError("no model"), 0)]
)
async def test_what_must_not_be_loaded_is_recorded(fault, recorded):
    audit = Remembered()
    async with a_node(load=Loads(quick=fault)) as (agent, _):
        agent.audited(audit)
        with pytest.raises(ConflictError):
            await agent.load("quick")
    said = {"what": "quick", "reason": "untrusted", "error": fault.error}
    assert audit.entries == [("trust-refused", said)] * recorded
