"""What is to be sent, kept on a disk until it has been taken: through a cut and a restart.

It may be sent twice, where the reply was lost; its id never changes, so whoever takes it can tell.
The table lies in a database of its owner's, so that what is counted and what is to be told of it
are kept together or not at all. Sends nothing itself.
"""

import sqlite3
from typing import NamedTuple


class Item(NamedTuple):
    """One message that has not been taken yet."""

    id: str
    subject: str
    data: bytes


class Outbox:
    """A table of an open database. Its methods belong in a transaction of the caller's."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        database.execute(
            "create table if not exists outbox (place integer primary key autoincrement, "
            "id text not null unique, subject text not null, data blob not null, "
            "tried integer not null default 0)"
        )

    def __len__(self) -> int:
        (count,) = self._database.execute("select count(*) from outbox").fetchone()
        return int(count)

    def put(self, item: Item) -> None:
        """Queue it. An id that is queued already is what was queued first."""
        self._database.execute(
            "insert or ignore into outbox (id, subject, data) values (?, ?, ?)", item
        )

    def untried(self) -> Item | None:
        """The last one, if it was never tried: nobody can have seen it, so it may still change."""
        row = self._database.execute(
            "select id, subject, data, tried from outbox order by place desc limit 1"
        ).fetchone()
        return None if row is None or row[3] else Item(*row[:3])

    def amend(self, item: Item) -> None:
        """Change one that was never tried."""
        self._database.execute(
            "update outbox set data = ? where id = ? and tried = 0", (item.data, item.id)
        )

    def to_try(self, limit: int) -> tuple[Item, ...]:
        """The oldest ones; from now on they count as tried."""
        rows = self._database.execute(
            "select place, id, subject, data from outbox order by place limit ?", (limit,)
        ).fetchall()
        if rows:
            self._database.execute("update outbox set tried = 1 where place <= ?", (rows[-1][0],))
        return tuple(Item(*row[1:]) for row in rows)

    def taken(self, message_id: str) -> None:
        """It has arrived."""
        self._database.execute("delete from outbox where id = ?", (message_id,))
