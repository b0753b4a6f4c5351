"""One query on its way to its answer: who was asked, who is next, when to stop waiting.

A state machine driven by replies and alarms; it never awaits, and tells one callback how it
ended. Choosing is the scheduler's, sending `asks`'s, whether the parent is worth it `upward`'s. In
this order, while time and tries are left:

1. the best candidate here that makes the objective;
2. the parent site, with what is left of the objective;
3. whoever could make it, here or there, for a tenant that has not had its share (`claims`);
4. where the policy says so, whatever is fastest;
5. once somebody who had taken it has failed: the same again, with the hard deadline as budget.

The first answer wins. A node that is given up may still win, and teaches the view in any case.
"""

from functools import partial

from middle_tier.routing.alarms import EARLY_S, Alarm
from middle_tier.routing.asks import Buffers, Sent
from middle_tier.routing.choices import Choices
from middle_tier.routing.means import Means, ask_subject, route_subject
from middle_tier.routing.outcome import Outcome, Told
from middle_tier.routing.refusals import as_error, as_error_of_site
from middle_tier.routing.upward import budget_above_ms, nobody, up_ms
from middle_tier.routing.wording import ask, handed_back, handed_on, too_late
from middle_tier.scheduler.patience import patience_ms
from middle_tier.scheduler.types import Candidate, Demand
from protocol.errors import BadRequestError, BusyError, MeshError, TooLargeError
from protocol.messages import Answer, Query, Refusal, Reply

LATE_S = 1.0
"""How long after the hard deadline an answer still teaches the view."""


