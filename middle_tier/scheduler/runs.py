"""Pure. Run times of many groups at once: `edge_agent.admission.run_ms`, as columns."""

from bisect import bisect_left

import numpy as np
import numpy.typing as npt

from middle_tier.scheduler.columns import Columns
from protocol.types import QUANTILES

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]


def at_percentile(quantiles_ms: Floats, percentile: float) -> Floats:
    """`protocol.types.Latency.at` over the last axis of a column of distributions."""
    right = bisect_left(QUANTILES, percentile)
    if right == 0:
        return quantiles_ms[..., 0]
    if right == len(QUANTILES):
        return quantiles_ms[..., -1]
    high = quantiles_ms[..., right]
    if QUANTILES[right] == percentile:
        return high
    low = quantiles_ms[..., right - 1]
    share = (percentile - QUANTILES[right - 1]) / (QUANTILES[right] - QUANTILES[right - 1])
    positive = low > 0
    log_low = np.log(np.where(positive, low, 1.0))
    log_high = np.log(np.where(positive, high, 1.0))
    curved = np.exp(log_low + share * (log_high - log_low))
    return np.where(positive, curved, low + share * (high - low))


def run_ms(columns: Columns, rows: Rows, batch: int, percentile: float) -> Floats:
    """Run time of `batch` together in each of `rows`, uncorrected, at `percentile`."""
    sizes = columns.batch_rows[rows]
    quantiles = columns.batch_ms[rows]
    times = at_percentile(quantiles, percentile)
    each = np.arange(len(rows))
    last = np.isfinite(sizes).sum(axis=1) - 1
    largest = sizes[each, last]
    whole, rest = np.divmod(float(batch), largest)
    fits = np.minimum((sizes < rest[:, None]).sum(axis=1), last)
    if not whole.any():
        alone: Floats = times[each, fits]
        return alone
    several, typical = whole > 0, at_percentile(quantiles, 50.0)
    remainder = np.where(several, typical[each, fits], times[each, fits])
    partial = np.where(rest > 0, remainder, 0.0)
    others = np.maximum(whole - 1.0, 0.0) * typical[each, last]
    total: Floats = np.where(several, times[each, last], 0.0) + others + partial
    return total
