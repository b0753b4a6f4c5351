"""Which variants a node had warm: kept, so that a restart warms them again before anybody asks."""

import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from edge_agent import kept

log = logging.getLogger(__name__)

_IDS: TypeAdapter[tuple[str, ...]] = TypeAdapter(tuple[str, ...])


class LastWarm:
    """The mutable state is what was last noted. `aside` runs work off the event loop, in order."""

    def __init__(self, file: Path, aside: Callable[[Callable[[], None]], None]) -> None:
        self._file = file
        self._aside = aside
        self._noted: tuple[str, ...] | None = None

    def recall(self) -> frozenset[str]:
        """Return the ids that were warm when this was last noted; none when that is unreadable."""
        try:
            return frozenset(_IDS.validate_json(self._file.read_bytes()))
        except FileNotFoundError:
            return frozenset()
        except (OSError, ValidationError):
            log.warning("%s is unreadable: nothing is warmed", self._file)
            return frozenset()

    def note(self, warm: Iterable[str]) -> None:
        """Keep these, unless they are the ones that were noted last."""
        ids = tuple(sorted(warm))
        if ids == self._noted:
            return
        self._noted = ids
        self._aside(lambda: self._write(ids))

    def _write(self, ids: tuple[str, ...]) -> None:
        try:
            kept.write(self._file, _IDS.dump_json(ids))
        except OSError as error:  # a full disk: the next start is colder, that is all
            log.warning("what is warm is not kept: %s", error.strerror)
