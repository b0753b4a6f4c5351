"""How each check of a tenant that connects natively is taken out; the test then must be red."""

from tests.attacks.mutations import Mutation

NATIVELY, REGISTER = "middle_tier/natively.py", "middle_tier/register.py"
AUTHORITY, NATIVES = "cloud_core/identity/authority.py", "cloud_core/identity/natives.py"
SEEN = "tests/attacks/test_native.py"

_ROWS = (
    ("1 an account that ended", REGISTER, "if native is None or native.ended is not None:", "if native is None:"),
    ("1 heard at all", REGISTER, "        if not self.heard:\n            raise", "        if False:\n            raise"),
    ("2 scope and task", NATIVELY, 'claims.demand("ask", query.want.task)', "pass"),
    ("2 budget", NATIVELY, "        caller.check()\n", ""),
    ("2 budget is held", NATIVELY, "        caller.begin()\n", ""),
    ("2 budget is given back", NATIVELY, "self._caller.end(cost_usd, felt(query.want.latency_ms, elapsed_ms, outcome))", "pass"),
    ("3 the task's tensors", NATIVELY, "reader.signature.match(query.inputs, buffers)", "reader.signature._ordered({t.name: (t, b) for t, b in zip(query.inputs, buffers)}, {})"),
    ("4 who asks", NATIVELY, "tenant=claims.sub,\n", "tenant=query.tenant,\n"),
    ("4 where it may run", NATIVELY, "tiers=claims.tiers,", "tiers=query.tiers,"),
    ("the server names the account", AUTHORITY, '"account_token_position": len(QUERIES.split(".")) + 1,', "", "tests/attacks/test_identity_native.py"),
    ("the ended are cut off", AUTHORITY, "        if ended:", "        if False:"),
    ("removing ends the account", "cloud_core/tenants.py", "        await self.leaving(name, by)\n", ""),
    ("the new end the old", NATIVES, "await self._end(tenant, by, but=account)", "pass"),
    ("an account is given once", NATIVES, "await self._keep(native, expected=0)", "await self._keep(native)"),
    ("an account is a tenant's", NATIVES, "if tenant not in held.register.tenants:", "if False:"),
)  # fmt: skip

NATIVE = tuple(
    Mutation(f"native: {name}", file, text, instead, *(test or (SEEN,)))
    for name, file, text, instead, *test in _ROWS
)
