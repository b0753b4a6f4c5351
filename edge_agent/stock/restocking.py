"""Another store in place of the one before, while the node serves: what changes for each variant.

A variant whose bytes changed is replaced when nothing runs on it or waits for it; until then it
takes no new asks, so that this comes soon. What was warm is loaded again.
"""

from collections.abc import Callable, Iterable

from edge_agent.stock.holdings import Holding, Holdings

Evict = Callable[[Holding], str]
"""Give back its memory; returns why not."""
Load = Callable[[Holding], None]


class Restocking:
    """The mutable state is what waits for its moment: id -> what takes its place, None: nothing."""

    def __init__(self, holdings: Holdings, evict: Evict, load: Load) -> None:
        self._holdings = holdings
        self._evict = evict
        self._load = load
        self._waiting: dict[str, Holding | None] = {}

    def __repr__(self) -> str:
        return f"<Restocking {len(self._waiting)} wait>"

    def restock(self, found: Iterable[Holding]) -> None:
        """Hold these and no others, as soon as what runs permits it."""
        wanted = {holding.id: holding for holding in found}
        for name, present in tuple(self._holdings.all.items()):
            new = wanted.pop(name, None)
            self._waiting.pop(name, None)
            present.leaving = new is None or new.held.variant != present.held.variant
            if present.leaving:
                self._waiting[name] = new
            elif new is not None:
                present.held = new.held
        for new in wanted.values():
            self._holdings.put(new)
        self.settle()

    def settle(self) -> None:
        """Replace what may be replaced by now."""
        for name in tuple(self._waiting):
            present = self._holdings.all[name]
            if name in self._waiting and present.idle:
                self._replace(present, self._waiting.pop(name))

    def _replace(self, present: Holding, new: Holding | None) -> None:
        warm = present.state == "warm"
        self._evict(present)
        if new is None:
            self._holdings.drop(present)
            return
        present.become(new)
        if warm:
            self._load(present)
