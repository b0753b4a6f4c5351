"""Answers queries with the nodes of its site, the sites below it and its parent.

Choosing is `scheduler`'s, carrying a choice out `pursuit`'s; what others send is taken in
`routes` and `ears`. A router keeps nothing that it could not learn again: several may share a site.
"""

import logging
from asyncio import Future, get_running_loop
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from math import prod

from edge_agent.bus.base import Bus
from edge_agent.clock import Clock
from edge_agent.known import Known
from edge_agent.near import Near
from middle_tier.routing.alarms import Alarms
from middle_tier.routing.asks import Buffers, Outbox, Target
from middle_tier.routing.below import Below
from middle_tier.routing.doubts import Doubts
from middle_tier.routing.ears import Ears
from middle_tier.routing.lateness import Lateness
from middle_tier.routing.means import Means, route_subject
from middle_tier.routing.orders import Orders
from middle_tier.routing.outcome import Outcome  # noqa: TC001  # TYPE_CHECKING would hide cycles
from middle_tier.routing.pursuit import Pursuit
from middle_tier.routing.recent import Recent
from middle_tier.routing.renewed import Renewed
from middle_tier.routing.second import SecondThoughts
from middle_tier.scheduler.plan import choose, choose_again, explain
from middle_tier.scheduler.rules import Permit, permit_of
from middle_tier.scheduler.types import Candidate, Demand, Plan, Policy
from middle_tier.scheduler.warmth import worth_loading
from middle_tier.sight.clones import CLONE_AFTER_S
from middle_tier.summary import Place, summarise
from middle_tier.uplink import Parent
from middle_tier.view import View
from protocol.adverts import SiteCapacity
from protocol.bundles import Task
from protocol.errors import UnreachableError
from protocol.messages import Answer, Query, Want
from protocol.types import ITEM_BYTES, Latency, Tensor, Tier

log = logging.getLogger(__name__)

NOTHING = Plan((), {})
NO_WAY = Latency(ms=(0.0, 0.0, 0.0, 0.0, 0.0))

MAX_PERMITS = 4096
"""Tenants and tasks whose permits are remembered; when there are more, all are forgotten."""


_Said = tuple[tuple[Tensor, ...], tuple[str, ...], tuple[Tier, ...] | None, str, Task | None]
"""What a demand is made of beside the want: inputs, hops, tiers, tenant; and the task as it was."""


