"""Trying a version before it is switched in: each variant that can run here, on its golden inputs.

A `.pt2` is tried when it is first loaded, before it serves, unless torch is in memory already:
importing torch takes seconds and memory that few nodes want to spend for an update.
"""

import sys
from collections.abc import Callable

from edge_agent.bundles import pt2, smoke
from edge_agent.bundles.opened import Bundle
from edge_agent.bundles.store import goldens, unfit
from edge_agent.bundles.updater import Trial
from edge_agent.runtimes import registry
from protocol.bundles import Format, RuntimePin, Variant
from protocol.errors import ExecutionError, UntrustedError


def able(pins: dict[Format, RuntimePin], hardware: str) -> Callable[[Variant], bool]:
    """Return what says whether a variant can run here."""
    return lambda variant: unfit(variant, pins, hardware) is None


def trying(can: Callable[[Variant], bool], threads: int) -> Trial:
    """Return the trial of a node with these runtimes."""

    def attempt(bundle: Bundle, variant: Variant, data: bytes) -> None:
        if variant.format == "pt2":
            pt2.screen(data)
        if can(variant) and (variant.format != "pt2" or "torch" in sys.modules):
            _tried(bundle, variant, data, threads)

    return attempt


def _tried(bundle: Bundle, variant: Variant, data: bytes, threads: int) -> None:
    try:
        runtime = registry.load(variant, data, threads, bundle.manifest.task)
    except ExecutionError as error:
        raise UntrustedError(f"{variant.id}: {error.error}", error.hint) from error
    try:
        inputs, outputs = goldens(bundle.golden, bundle.golden_outputs, variant.id)
        # 1. It answers its golden inputs as its builder saw.
        smoke.check(runtime, inputs, outputs, variant.tolerance)
    finally:
        runtime.close()
