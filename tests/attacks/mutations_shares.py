"""How each rule that keeps one tenant's flood from the others is taken out; the test then is red."""

from tests.attacks.mutations import Mutation

SHARES, LANES = "edge_agent/queue/shares.py", "edge_agent/queue/lanes.py"
RECEPTION, BATCHING = "edge_agent/queue/reception.py", "edge_agent/queue/batching.py"
PURE, NODE = "tests/edge_agent/test_shares.py", "tests/edge_agent/test_fair.py"
FLOOD = "tests/middle_tier/test_flood.py"
SMALL = f"{FLOOD}::test_a_tenant_within_its_share_keeps_its_objective"

_ROWS = (
    ("who has had more pays", SHARES, "account.tag += cost_ms / account.share", "pass", PURE),
    ("by its share", SHARES, "account.tag += cost_ms / account.share", "account.tag += cost_ms", PURE),
    ("within before beyond", SHARES, "rank = FIRST if account.tag < self.time else account.tag", "rank = FIRST", PURE),
    ("beyond by what they had", SHARES, "rank = FIRST if account.tag < self.time else account.tag", "rank = FIRST if account.tag < self.time else 0.0", PURE),
    ("nobody saves up", SHARES, "        account.tag = max(account.tag, self.time - CREDIT_MS)\n", "", PURE),
    ("idle time forgives", SHARES, "self.time += (now - self._busy_until) * 1e3 * self._workers", "pass", PURE),
    ("who was alone is ranked", SHARES, "            for each in self._waiting:\n                self._rank(each)", "            self._rank(account)", PURE),
    ("those within count whole", SHARES, "ahead_ms = min(account.queued_ms, left_ms + account.largest_ms)", "ahead_ms = 0.0", PURE),
    ("moved strands", LANES, "        if self._shares.moved:\n            self._reorder()\n        if not batch", "        if not batch", f"{PURE}::test_who_has_used_up_its_share_in_one_lane_stands_behind_in_the_others"),
    ("admitted by its share", LANES, "if before is not None and before.within:", "if False:", NODE),
    ("room in a full queue", RECEPTION, "return over > 0 and (over > SPARE * self._config.queue_limit or not load.within(ask))", "return over > 0", NODE),
    ("beyond it none", RECEPTION, "return over > 0 and (over > SPARE * self._config.queue_limit or not load.within(ask))", "return over > self._config.queue_limit", NODE),
    ("every member in time", BATCHING, "if members and finish > min(end, waiting.due, waiting.deadline):", "if members and finish > end:", "tests/edge_agent/test_batching.py"),
    ("claims at a node", "middle_tier/scheduler/pressed.py", "() if found else tuple(within)", "()", SMALL),
    ("claims above", "middle_tier/routing/upward.py", "if parent.could(choices.demand, budget_ms - away_ms):", "if False:", SMALL),
    ("claims are held", "middle_tier/routing/claims.py", "self._held[tenant] = now + HOLD_S", "pass", f"{FLOOD}::test_a_flood_asks_nodes_in_vain_only_now_and_then"),
    ("tenants told apart", "middle_tier/routing/wording.py", "tenant=tenant_key(query.tenant),", 'tenant="anybody",', SMALL),
    ("the tenant's share", "middle_tier/routing/wording.py", "share=query.share,", "share=1.0,", f"{FLOOD}::test_of_two_that_flood_the_one_with_the_larger_share_gets_more"),
    ("a native's own share", "middle_tier/natively.py", "share=caller.share,", "share=query.share,", "tests/attacks/test_native.py"),
)  # fmt: skip

SHARED = tuple(
    Mutation(f"{file.rpartition('/')[2]}: {name}", file, *rest) for name, file, *rest in _ROWS
)