class Pursuit:
    """The mutable state is who is left (`Choices`), what is out, and the one alarm."""

    __slots__ = (
        "_alarm", "_buffers", "_cause", "_choices", "_claimed", "_current", "_deadline_at",
        "_ended", "_failed", "_gone_up", "_means", "_objective_at", "_out", "_query", "_told",
        "_tries",
    )  # fmt: skip

    def __init__(self, means: Means, query: Query, buffers: Buffers, demand: Demand) -> None:
        now = means.clock.now()
        self._means = means
        self._query = query
        self._buffers = buffers
        self._choices = Choices(means.plan, demand)
        self._objective_at = now + query.want.latency_ms / 1000.0
        self._deadline_at = now + query.deadline_ms / 1000.0
        self._tries = 0
        self._gone_up = False
        self._failed = False
        """Somebody who had taken it did not answer: it is to be answered even if late."""
        self._ended = False
        self._told: Told | None = None
        self._out: list[Sent] = []
        self._current: Sent | None = None
        """The one that is still expected to answer in time."""
        self._claimed: Sent | None = None
        """The last, where it was asked on the tenant's share: as if nobody waited there."""
        self._alarm: Alarm | None = None
        self._cause: MeshError | None = None

    def __repr__(self) -> str:
        return f"<Pursuit {self._query.id} | {self._tries} tries | {len(self._out)} out>"

    def begin(self, told: Told) -> None:
        """Have it answered; `told` may be called before this returns, never after `stop`."""
        self._told = told
        self._means.allowance.earn()
        if self._means.parent is not None:
            self._means.parent.borne.earn()
        self._means.under_way += 1
        self._onward()

    def stop(self) -> None:
        """End it: nobody waits for it any more. What is out is cancelled."""
        if self._ended:
            return
        self._ended = True
        self._told = None
        self._means.under_way -= 1
        if self._alarm is not None:
            self._alarm.cancel()
        self._buffers = ()
        out, self._out = self._out, []
        for sent in out:
            self._means.outbox.cancel(sent)
            self._means.alarms.set(self._deadline_at + LATE_S, partial(self._forget, sent))

    # What happens to it.

    def replied(self, sent: Sent, reply: Reply, buffers: Buffers) -> None:
        self._returned(sent)
        if isinstance(reply, Answer):
            now = self._means.clock.now()
            if self._ended:
                self._means.counts["late"] += 1
            else:
                self._answer(sent, reply, buffers)  # who waits comes first
            self._learn(sent, reply, now)
            return
        if sent.candidate is not None:
            self._means.view.refused(sent.candidate, reply, self._means.clock.now())
        if not self._ended:
            self._refuse(sent, reply)

    def unreached(self, sent: Sent, error: MeshError) -> None:
        self._returned(sent)
        self._forget(sent)
        self._means.surprised()
        candidate = sent.candidate
        if isinstance(error, TooLargeError | BusyError):
            self._cause = error
        elif candidate is not None:
            now = self._means.clock.now()
            self._means.view.lost(candidate.site, candidate.node, now)
        if self._ended:
            return
        self._failed = True
        self._tries -= 1  # it cost nobody anything
        self._choices.found.count("unreachable")
        if candidate is not None:
            self._choices.rule_out(candidate)
        self._unless_waiting()

    def _ring(self) -> None:
        now = self._means.clock.now()
        silent = self._current
        if now >= self._deadline_at - EARLY_S:
            self._fail(too_late(self._query))
        elif silent is None or silent.candidate is None:
            self._wait_until(self._deadline_at)
        else:
            self._means.doubt(silent)
            if self._current is not silent:
                return  # it is gone, and `unreached` has dealt with that
            if self._means.allowance.spend():
                self._give_up(silent.candidate)
            else:
                self._wait_until(now + (now - silent.at))

    # What it does about it.

    def _onward(self) -> None:
        """Ask the next one; or wait for those that are out; or fail."""
        now = self._means.clock.now()
        left_ms = (self._objective_at - now) * 1000.0
        until_ms = (self._deadline_at - now) * 1000.0
        if until_ms <= 0:
            self._fail(too_late(self._query))
            return
        if self._tries < self._means.policy.tries:
            # An objective that passes before anybody was asked is one that nobody meets.
            fresh = self._tries == 0 and not self._failed
            if (left_ms > 0 or fresh) and self._ask_someone(left_ms, until_ms):
                return
            lost = self._failed or (left_ms <= 0 and not fresh)
            if lost and self._ask_someone(until_ms, until_ms):
                return
        if self._out:
            self._wait_until(self._deadline_at)
        else:
            gone_up = self._gone_up
            self._fail(
                self._cause or nobody(self._means, self._query, self._choices, gone_up=gone_up)
            )

    def _ask_someone(self, budget_ms: float, until_ms: float) -> bool:
        """Ask the best here, else who may let it pass, the parent, or by policy who is late."""
        ranked, pressed, within, late = self._choices.ranked(budget_ms)
        if not ranked:
            may = self._means.claims.may(self._query.tenant, self._means.clock.now())
            within = within if may else ()
            claims = may and not within
            gone_up = not pressed and self._ask_parent(budget_ms, until_ms, claims=claims)
            if not (gone_up or pressed) and late and not late[0].warm:
                late = self._choices.instead(late, self._means.worth(self._choices.demand))
            if gone_up or pressed or not late or late[0].warm or late[0].finish_ms > until_ms:
                self._choices.found.loading = self._means.warm_up(self._choices.demand)
            if gone_up:  # else the ask itself makes it load
                return True
        ranked = ranked or pressed or within or late
        if not ranked:
            return False
        next_ms = ranked[1].finish_ms if len(ranked) > 1 else None
        patient_s = patience_ms(ranked[0], next_ms, budget_ms) / 1000.0
        self._ask(ranked[0], budget_ms, until_ms)
        self._claimed = self._current if ranked is within else None
        self._wait_until(min(self._means.clock.now() + patient_s, self._deadline_at))
        return True

    def _ask(self, candidate: Candidate, budget_ms: float, until_ms: float) -> None:
        means, query = self._means, self._query
        sent = self._sent(candidate)
        means.view.sent(candidate, sent.rows, sent.at)
        id_ = means.outbox.next_id()
        if candidate.scope == "node":
            message = ask(query, candidate, id_, budget_ms=budget_ms, until_ms=until_ms)
            subject = ask_subject(candidate.site, candidate.node)
            means.outbox.send(subject, message, self._buffers, sent)
            return
        away_ms = candidate.link_ms + candidate.transfer_ms
        budget_ms, until_ms = budget_ms - away_ms, until_ms - away_ms
        handed = handed_on(query, means.site, id_, budget_ms=budget_ms, until_ms=until_ms)
        means.outbox.hand_over(route_subject(candidate.site), handed, self._buffers, sent)

    def _ask_parent(self, budget_ms: float, until_ms: float, *, claims: bool) -> bool:
        """Hand the query up, unless the parent has had it or could not be in time (by claim)."""
        means, parent = self._means, self._means.parent
        if parent is None or self._gone_up:
            return False
        above = budget_above_ms(means, self._query, self._choices, budget_ms)
        if above is None or (above.claims and not claims):
            return False
        self._gone_up = True
        sent = self._sent(None)
        self._claimed = sent if above.claims else None
        until_ms -= budget_ms - above.left_ms
        id_ = means.outbox.next_id()
        left_ms, query = above.left_ms, self._query
        handed = handed_on(query, means.site, id_, budget_ms=left_ms, until_ms=until_ms)
        means.outbox.hand_over(route_subject(parent.site), handed, self._buffers, sent)
        self._wait_until(self._deadline_at)  # `uplink` finds out whether it is there
        return True

    def _sent(self, candidate: Candidate | None) -> Sent:
        self._tries += 1
        self._current = Sent(self, candidate, self._choices.rows, self._means.clock.now())
        self._out.append(self._current)
        return self._current

    def _answer(self, sent: Sent, answer: Answer, buffers: Buffers) -> None:
        above = sent.candidate is None
        away_ms = up_ms(self._means, self._query, self._choices) if above else 0.0
        whole = handed_back(self._query, answer, sent.candidate, away_ms)
        self._means.counts["answered"] += 1
        self._end(Outcome(whole, buffers))

    def _refuse(self, sent: Sent, refusal: Refusal) -> None:
        self._means.counts["refused"] += 1
        self._means.surprised()
        if sent is self._claimed:
            self._means.claims.refused(self._query.tenant, self._means.clock.now())
        self._choices.refused(sent.candidate, refusal)
        at_node = sent.candidate is not None and sent.candidate.scope == "node"
        cause = as_error(refusal) if at_node else as_error_of_site(refusal)
        self._cause = cause or self._cause
        if isinstance(cause, BadRequestError):
            self._fail(cause)  # nobody else would take it either
        else:
            self._unless_waiting()

    def _give_up(self, candidate: Candidate) -> None:
        self._means.counts["given_up"] += 1
        self._means.surprised()
        self._failed = True
        self._choices.rule_out(candidate)
        self._current = None
        self._onward()

    def _unless_waiting(self) -> None:
        """Go on, unless the one that was asked last is still expected to answer."""
        if self._current is None:
            self._onward()

    def _learn(self, sent: Sent, answer: Answer, now: float) -> None:
        if sent.candidate is not None:
            elapsed_ms = (now - sent.at) * 1000.0
            self._means.view.observed(sent.candidate, answer, elapsed_ms, now)

    def _returned(self, sent: Sent) -> None:
        if sent in self._out:
            self._out.remove(sent)
        if sent is self._current:
            self._current = None

    def _forget(self, sent: Sent) -> None:
        """No reply to it is expected any more."""
        if self._means.outbox.forget(sent) and sent.candidate is not None:
            now = self._means.clock.now()
            self._means.view.abandoned(sent.candidate, sent.rows, now)

    def _wait_until(self, at: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self._means.alarms.set(at, self._ring)

    def _fail(self, error: MeshError) -> None:
        self._means.counts[error.reason] += 1
        self._end(Outcome(error=error))

    def _end(self, outcome: Outcome) -> None:
        told = self._told
        self.stop()
        if told is not None:
            told(outcome)
