"""The policy in its bucket: a good one comes into force, a bad one changes nothing."""

from contextlib import asynccontextmanager

import pytest

from edge_agent.audit import Remembered
from edge_agent.bus.memorykv import MemoryBucket, MemoryBuckets
from edge_agent.clock import ManualClock, settle
from middle_tier import desired
from middle_tier.policy.document import BadPolicyError
from middle_tier.policy.kept import CONFIGURED, Policies
from middle_tier.scheduler.types import Policy
from protocol.errors import ConflictError, UnknownError


class Site:
    """A gate's policies, and what was put into force."""

    def __init__(self, wanted: desired.Desired, clock: ManualClock) -> None:
        self.enforced: list[Policy] = []
        self.audit = Remembered()
        self.bucket = wanted.bucket("policy")
        self.policies = Policies(
            wanted, Policy(tries=2), self.enforced.append, clock=clock, audit=self.audit
        )


@asynccontextmanager
async def a_site(tmp_path, buckets=None):
    clock = ManualClock()
    kept = buckets or MemoryBuckets()
    async with desired.following(kept, tmp_path, clock, top=True) as wanted:
        await settle()
        yield Site(wanted, clock)


async def test_until_one_is_applied_the_configurations_stands(tmp_path):
    async with a_site(tmp_path) as site:
        assert site.policies.ruled.policy == Policy(tries=2)
        assert (site.policies.ruled.revision, site.policies.ruled.by) == (0, CONFIGURED)
        assert await site.policies.history() == ()


async def test_what_is_applied_comes_into_force(tmp_path):
    async with a_site(tmp_path) as site:
        made = await site.policies.apply("headroom: 0.5 # as agreed", "operator", note="why")
        await settle()
        assert site.enforced == [Policy(headroom=0.5)]
        assert site.policies.ruled == made
        assert (made.text, made.note) == ("headroom: 0.5 # as agreed", "why")
        kinds = [(kind, fields["actor"], fields["revision"]) for kind, fields in site.audit.entries]
        assert kinds == [("policy-apply", "operator", made.revision)]


async def test_a_bad_one_is_refused_and_the_old_one_stays(tmp_path):
    async with a_site(tmp_path) as site:
        await site.policies.apply("headroom: 0.5", "operator")
        with pytest.raises(BadPolicyError):
            await site.policies.apply("headroom: 5", "operator")
        await settle()
        assert site.enforced == [Policy(headroom=0.5)]
        assert len(await site.policies.history()) == 1
        assert len(site.audit.entries) == 1


async def test_who_expected_another_revision_is_refused(tmp_path):
    async with a_site(tmp_path) as site:
        made = await site.policies.apply("headroom: 0.5", "one", expected=0)
        for wrong in (0, made.revision + 1):
            with pytest.raises(ConflictError):
                await site.policies.apply("headroom: 0.6", "two", expected=wrong)
        await site.policies.apply("headroom: 0.6", "two", expected=made.revision)


class Overtaken(MemoryBucket):
    """A bucket in which something happens between one's reading and one's writing, once."""

    meanwhile = None

    async def get(self, key):
        entry = await super().get(key)
        act, self.meanwhile = self.meanwhile, None
        if act is not None:
            await act()
        return entry


class Crowded(MemoryBuckets):
    def __init__(self):
        super().__init__()
        self.policy = Overtaken()

    def at(self, name):
        return self.policy if name == "policy" else super().at(name)


async def test_of_two_who_apply_at_once_one_is_refused_and_the_others_stays(tmp_path):
    buckets = Crowded()
    async with a_site(tmp_path, buckets) as site:
        buckets.policy.meanwhile = lambda: site.policies.apply("tries: 6", "two")
        with pytest.raises(ConflictError) as caught:
            await site.policies.apply("tries: 5", "one")
        assert caught.value.status == 409
        await settle()
        assert (site.policies.ruled.by, site.enforced) == ("two", [Policy(tries=6)])
        assert len(await site.policies.history()) == 1
        assert len(site.audit.entries) == 1


async def test_rollback_goes_one_back_or_to_the_revision_named(tmp_path):
    async with a_site(tmp_path) as site:
        made = [await site.policies.apply(f"tries: {n}", "operator") for n in (5, 6, 7)]
        back = await site.policies.rollback(None, "operator")
        assert (back.policy.tries, back.note) == (6, f"rollback to revision {made[1].revision}")
        back = await site.policies.rollback(made[0].revision, "operator")
        await settle()
        assert site.enforced[-1] == Policy(tries=5)
        assert [ruled.policy.tries for ruled in await site.policies.history()] == [5, 6, 7, 6, 5]


async def test_before_the_first_revision_is_the_configuration(tmp_path):
    async with a_site(tmp_path) as site:
        made = await site.policies.apply("tries: 5", "operator")
        assert (await site.policies.rollback(None, "operator")).revision == 0
        await settle()
        assert site.enforced == [Policy(tries=5), Policy(tries=2)]
        again = await site.policies.rollback(None, "operator")
        assert (again.policy.tries, again.note) == (5, f"rollback to revision {made.revision}")
        assert (await site.policies.rollback(0, "operator")).by == CONFIGURED
        assert [ruled.policy.tries for ruled in await site.policies.history()] == [5, 5]
        assert [kind for kind, _ in site.audit.entries].count("policy-withdraw") == 2


async def test_there_is_no_way_back_to_what_is_not_kept(tmp_path):
    async with a_site(tmp_path) as site:
        await site.policies.apply("tries: 5", "operator")
        with pytest.raises(UnknownError, match="revision 99"):
            await site.policies.rollback(99, "operator")
        assert len(await site.policies.history()) == 1


async def test_what_a_gate_cannot_read_leaves_the_last_in_force(tmp_path):
    async with a_site(tmp_path) as site:
        await site.policies.apply("headroom: 0.5", "operator")
        await settle()
        for spoilt in (b"{", b'{"text": "future: 1", "by": "x", "at": 1}'):
            await site.bucket.put("policy", spoilt)
            await settle()
            assert site.policies.ruled.policy == Policy(headroom=0.5)
            assert "revision" in site.policies.fault
        assert site.enforced == [Policy(headroom=0.5)]
        await site.policies.apply("headroom: 0.6", "operator")
        await settle()
        assert site.policies.fault == ""


async def test_one_that_is_deleted_gives_way_to_the_configurations(tmp_path):
    async with a_site(tmp_path) as site:
        await site.policies.apply("headroom: 0.5", "operator")
        await site.bucket.delete("policy")
        await settle()
        assert site.enforced == [Policy(headroom=0.5), Policy(tries=2)]


async def test_the_last_one_is_in_force_at_once_after_a_restart(tmp_path):
    async with a_site(tmp_path) as site:
        await site.policies.apply("headroom: 0.5", "operator")
        await settle()
    async with a_site(tmp_path) as site:
        assert site.enforced[0] == Policy(headroom=0.5)


async def test_where_nothing_was_applied_there_is_nothing_to_roll_back(tmp_path):
    async with a_site(tmp_path) as site:
        for revision in (None, 0):
            with pytest.raises(ConflictError, match="no policy was applied yet"):
                await site.policies.rollback(revision, "operator")
        assert (await site.policies.apply("tries: 5", "operator")).revision == 1
        for _ in range(2):
            assert (await site.policies.rollback(0, "operator")).revision == 0
        assert [kind for kind, _ in site.audit.entries] == ["policy-apply", "policy-withdraw"]
