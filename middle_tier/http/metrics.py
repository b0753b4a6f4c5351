"""The tally as Prometheus text: gathered when scraped, so that a query only adds to plain numbers.

Labels are bounded: task, tier, outcome. Never a tenant, a node, a request or anything sent.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from middle_tier.http.tally import BUCKETS_MS, Tally

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

SECOND = (
    ("hedged", "Queries for which a second node was asked, as the first was late"),
    ("escalated", "Queries asked anew of a better variant, as an edge answer was unsure"),
)


class Metrics(Collector):
    """A gate's figures, for one registry of its own."""

    def __init__(
        self,
        tally: Tally,
        nodes: Callable[[], dict[str, int]],
        counts: Callable[[], Mapping[str, int]],
    ) -> None:
        self._tally = tally
        self._nodes = nodes
        """Counts nodes by health."""
        self._counts = counts
        """What the router has counted."""

    def text(self) -> bytes:
        """What ``/metrics`` answers."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return generate_latest(registry)

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        yield self._queries()
        yield self._latency()
        yield from self._sums()
        for name, said in SECOND:
            yield CounterMetricFamily(f"tiermesh_{name}", said, value=self._counts().get(name, 0))
        nodes = GaugeMetricFamily("tiermesh_nodes", "Nodes in the view", labels=["health"])
        for health, number in self._nodes().items():
            nodes.add_metric([health], number)
        yield nodes
        yield GaugeMetricFamily(
            "tiermesh_start_time_seconds", "When counting began", value=self._tally.started
        )

    def _queries(self) -> Metric:
        queries = CounterMetricFamily(
            "tiermesh_queries", "Queries by outcome", labels=["task", "tier", "outcome"]
        )
        for labels, number in self._tally.outcomes.items():
            queries.add_metric(labels, number)
        return queries

    def _latency(self) -> Metric:
        latency = HistogramMetricFamily(
            "tiermesh_elapsed_ms", "From request to answer at this gate", labels=["task", "tier"]
        )
        bounds = [*(str(float(bound)) for bound in BUCKETS_MS), "+Inf"]
        for labels, served in self._tally.by_tier().items():
            counts = accumulate(served.buckets)
            latency.add_metric(
                labels, list(zip(bounds, counts, strict=True)), sum_value=served.elapsed_ms
            )
        return latency

    def _sums(self) -> Iterator[Metric]:
        rows = CounterMetricFamily("tiermesh_rows", "Rows answered", labels=["task", "tier"])
        cold = CounterMetricFamily(
            "tiermesh_cold_answers", "Answers that waited for a load", labels=["task", "tier"]
        )
        cost = CounterMetricFamily(
            "tiermesh_cost_usd", "Cost of the answers", labels=["task", "tier"]
        )
        for labels, served in self._tally.by_tier().items():
            rows.add_metric(labels, served.rows)
            cold.add_metric(labels, served.cold)
            cost.add_metric(labels, served.cost_usd)
        yield from (rows, cold, cost)
