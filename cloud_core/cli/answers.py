"""How an answer and a plan look: to a person as tables, to a program as the gate's own JSON."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from rich.markup import escape

from cloud_core.cli import show
from edge_agent.runtimes.base import DTYPES, Array
from middle_tier.http.wirecall import Result
from middle_tier.scheduler.filters import TOO_DEAR

CLASSES = {"scores", "logits", "probabilities", "probs"}
"""Outputs of these names are read as one figure per class: the highest is the answer."""
MAX_ROWS = 20
MAX_VALUES = 6

FIELDS = (
    "variant", "architecture", "node", "site", "tier", "predicted_ms", "elapsed_ms", "cost_usd",
    "met",
)  # fmt: skip
PARTS = ("link", "queue", "cold", "run", "finish ms")
COSTS = ("run USD", "of it energy", "bytes USD", "cost USD")
CANDIDATE = ("variant", "accuracy", "hardware", "tier", "site", "node", "warm", *PARTS, *COSTS)
REJECTED = ("variant", "hardware", "tier", "site", "warm", "nodes", *PARTS, "cost USD", "why not")
_NAMES = {dtype: name for name, dtype in DTYPES.items()}


def document(task: str, result: Result) -> dict[str, Any]:
    """Pure. Return the answer as the Open Inference Protocol writes it."""
    parameters = {name: getattr(result, name) for name in FIELDS}
    if result.plan is not None:
        parameters["plan"] = result.plan
    return {
        "model_name": task,
        "model_version": result.variant,
        "id": result.id,
        "outputs": [
            {
                "name": name,
                "datatype": _NAMES[array.dtype],
                "shape": list(array.shape),
                "data": array.ravel().tolist(),
            }
            for name, array in result.outputs.items()
        ],
        "parameters": parameters,
    }


def show_result(task: str, result: Result) -> None:
    """Print the outputs, and how they came about."""
    for name, array in result.outputs.items():
        said = escape(outcome(name, array))
        show.console.print(f"[bold]{task}[/] {said}", highlight=False)
    show.fields((name, figure(name, getattr(result, name))) for name in FIELDS)


def outcome(name: str, array: Array) -> str:
    """Pure. Return an output in words."""
    if name in CLASSES and array.ndim == 2 and array.size:  # noqa: PLR2004  # rows and classes
        best = [str(place) for place in np.argmax(array, axis=1)[:MAX_ROWS]]
        more = f", and {len(array) - MAX_ROWS} more" if len(array) > MAX_ROWS else ""
        return f"{'class' if len(array) == 1 else 'classes'} {', '.join(best)}{more}"
    values = ", ".join(f"{value:.4g}" for value in array.ravel()[:MAX_VALUES])
    more = ", ..." if array.size > MAX_VALUES else ""
    return f"{name} {list(array.shape)}: {values}{more}"


def figure(name: str, value: object) -> object:
    """Pure. Return a value with its unit, where it has one."""
    if not isinstance(value, float):
        return value
    if name.endswith("_ms"):
        return f"{value:.2f} ms"
    if name.endswith("_usd"):
        return f"{value:.3g} USD"
    return value


def show_plan(plan: Mapping[str, Any]) -> None:
    """Print the candidates, best first, and why each other one is out."""
    ranked, late = plan["ranked"], plan.get("fallback", ())
    if not ranked:
        show.plain("; ".join(("nothing meets the want now", *could(plan))))
    if ranked or late:
        title = "candidates, best first" if ranked else "late, as the policy takes the fastest"
        show.table(CANDIDATE, (_candidate(one) for one in ranked or late), title=title)
    if plan["rejected"]:
        show.console.print()
        show.table(REJECTED, (_rejected(one) for one in plan["rejected"]), title="out")


def could(plan: Mapping[str, Any]) -> list[str]:
    """Pure. Return what could be had instead of what was wanted."""
    found = []
    if plan.get("fastest_ms") is not None:
        found.append(f"the fastest at that accuracy takes {plan['fastest_ms']:.2f} ms")
    if plan.get("best_accuracy") is not None:
        found.append(f"the best accuracy in that time is {plan['best_accuracy']:.4g}")
    dear = [one["cost_usd"] for one in plan["rejected"] if one["reason"] == TOO_DEAR]
    if dear:
        found.append(f"the cheapest that would meet it costs {min(dear):.3g} USD")
    return found


def _candidate(one: Mapping[str, Any]) -> tuple[object, ...]:
    place = (one["hardware"], one["tier"], one["site"], one["node"], one["warm"])
    costs = (_usd(one.get(name)) for name in ("busy_usd", "energy_usd", "bytes_usd", "cost_usd"))
    return (one["variant"], one["accuracy"], *place, *_parts(one), *costs)


def _rejected(one: Mapping[str, Any]) -> tuple[object, ...]:
    place = (one["hardware"], one["tier"], one["site"], one["warm"], one["nodes"])
    return (one["variant"], *place, *_parts(one), _usd(one["cost_usd"]), one["reason"])


def _parts(one: Mapping[str, Any]) -> tuple[str, ...]:
    """What a finish is made of, in ms; the way of the tensors is part of the link."""
    link_ms, transfer_ms = one.get("link_ms"), one.get("transfer_ms")
    whole = None if link_ms is None else link_ms + (transfer_ms or 0.0)
    return tuple(
        "-" if ms is None else f"{ms:.2f}"
        for ms in (whole, *(one.get(f"{name}_ms") for name in ("queue", "cold", "run", "finish")))
    )


def _usd(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
