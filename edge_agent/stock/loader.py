"""Loads variants on a thread of its own: bytes, runtime, smoke test, measurement, in that order.

One at a time, so that loads do not measure each other. When to load is the agent's decision.
"""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Event

from edge_agent import profiler
from edge_agent.bundles import smoke
from edge_agent.bundles.store import Held
from edge_agent.profiler import Now, Profiles
from edge_agent.queue.threads import Threads
from edge_agent.runtimes import registry
from edge_agent.runtimes.base import Runtime
from edge_agent.stock.holdings import Holding
from edge_agent.stock.measurement import Measurement
from protocol.bundles import Format, RuntimePin, Task, Variant
from protocol.errors import ExecutionError, MeshError, UntrustedError

log = logging.getLogger(__name__)

LoadVariant = Callable[[Variant, bytes, int, Task], Runtime]
"""As `registry.load`: variant, verified bytes, threads, task."""


@dataclass(frozen=True, slots=True)
class Warm:
    """A variant that is loaded and passed its smoke test."""

    runtime: Runtime
    load_ms: float
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Unloadable:
    """One that is not, and why; `for_good` when its bytes are not to be trusted."""

    detail: str
    for_good: bool


@dataclass(frozen=True, slots=True)
class Unmeasured:
    """A variant that is loaded, as it was when its measurement went on."""

    held: Held
    pin: RuntimePin
    runtime: Runtime
    measurement: Measurement


class Loader:
    """The loader's thread. Each job ends with a call of `done` on that thread."""

    def __init__(
        self, profiles: Profiles, load: LoadVariant, *,
        threads: int, hardware: str, now: Now = time.perf_counter,
    ) -> None:  # fmt: skip
        self._profiles = profiles
        self._load = load
        self._threads = threads
        self._hardware = hardware
        self._now = now
        self._thread = Threads(1, "load")
        self._halted = Event()

    def prepare(self, formats: Iterable[Format]) -> None:
        """Import the runtimes that these need, except torch: seconds and memory few nodes want."""
        for form in formats:
            if form != "pt2":
                self._thread.submit(partial(_prepare, form))

    def aside(self, work: Callable[[], None]) -> None:
        """Do `work`, which raises nothing, after what was begun."""
        self._thread.submit(work)

    def load(
        self,
        holding: Holding,
        evicted: Sequence[Runtime],
        done: Callable[[Warm | Unloadable], None],
    ) -> None:
        """Close what is evicted, then load."""
        self._thread.submit(lambda: done(self._loaded(holding, evicted)))

    def measure(self, one: Unmeasured, done: Callable[[Measurement | None], None]) -> None:
        """Go on with its measurement, until that is whole or `halt` is called.

        Nobody else may call its runtime, or look at what is known, meanwhile. One at a time. `done`
        gets what is known; nothing if it does not run.
        """
        self._halted.clear()
        self._thread.submit(lambda: done(self._measured(one)))

    def halt(self) -> None:
        """Measure no more than the run under way."""
        self._halted.set()

    def dispose(self, runtimes: Sequence[Runtime]) -> None:
        """Give back their memory."""
        self._thread.submit(lambda: _close(runtimes))

    async def finished(self) -> None:
        """Return when all that was begun is done."""
        await self._thread.finished()

    async def close(self) -> None:
        """Finish what was begun, and end the thread."""
        await self._thread.close()

    def _loaded(self, holding: Holding, evicted: Sequence[Runtime]) -> Warm | Unloadable:
        _close(evicted)
        variant = holding.held.variant
        try:
            data = holding.held.read()
            runtime, load_ms, memory_bytes = profiler.loaded(
                partial(self._tried, holding), variant, data, self._threads, now=self._now
            )
        except MeshError as error:
            log.warning("%s is not loaded: %s", variant.id, error)
            return Unloadable(error.error, isinstance(error, UntrustedError))
        except Exception:  # the border to foreign code, which raises what it likes
            log.exception("%s is not loaded", variant.id)
            return Unloadable("it cannot be loaded", for_good=False)
        return Warm(runtime, load_ms, memory_bytes)

    def _tried(self, holding: Holding, variant: Variant, data: bytes, threads: int) -> Runtime:
        """Load it and run its golden inputs: nobody is served before, so that is of its load."""
        runtime = self._load(variant, data, threads, holding.held.task)
        try:
            inputs, outputs = holding.held.goldens()
            smoke.check(runtime, inputs, outputs, variant.tolerance)
        except BaseException:
            runtime.close()
            raise
        return runtime

    def _measured(self, one: Unmeasured) -> Measurement | None:
        variant = one.held.variant
        try:
            profiler.go_on(
                one.measurement, one.runtime, one.held.task,
                now=self._now, sample=one.held.goldens()[0] or None, halted=self._halted.is_set,
            )  # fmt: skip
        except MeshError as error:
            log.warning("%s is not measured: %s", variant.id, error)
            return None
        except Exception:  # the border to foreign code, which raises what it likes
            log.exception("%s is not measured", variant.id)
            return None
        if one.measurement.rows is None:
            self._keep(one)
        return one.measurement

    def _keep(self, one: Unmeasured) -> None:
        """Only what is whole: the next session would not go on with it."""
        variant = one.held.variant
        try:
            self._profiles.put(variant, one.pin, self._hardware, one.measurement.profile())
        except OSError as error:  # a full disk: it is measured again after a restart
            log.warning("the profile of %s is not kept: %s", variant.id, error.strerror)


def _prepare(form: Format) -> None:
    try:
        registry.prepare(form)
    except ImportError:  # the first load says so to whoever asks
        log.exception("the runtime for %s cannot be imported", form)


def _close(runtimes: Sequence[Runtime]) -> None:
    for runtime in runtimes:
        try:
            runtime.close()
        except ExecutionError as error:
            log.warning("a runtime did not close: %s", error)
