"""Pure. Plots as SVG text: lines over time, stacked shares, bars. Small on purpose.

Colours come from the page (`var(--c0)` and on), so that it can be read in light and dark.
"""

from collections.abc import Sequence
from html import escape
from math import ceil, floor, isfinite, log10

WIDE, HIGH = 560, 200
LEFT, RIGHT, TOP, BOTTOM = 68, 18, 8, 24
TICKS = 4

THOUSAND = 1000.0
_FIGURE = (".4g", ",.0f")
"""How figures are written: below a thousand, and from there on."""

Values = Sequence[float | None]


def colour(at: int) -> str:
    return f"var(--c{at % 8})"


def lines(
    series: Sequence[tuple[str, Values]], end_s: float, *, unit: str, floor_: float | None = None
) -> str:
    """Draw one line for each series over the run; `None` leaves a gap."""
    known = [value for _, values in series for value in values if value is not None]
    low, high = _range(known, floor_)
    body = [_frame(low, high, end_s, unit)]
    for at, (name, values) in enumerate(series):
        path = _path(values, low, high)
        body.append(
            f'<path d="{path}" fill="none" stroke="{colour(at)}" stroke-width="1.6">'
            f"<title>{escape(name)}</title></path>"
        )
    return _svg(body, WIDE, HIGH)


def stacked(series: Sequence[tuple[str, Sequence[float]]], end_s: float) -> str:
    """Draw shares (each 0 to 1) on top of each other."""
    body = [_frame(0.0, 100.0, end_s, "%")]
    size = len(series[0][1]) if series else 0
    below = [0.0] * size
    for at, (name, values) in enumerate(series):
        above = [low + value for low, value in zip(below, values, strict=True)]
        upper = [_point(x, size, 100.0 * y, (0.0, 100.0)) for x, y in enumerate(above)]
        lower = [_point(x, size, 100.0 * y, (0.0, 100.0)) for x, y in enumerate(below)]
        outline = " ".join(f"{x:.1f},{y:.1f}" for x, y in (*upper, *reversed(lower)))
        body.append(
            f'<polygon points="{outline}" fill="{colour(at)}" opacity="0.75">'
            f"<title>{escape(name)}</title></polygon>"
        )
        below = above
    return _svg(body, WIDE, HIGH)


def bars(values: Sequence[tuple[str, float]], *, mark: float, unit: str) -> str:
    """Draw bars on a logarithmic scale, and a line at `mark`; nothing has no bar, and its line."""
    shown = [(at, *one) for at, one in enumerate(values) if isfinite(one[1])]
    drawn = [value for _, _, value in shown if value > 0]
    top, low = max([*drawn, mark * 10.0]), min([*drawn, mark])
    row, left, wide = 24, 130, WIDE - 130 - 80

    def x(value: float) -> float:
        return left + (wide * log10(value / low) / log10(top / low) if value > 0 else 0.0)

    body = []
    for line, (at, name, value) in enumerate(shown):
        y, long = TOP + line * row, max(1.0, x(value) - left) if value > 0 else 0.0
        body.append(
            f'<text x="{left - 8}" y="{y + 13}" text-anchor="end">{escape(name)}</text>'
            f'<rect x="{left}" y="{y + 2}" width="{long:.1f}" height="14" '
            f'fill="{colour(at)}"/><text x="{x(value) + 6:.1f}" y="{y + 13}">'
            f"{format(value, _FIGURE[value >= THOUSAND])}{escape(unit)}</text>"
        )
    high = TOP + len(shown) * row
    body.append(
        f'<line x1="{x(mark):.1f}" x2="{x(mark):.1f}" y1="{TOP}" y2="{high}" class="axis"/>'
    )
    return _svg(body, WIDE, high + 8)


def _svg(body: Sequence[str], wide: int, high: int) -> str:
    return (
        f'<svg viewBox="0 0 {wide} {high}" width="{wide}" height="{high}" role="img">'
        f"{''.join(body)}</svg>"
    )


def _range(known: Sequence[float], floor_: float | None) -> tuple[float, float]:
    low = min(known, default=0.0) if floor_ is None else floor_
    high = max(known, default=1.0)
    if high - low < 1e-12:  # noqa: PLR2004  # one value: give it room
        return low, low + (abs(low) or 1.0)
    step = 10.0 ** floor(log10((high - low) / TICKS))
    return floor(low / step) * step, ceil(high / step) * step


def _frame(low: float, high: float, end_s: float, unit: str) -> str:
    body = []
    for tick in range(TICKS + 1):
        value = low + (high - low) * tick / TICKS
        _, y = _point(0, 2, value, (low, high))
        body.append(
            f'<line x1="{LEFT}" x2="{WIDE - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>'
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">'
            f"{value:.3g}{escape(unit)}</text>"
        )
    for tick in range(TICKS + 1):
        x = LEFT + (WIDE - LEFT - RIGHT) * tick / TICKS
        body.append(
            f'<text x="{x:.1f}" y="{HIGH - 6}" text-anchor="middle">'
            f"{end_s * tick / TICKS:.4g} s</text>"
        )
    return "".join(body)


def _point(at: int, size: int, value: float, span: tuple[float, float]) -> tuple[float, float]:
    low, high = span
    x = LEFT + (WIDE - LEFT - RIGHT) * at / max(1, size - 1)
    share = (value - low) / (high - low)
    return x, HIGH - BOTTOM - (HIGH - TOP - BOTTOM) * share


def _path(values: Values, low: float, high: float) -> str:
    parts, pen = [], "M"
    for at, value in enumerate(values):
        if value is None:
            pen = "M"
            continue
        x, y = _point(at, len(values), value, (low, high))
        parts.append(f"{pen}{x:.1f},{y:.1f}")
        pen = "L"
    return " ".join(parts)
