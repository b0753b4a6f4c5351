"""What tenants have used, by day, in an SQLite file: a batch counts once, however often it comes.

Its methods wait for the disk: call them on a thread (`metering` does). What is counted, and what is
to be told to the cloud of it, is kept in one transaction.
"""

import secrets
import sqlite3
import threading
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from edge_agent.outbox import Item, Outbox
from middle_tier.usage.batch import Batch, Used, joined, lines, used

MAX_TRIED = 16
"""Messages sent before the first of them was acknowledged."""

_TABLES = """
create table if not exists meta (key text primary key, value text not null);
create table if not exists gates (gate text primary key, last integer not null);
create table if not exists usage (
  tenant text not null, day integer not null, gate text not null,
  queries integer not null, answered integer not null, met integer not null,
  rows integer not null, cost_usd real not null,
  primary key (tenant, day, gate)
);
"""
_ADD = """
insert into usage values (?, ?, ?, ?, ?, ?, ?, ?)
on conflict (tenant, day, gate) do update set
  queries = queries + excluded.queries, answered = answered + excluded.answered,
  met = met + excluded.met, rows = rows + excluded.rows, cost_usd = cost_usd + excluded.cost_usd
"""
_SUMS = "sum(queries), sum(answered), sum(met), sum(rows), sum(cost_usd)"


class Spent(NamedTuple):
    """USD of one tenant on a day, by gate."""

    tenant: str
    gate: str
    usd: float


class Ledger:
    """One file, one connection, one thread at a time."""

    def __init__(self, path: Path, since: float) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._lock = threading.Lock()
        self._database.execute("pragma journal_mode=wal")
        self._database.execute("pragma synchronous=full")
        self._database.executescript(_TABLES)
        self._outbox = Outbox(self._database)
        self.gate = self._kept("gate", secrets.token_hex(8))
        """Who counts here: made with the file, so that without it no number is taken again."""
        self.since = float(self._kept("since", str(since)))

    def __repr__(self) -> str:
        return f"<Ledger of {self.gate} | {len(self._outbox)} to tell>"

    def close(self) -> None:
        with self._lock:
            self._database.close()

    def apply(self, batch: Batch) -> bool:
        """Add a batch; False when it was added before."""
        with self._transaction():
            return self._apply(batch)

    def count(self, site: str, day: int, counted: Mapping[str, Used], subject: str | None) -> None:
        """Add what this gate has counted; with `subject`, to be told there as well.

        While nothing is taken, it is joined to what waits: a week's outage is a few messages.
        """
        with self._transaction():
            batch = Batch(
                gate=self.gate, number=self._next(site), site=site, day=day, tenants=lines(counted)
            )
            self._apply(batch)
            if subject is not None:
                self._tell(batch, counted, subject)

    def to_try(self) -> tuple[Item, ...]:
        """What is to be told, the oldest first."""
        with self._transaction():
            return self._outbox.to_try(MAX_TRIED)

    def taken(self, message_id: str) -> None:
        with self._transaction():
            self._outbox.taken(message_id)

    def waiting(self) -> int:
        """How many messages have not been taken."""
        with self._lock:
            return len(self._outbox)

    def totals(self, day: int | None = None) -> dict[str, Used]:
        """By tenant: of a day, or of all."""
        where, values = ("", ()) if day is None else ("where day = ?", (day,))
        with self._lock, closing(self._database.cursor()) as cursor:
            query = f"select tenant, {_SUMS} from usage {where} group by tenant"  # noqa: S608  # ours
            return {row[0]: Used(*row[1:]) for row in cursor.execute(query, values)}

    def spent(self, day: int) -> tuple[Spent, ...]:
        """What each tenant has spent on a day, at each gate."""
        query = "select tenant, gate, cost_usd from usage where day = ? and cost_usd > 0"
        with self._lock:
            return tuple(Spent(*row) for row in self._database.execute(query, (day,)))

    def _apply(self, batch: Batch) -> bool:
        gate = f"{batch.site}/{batch.gate}"  # a site cannot spoil the numbers of another's gates
        row = self._database.execute("select last from gates where gate = ?", (gate,)).fetchone()
        if row is not None and batch.number <= row[0]:
            return False
        self._database.execute("insert or replace into gates values (?, ?)", (gate, batch.number))
        self._database.executemany(
            _ADD,
            [(tenant, batch.day, gate, *used(line)) for tenant, line in batch.tenants.items()],
        )
        return True

    def _tell(self, batch: Batch, counted: Mapping[str, Used], subject: str) -> None:
        last = self._outbox.untried()
        if last is not None:
            known = Batch.model_validate_json(last.data)
            if known.day == batch.day:
                data = joined(known, counted).model_dump_json().encode()
                self._outbox.amend(last._replace(data=data))
                return
        self._outbox.put(Item(batch.id, subject, batch.model_dump_json().encode()))

    def _next(self, site: str) -> int:
        row = self._database.execute(
            "select last from gates where gate = ?", (f"{site}/{self.gate}",)
        ).fetchone()
        return 1 if row is None else int(row[0]) + 1

    def _kept(self, key: str, value: str) -> str:
        self._database.execute("insert or ignore into meta values (?, ?)", (key, value))
        (kept,) = self._database.execute("select value from meta where key = ?", (key,)).fetchone()
        return str(kept)

    def _transaction(self) -> "_Transaction":
        return _Transaction(self._database, self._lock)


class _Transaction:
    """All of it or nothing."""

    def __init__(self, database: sqlite3.Connection, lock: threading.Lock) -> None:
        self._database = database
        self._lock = lock

    def __enter__(self) -> None:
        self._lock.acquire()
        self._database.execute("begin immediate")

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            self._database.execute("rollback" if kind else "commit")
        finally:
            self._lock.release()