class Router:
    """The mutable state is the view, what is out (`Outbox`) and what its pursuits share."""

    def __init__(  # noqa: PLR0913  # what it is made of, each handed in
        self, bus: Bus, clock: Clock, view: View, policy: Policy, *,
        site: str, parent: str | None = None, seed: int = 0, near: Mapping[str, Near] | None = None,
    ) -> None:  # fmt: skip
        """`near`: the nodes in this process, by the subject that asks for them go to."""
        self.site = site
        self.view = view
        self.bus = bus
        self.clock = clock
        self.parent = (
            Parent(parent, lambda: bus.connected, here=site) if parent is not None else None
        )
        self.alarms = Alarms(clock)
        self._seeds = count(seed)
        self._permits: dict[tuple[str, str], Permit | None] = {}
        self._out_bytes: dict[str, tuple[Task, int]] = {}
        self._demands: Known[Want, tuple[_Said, Demand]] = Known()
        self._doubts = Doubts(bus, clock, self.alarms, self._gone)
        self.outbox = Outbox(bus, near or {}, prefix=f"{site}-{seed:x}", alive=self._doubts.dispel)
        self.orders = Orders(bus, clock)
        self._recent = Recent(self._choose, self._choose_again)
        self._renewed = Renewed()
        view.answered = self._renewed.soon
        self._means = Means(
            site, view, clock, policy, self.outbox, self.alarms, self.parent,
            self._planned, self._doubts.doubt, self._recent.forget, self._worth, self._warm_up,
            Lateness(view.table),
        )  # fmt: skip
        self.below = Below(view, clock, self._warm_up)

    def __repr__(self) -> str:
        return f"<Router {self.site} | {self.outbox!r}>"

    @property
    def policy(self) -> Policy:
        return self._means.policy

    @policy.setter
    def policy(self, policy: Policy) -> None:
        self._means.go_by(policy)
        self._permits.clear()
        self._demands = Known()
        self._recent.forget()

    @property
    def under_way(self) -> int:
        """Queries begun and not ended."""
        return self._means.under_way

    @property
    def counts(self) -> dict[str, int]:
        """answered, refused, given_up, late; asks, frames, unmatched; failures by reason."""
        return {**self._means.counts, **self.outbox.counts}

    async def answer(self, query: Query, buffers: Buffers) -> tuple[Answer, Buffers]:
        """Return the answer, or raise the `MeshError` that says why there is none.

        `NoCandidateError` (nothing meets the want), `DeadlineError` (the hard deadline passed),
        `UnknownError` (no such task), `BadRequestError` or `ExecutionError` (the model refused the
        tensors, or failed on them). When the caller is cancelled, so is what was asked for it.
        """
        future: Future[Outcome] = get_running_loop().create_future()
        pursuit = self.pursue(query, buffers)
        pursuit.begin(lambda outcome: None if future.done() else future.set_result(outcome))
        try:
            outcome = await future
        finally:
            pursuit.stop()
        return outcome.result()

    def pursue(self, query: Query, buffers: Buffers) -> Pursuit:
        """Return what answers `query`, as `answer` does, once it is told to begin."""
        kind = SecondThoughts if self._means.twice else Pursuit
        return kind(self._means, query, buffers, self.demand(query))

    def demand(self, query: Query) -> Demand:
        """`query` as far as choosing goes.

        Remembered: a gate hands what its callers say again and again as the very same objects.
        """
        want = query.want
        known = self._demands.get(want)
        if known is not None:
            (inputs, hops, tiers, tenant, task), demand = known
            alike = inputs is query.inputs and hops is query.hops and tiers is query.tiers
            if alike and tenant == query.tenant and task is self.view.tasks.get(want.task):
                return demand
        demand = self._demand(query)
        task = self.view.tasks.get(want.task)
        self._demands.put(
            want, ((query.inputs, query.hops, query.tiers, query.tenant, task), demand)
        )
        return demand

    def _demand(self, query: Query) -> Demand:
        want, inputs = query.want, query.inputs
        rows = inputs[0].shape[0] if inputs else 1
        nbytes = sum(tensor.nbytes for tensor in inputs)
        out_bytes = rows * self._row_bytes(want.task)
        permit = self._permit(query.tenant, want.task) if self.policy.permit else None
        return Demand(
            want, want.latency_ms, rows, nbytes, out_bytes, query.hops, query.tiers, permit
        )

    def _permit(self, tenant: str, task: str) -> Permit | None:
        """What the policy permits, worked out once for each tenant and task."""
        if (tenant, task) not in self._permits:
            if len(self._permits) >= MAX_PERMITS:
                self._permits.clear()
            self._permits[tenant, task] = permit_of(self.policy.permit, tenant, task)
        return self._permits[tenant, task]

    def _row_bytes(self, name: str) -> int:
        """Bytes of a task's outputs for one row, remembered while the task stays as it is."""
        task = self.view.tasks.get(name)
        known, nbytes = self._out_bytes.get(name, (None, 0))
        if task is not known and task is not None:
            nbytes = _row_bytes(task)
            self._out_bytes[name] = task, nbytes
        return nbytes

    def plan(self, demand: Demand) -> Plan:
        """The dry run: ranked candidates, and for everything else why not.

        Raises `UnknownError` for a task that nobody here has.
        """
        groups = self.view.groups(demand.want.task)
        return explain(demand, groups, self.policy, now=self.clock.now(), seed=next(self._seeds))

    def capacity(self) -> SiteCapacity:
        """What the nodes of its own site can run now, as a parent would see them."""
        return summarise(self.view, Place(self.site, "", 0, NO_WAY), self.clock.now())

    def lost(self, site: str) -> None:
        """There is no way to `site` now: whoever waits for it looks elsewhere."""
        self.outbox.lost(route_subject(site), UnreachableError(f"no way to {site} now"))

    def _planned(self, demand: Demand) -> Plan:
        return self._recent.plan(demand, self.clock.now())

    def _choose(self, demand: Demand) -> Plan:
        if demand.want.task not in self.view.tasks:
            return NOTHING  # the parent may know it
        groups = self.view.groups(demand.want.task)
        self._renewed.add(groups)
        now = self.clock.now()
        plan = choose(demand, groups, self.policy, now=now, seed=next(self._seeds))
        self.view.table.tolls.note(plan.crowded, now)
        return plan

    def _choose_again(self, demand: Demand, plan: Plan) -> Plan | None:
        groups = self.view.groups(demand.want.task)
        now, seed = self.clock.now(), next(self._seeds)
        found = choose_again(demand, groups, self.policy, plan, now=now, seed=seed)
        if found is not None:
            self._renewed.discard(groups)
        return found

    def _worth(self, demand: Demand) -> Candidate | None:
        if demand.want.task not in self.view.tasks:
            return None
        return worth_loading(
            demand, self.view.groups(demand.want.task), self.policy,
            now=self.clock.now(), seed=next(self._seeds), refusers=self.orders.refusers(),
        )  # fmt: skip

    def _warm_up(self, demand: Demand) -> Candidate | None:
        found = self._worth(demand)
        return found if found is not None and self.orders.load(found) else None

    def _gone(self, target: Target) -> None:
        log.warning("silent, and no sign of life: %s", target.subject)
        self.outbox.lost(target.subject, UnreachableError("it gives no sign of life"))


@asynccontextmanager
async def running(
    router: Router,
    *,
    below: bool = False,
    drain_s: float = 5.0,
    clone_after_s: float = CLONE_AFTER_S,
) -> AsyncIterator[None]:
    """Hear of nodes and of replies until the block ends and what is under way is answered.

    `below`: hear of other sites too, and send them queries. `drain_s` bounds the end. Nodes
    that are two processes for longer than `clone_after_s` are told of. Queries of other routers are
    taken by `routes`, within this block.
    """
    bus, clock = router.bus, router.clock
    ears = Ears(bus, clock, router.view, router.site, clone_after_s=clone_after_s)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(router.alarms.ringing())
        await stack.enter_async_context(bus.subscribe(router.outbox.pattern, router.outbox.hear))
        await stack.enter_async_context(bus.subscribe(router.orders.pattern, router.orders.hear))
        await stack.enter_async_context(ears.open(below=below))
        yield
        await _quiet(router, clock.now() + drain_s)


async def _quiet(router: Router, until: float) -> None:
    """Return when nothing is under way; whoever stops is near, so looking now and then will do."""
    while router.under_way and router.clock.now() < until:
        await router.clock.sleep(0.02)
    if router.under_way:
        log.warning("stopped with %d queries under way", router.under_way)


def _row_bytes(task: Task) -> int:
    """Unknown dimensions other than the batch are taken as 1."""
    return sum(
        ITEM_BYTES[axes.datatype] * prod(abs(size) for size in axes.shape[1:])
        for axes in task.outputs
    )
