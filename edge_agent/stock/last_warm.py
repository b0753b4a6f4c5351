"""Which variants a node had warm: kept, so that a restart warms them again before anybody asks."""

import json
import logging
from collections.abc import Iterable
from pathlib import Path

from edge_agent import kept

log = logging.getLogger(__name__)


class LastWarm:
    """The mutable state is what was last noted."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._noted: tuple[str, ...] | None = None

    def recall(self) -> frozenset[str]:
        """Return the ids that were warm when this was last noted; none when that is unreadable."""
        try:
            said = json.loads(self._file.read_bytes())
        except FileNotFoundError:
            return frozenset()
        except (OSError, ValueError) as error:
            log.warning("%s is unreadable, nothing is warmed: %s", self._file.name, error)
            return frozenset()
        return frozenset(one for one in said if isinstance(one, str))

    def note(self, warm: Iterable[str]) -> None:
        """Keep these, unless they are the ones that were noted last."""
        ids = tuple(sorted(warm))
        if ids == self._noted:
            return
        self._noted = ids
        try:
            kept.write(self._file, json.dumps(ids).encode())
        except OSError as error:  # a full disk: the next start is colder, that is all
            log.warning("what is warm is not kept: %s", error.strerror)
