"""An `Audit` of a node: what it refuses to trust is kept on its disk until the cloud has it.

All else that it records is said in the process's own log only. Sends nothing: that is `telling`'s.
"""

import logging
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_agent.audit import Logged, Plain
from edge_agent.clock import Clock
from edge_agent.outbox import Item, Outbox
from edge_agent.reports.rate import Rate
from edge_agent.reports.report import (
    KINDS,
    MAX_ERROR,
    MAX_REASON,
    MAX_WHAT,
    MOST,
    Report,
    printable,
)

log = logging.getLogger(__name__)

MAX_WAITING = 48
"""Reports that wait for the cloud: beyond, refusals are counted, and the number is told."""
BURST, PER_S = 48, 0.05
"""Reports at once, and a second after that: less than the cloud takes of one node."""
_LONGEST = {"what": MAX_WHAT, "reason": MAX_REASON, "error": MAX_ERROR}


class Journal:
    """One file, one connection, any thread, one at a time."""

    def __init__(self, path: Path, subject: str, clock: Clock) -> None:
        self.subject = subject
        self._log = Logged()
        self._clock = clock
        self._rate = Rate(BURST, PER_S, clock.now())
        self._unsaid = 0
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._database.execute("pragma journal_mode=wal")
        self._database.execute("pragma synchronous=full")
        self._database.execute(
            "create table if not exists meta (key text primary key, value text not null)"
        )
        self._outbox = Outbox(self._database)
        self._name = self._kept("journal", secrets.token_hex(8))
        self._waiting = len(self._outbox)

    def __repr__(self) -> str:
        return f"<Journal {self._name} | {self._waiting} to tell>"

    @property
    def waiting(self) -> int:
        """How many reports have not been taken."""
        return self._waiting

    def record(self, kind: str, /, **fields: Plain) -> None:
        """Keep a refusal for the cloud; on return it is on the disk, unless that is full."""
        self._log.record(kind, **fields)
        if kind not in KINDS:
            return
        try:
            with self._transaction():
                self._keep(kind, fields)
        except sqlite3.Error as error:  # it is in the process's log; serving goes on
            log.warning("a refusal is not kept for the cloud: %s", error)

    def next(self) -> Item | None:
        """What is to be told first."""
        if not self._waiting:
            return None
        with self._transaction():
            return next(iter(self._outbox.to_try(1)), None)

    def taken(self, message_id: str) -> None:
        """It has arrived."""
        with self._transaction():
            self._outbox.taken(message_id)
            self._waiting = len(self._outbox)

    def close(self) -> None:
        with self._lock:
            self._database.close()

    def _keep(self, kind: str, fields: dict[str, Plain]) -> None:
        # 1. No more waits, and no more is told, than the cloud takes: the rest is a number.
        if self._waiting >= MAX_WAITING or not self._rate.take(self._clock.now()):
            self._unsay()
            return
        number = int(self._kept("number", "0")) + 1
        said = {
            name: printable(str(fields.get(name, "")))[:longest]
            for name, longest in _LONGEST.items()
        }
        report = Report.model_validate({
            **said, "journal": self._name, "number": number, "kind": kind,
            "at": max(0.0, self._clock.wall()), "count": fields.get("count", 1),
            "unsaid": min(self._unsaid, MOST),
        })  # fmt: skip
        self._database.execute("update meta set value = ? where key = 'number'", (str(number),))
        self._outbox.put(Item(report.id, self.subject, report.model_dump_json().encode()))
        self._waiting, self._unsaid = len(self._outbox), 0

    def _unsay(self) -> None:
        """Count it with the last report, while nobody has seen that one; else with the next."""
        last = self._outbox.untried()
        if last is None:
            self._unsaid += 1
            return
        report = Report.model_validate_json(last.data)
        changed = report.model_copy(update={"unsaid": min(report.unsaid + 1, MOST)})
        self._outbox.amend(last._replace(data=changed.model_dump_json().encode()))

    def _kept(self, key: str, value: str) -> str:
        self._database.execute("insert or ignore into meta values (?, ?)", (key, value))
        (kept,) = self._database.execute("select value from meta where key = ?", (key,)).fetchone()
        return str(kept)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All of it or nothing."""
        with self._lock:
            self._database.execute("begin immediate")
            unsaid = self._unsaid
            try:
                yield
                self._database.execute("commit")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("rollback")
                self._unsaid = unsaid
                self._waiting = len(self._outbox)
                raise
