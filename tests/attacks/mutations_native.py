"""How each check of a tenant that connects natively is taken out; the test then must be red."""

from tests.attacks.mutations import Mutation

NATIVELY, REGISTER = "middle_tier/natively.py", "middle_tier/register.py"
AUTHORITY, NATIVES = "cloud_core/identity/authority.py", "cloud_core/identity/natives.py"
SEEN, AGAIN = "tests/attacks/test_native.py", "tests/attacks/test_native_again.py"
ENDED = "tests/cloud_core/identity/test_natives.py"

_ROWS = (
    ("1 an account that ended", REGISTER, "if native is None or native.ended is not None:", "if native is None:"),
    ("1 heard at all", REGISTER, "        if not self.heard:\n            raise", "        if False:\n            raise"),
    ("2 scope and task", NATIVELY, 'claims.demand("ask", query.want.task)', "pass"),
    ("5 seen before", NATIVELY, "once = self._replays.once((claims.sub, query.id), _digest(query, buffers), asked.answered)", "once = asked.answered()", AGAIN),
    ("5 whose id", NATIVELY, "self._replays.once((claims.sub, query.id),", 'self._replays.once(("", query.id),', AGAIN),
    ("5 the same query", NATIVELY, 'digest = blake2b(b"native/" + said, digest_size=16)', 'digest = blake2b(b"native/", digest_size=16)', AGAIN),
    ("whose query is cancelled", NATIVELY, "            for task in tuple(self._waiting.get((account, id_), ())):", "            for task in [one for (_, named), some in self._waiting.items() if named == id_ for one in some]:", AGAIN),
    ("a cancelled query ends", NATIVELY, "            pursuit.stop()\n", "", AGAIN),
    ("an ended account is forgotten", NATIVES, '            await self._held.bucket.delete(f"native.{one.account}")\n', "", ENDED),
    ("but not before servers know", NATIVES, "self._held.clock.wall() - one.ended > FORGET_S", "True", ENDED),
    ("6 budget", NATIVELY, "            caller.check()  # 6.\n", "            pass\n"),
    ("6 budget is held", NATIVELY, "        caller.begin()\n", ""),
    ("6 budget is given back", NATIVELY, "self._caller.end(cost_usd, felt(query.want.latency_ms, elapsed_ms, outcome))", "pass"),
    ("3 the task's tensors", NATIVELY, "reader.signature.match(query.inputs, buffers)", "reader.signature._ordered({t.name: (t, b) for t, b in zip(query.inputs, buffers)}, {})"),
    ("4 who asks", NATIVELY, "tenant=claims.sub,\n", "tenant=query.tenant,\n"),
    ("4 where it may run", NATIVELY, "tiers=claims.tiers,", "tiers=query.tiers,"),
    ("the server names the account", AUTHORITY, '"account_token_position": len(there.split(".")) + 1,', "", "tests/attacks/test_identity_native.py"),
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
