"""What every query is held to, whichever way it came in: its task's tensors, its objectives."""

from middle_tier.http.behind import Answering, Seeing
from middle_tier.http.checked import Reader
from middle_tier.http.signature import Signature
from protocol.errors import NoCandidateError, UnknownError
from protocol.messages import Answer, Query
from protocol.tokens import Claims


class Readers:
    """What reads tasks' requests. The mutable state is those that are made already."""

    def __init__(self, router: Answering) -> None:
        self.router = router
        self._readers: dict[str, Reader] = {}

    def reader(self, claims: Claims, task: str) -> Reader:
        """Return what reads a task's requests; `UnknownError` names what the caller may ask."""
        known = self.router.view.tasks.get(task)
        if known is None:
            names = ", ".join(permitted(claims, self.router.view)) or "none yet"
            if not self.router.view.tasks:  # nothing can be said of what there is: a site starts
                raise NoCandidateError("no node has been heard of yet", "try again in a moment")
            raise UnknownError(f"no task {task[:80]!r}", f"tasks that you may ask for: {names}")
        reader = self._readers.get(task)
        if reader is None or reader.signature.task is not known:
            reader = self._readers[task] = Reader(Signature(known))
        return reader


class Objectives:
    """Whether they were kept. The mutable state is the accuracies that were looked up."""

    def __init__(self, router: Answering) -> None:
        self.router = router
        self._accuracies: dict[tuple[str, str], float] = {}

    def met(self, query: Query, answer: Answer, elapsed_ms: float) -> bool:
        """Whether every objective was kept, as far as this gate can tell."""
        want = query.want
        if elapsed_ms > want.latency_ms:
            return False
        if want.max_cost_usd is not None and answer.cost_usd > want.max_cost_usd:
            return False
        if want.min_accuracy <= 0:
            return True
        accuracy = self._accuracy(want.task, answer.variant)
        return accuracy is None or accuracy >= want.min_accuracy

    def _accuracy(self, task: str, variant: str) -> float | None:
        """A variant's accuracy, looked up once: listing variants is not for every query."""
        known = self._accuracies.get((task, variant))
        if known is None:
            for info in self.router.view.variants(task):
                self._accuracies[task, info.variant] = info.accuracy
            known = self._accuracies.get((task, variant))
        return known


def permitted(claims: Claims, view: Seeing) -> list[str]:
    """The names of the tasks that a caller may see."""
    return sorted(name for name in view.tasks if claims.tasks is None or name in claims.tasks)
