"""Pure. Usage as a caller may see it: their own; an operator, everybody's."""

from collections.abc import Mapping

from middle_tier.usage.batch import Used
from protocol.tokens import Claims


def shown(
    claims: Claims, used: Mapping[str, Used], *, since: float, scope: str
) -> dict[str, object]:
    """Return the document of `GET /v1/usage`."""
    return {"since": since, "scope": scope, "tenants": documents(claims, used)}


def documents(claims: Claims, used: Mapping[str, Used]) -> dict[str, object]:
    return {
        tenant: one.document()
        for tenant, one in sorted(used.items())
        if tenant == claims.sub or "operate" in claims.scopes
    }
