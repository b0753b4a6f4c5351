"""What nodes and gates refused to trust, from their stream into the audit log, each once.

What was taken is told by the log itself: an entry names the journal and number that it came with,
so that no second file could disagree with it. How much one may say is `bounds`'.
"""

import asyncio
import logging
from collections.abc import Iterable

from cloud_core.audit.bounds import Bounds
from cloud_core.audit.chain import parsed
from cloud_core.audit.log import AuditLog
from edge_agent.bus.streams import Most, Streams
from edge_agent.clock import Clock
from edge_agent.reports.report import EVENT, KINDS, MAX_BYTES, Report, read
from protocol.errors import BadRequestError, DecodeError
from protocol.subjects import EventSubject

log = logging.getLogger(__name__)

STREAM = "AUDIT"
ALL = EventSubject.pattern(kind=EVENT)
"""What the stream holds."""
MOST = Most(messages=64, bytes=MAX_BYTES + 1024)
"""Of each node, with headers: a flood fills its own place in the stream, and nobody else's."""
LOOK_S = 5.0
"""Between two looks for what was suppressed and may be said."""
MAX_JOURNALS = 4
"""Of a node, of which it is known how far they were taken: a new one comes with a wiped disk."""


class Marks:
    """How far each journal was taken. The mutable state is that, by site and node."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], dict[str, int]] = {}

    def new(self, site: str, node: str, report: Report) -> bool:
        """Whether it has not come before."""
        known = self._last.get((site, node), {})
        return report.number > known.get(report.journal, 0)

    def take(self, site: str, node: str, journal: str, number: int) -> None:
        """It was written down."""
        known = self._last.setdefault((site, node), {})
        known[journal] = max(number, known.pop(journal, 0))
        if len(known) > MAX_JOURNALS:
            del known[next(iter(known))]

    def recall(self, lines: Iterable[str]) -> None:
        """Take what the log says. A line that is none is not this module's to complain of."""
        for line in lines:
            if '"journal":' not in line:
                continue
            try:
                entry = parsed(line)
            except BadRequestError:
                continue
            if entry.kind in KINDS:
                said = entry.fields
                number = said.get("number")
                if isinstance(number, int):
                    place = str(said.get("site")), str(said.get("node"))
                    self.take(*place, str(said.get("journal")), number)


class Gathering:
    """The mutable state is how far journals were taken, and how much was said of late."""

    def __init__(self, audit: AuditLog, clock: Clock) -> None:
        self._audit = audit
        self._clock = clock
        self._marks = Marks()
        self._bounds = Bounds()

    async def gather(self, streams: Streams) -> None:
        """Write down what nodes tell, for ever."""
        await asyncio.to_thread(self._marks.recall, self._audit.lines())
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(streams.take(STREAM, ALL, self.deal, most=MOST))
            tasks.create_task(self._look())

    async def deal(self, subject: str, data: bytes) -> None:
        """Take one message: whose it is, the subject says."""
        try:
            whose = EventSubject.parse(subject)
        except DecodeError as error:
            log.warning("a report is nobody's: %s", error)
            return
        try:
            report = read(data)
        except DecodeError as error:
            self._refused(whose, error)
            return
        if not self._marks.new(whose.site, whose.node, report):
            return
        if self._bounds.admit(whose.site, whose.node, self._clock.now()):
            await asyncio.to_thread(self._write, whose, report)
            self._marks.take(whose.site, whose.node, report.journal, report.number)

    async def _look(self) -> None:
        while True:
            await self._clock.sleep(LOOK_S)
            for one in self._bounds.due(self._clock.now()):
                await asyncio.to_thread(self._record, "reports-suppressed", **one._asdict())

    def _write(self, whose: EventSubject, report: Report) -> None:
        told = report.model_dump(exclude={"kind", "at", "unsaid"})
        told |= {"node_at": report.at} | ({"unsaid": report.unsaid} if report.unsaid else {})
        self._audit.record(report.kind, site=whose.site, node=whose.node, **told)

    def _refused(self, whose: EventSubject, error: DecodeError) -> None:
        if self._bounds.admit(whose.site, whose.node, self._clock.now()):
            self._record("report-refused", site=whose.site, node=whose.node, error=error.error)

    def _record(self, kind: str, **fields: str | int) -> None:
        try:
            self._audit.record(kind, **fields)
        except OSError as error:  # a full disk must not end the cloud
            log.warning("%s is not written down: %s", kind, error)
