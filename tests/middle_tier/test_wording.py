"""What routers say to nodes."""

from pydantic import TypeAdapter

from middle_tier.routing.wording import ask, tenant_key
from protocol.types import Name
from tests.build import a_query
from tests.middle_tier.echo import a_plan


def test_a_node_tells_tenants_apart_and_is_told_no_name():
    candidate = a_plan().ranked[0]
    keys = {
        ask(a_query(tenant=name), candidate, "1", budget_ms=9, until_ms=9).tenant
        for name in ("acme", "acme", "rival")
    }
    assert len(keys) == 2
    assert not keys & {"acme", "rival"}
    assert TypeAdapter(Name).validate_python(tenant_key("acme")) == tenant_key("acme")
