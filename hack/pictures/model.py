"""Reads a dashboard: its variables, its panels as Grafana lays them out, and what they ask of Prometheus.

Pure: knows the file and the values of the variables, asks nobody.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "charts" / "nnunet-operator" / "files" / "dashboards"
PATHS = sorted(FOLDER.glob("*.json"))
COLUMNS = 24
"""Columns of Grafana's grid."""

Dashboard = dict[str, Any]
Panel = dict[str, Any]
Value = str | list[str]
"""Of a variable: one value, or those that are chosen of several."""

_VARIABLE = re.compile(r"\$\{(\w+)(?::\w+)?\}|\$(\w+)")
_REGEX = re.compile(r"[\\^$.*+?()\[\]{}|]")
_EVERYTHING = ".*"


SILENT = {
    # Known at the end of a training only.
    "Proven epochs": "A",
    "Cross-validation Dice": "A",
    "Test Dice": "A",
    # One query for each phase or kind of phases: a training is in one of them.
    "Trainings that are not over, by phase": "BCDEF",
    # One query for each rank: there need not be a second namespace or class, or any error.
    "GPUs that trainings hold": "BCDEFGH",
    "Pseudo-Dice, fold $fold": "DEFGHIJK",
    "Failed API requests per second": "ABCDEF",
    # No copy on the node is asked for, and no network is compiled for a CPU.
    "Local copy": "A",
    "Read from the claim": "A",
    "Time for compiling": "A",
    # Nothing waits, nothing has failed, nobody is excepted.
    "Oldest that wait": "A",
    "Failures by reason": "A",
    "Exceptions": "AB",
    # Nothing is compared.
    "Comparisons": "A",
    "Verdicts": "ABC",
    "Arms side by side": "ABCDEFG",
    "Pseudo-Dice of the arms": "ABCDE",
    "Epochs of the arms": "ABCDE",
    "GPU-hours of the arms": "ABCDE",
}
"""Panels, as they are titled in the file, and those of their queries that find nothing while one healthy training runs
that is under a policy. All others must find something then, whatever their panel says where there is nothing."""


@dataclass(frozen=True)
class Span:
    """The time range of a dashboard."""

    start: float
    """Unix time."""
    end: float
    """Unix time."""
    scrape_seconds: float = 30.0
    """What the data source is told of the scrape interval."""

    @property
    def step(self) -> float:
        """Seconds between two points, for a panel of about 500 pixels."""
        return max(1.0, (self.end - self.start) / 500)

    @property
    def built_in(self) -> dict[str, str]:
        """Grafana's own variables. https://grafana.com/docs/grafana/latest/datasources/prometheus/template-variables/"""
        seconds = max(1, round(self.end - self.start))
        rate = max(self.step + self.scrape_seconds, 4 * self.scrape_seconds)
        return {
            "__range": f"{seconds}s",
            "__range_s": str(seconds),
            "__interval": f"{round(self.step)}s",
            "__rate_interval": f"{round(rate)}s",
        }


@dataclass(frozen=True)
class Query:
    """One query of a panel, ready for Prometheus."""

    panel: str
    """Title of the panel."""
    ref: str
    """Letter of the query within the panel."""
    expr: str
    """PromQL without variables."""
    legend: str
    """How its series are called, with {{label}} for the value of a label."""
    allowed_empty: bool
    """It may find nothing while a healthy training runs: it is in `SILENT`."""
    explained: bool
    """Where it finds nothing, at whatever time, the panel says why by `noValue`."""
    instant: bool
    """Asked at the end of the time range only."""
    table: bool
    """Its labels become columns."""


def load(path: Path) -> Dashboard:
    """Return the dashboard of a file."""
    dashboard: Dashboard = json.loads(path.read_text(encoding="utf-8"))
    return dashboard


def variables_of(dashboard: Dashboard) -> list[dict[str, Any]]:
    """Return the dashboard's variables, in their order."""
    found: list[dict[str, Any]] = dashboard["templating"]["list"]
    return found


def substitute(text: str, values: Mapping[str, Value]) -> str:
    """Put values in the place of $name and ${name}. Raises KeyError naming a variable that has none."""

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name not in values:
            raise KeyError(f"${name} has no value in {text!r}; there are: {', '.join(sorted(values))}")
        return _as_text(values[name])

    return _VARIABLE.sub(value, text)


def _as_text(value: Value) -> str:
    """Write several values as the alternatives of a regular expression, as Grafana does."""
    if isinstance(value, str):
        return value
    escaped = [_REGEX.sub(lambda found: "\\" + found[0], one).replace("\\", "\\\\") for one in value]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"


def panels(dashboard: Dashboard, values: Mapping[str, Value]) -> Iterator[tuple[Panel, dict[str, Value]]]:
    """Yield the panels with the values of their variables; one that repeats comes once for each value."""
    for panel in dashboard["panels"]:
        name = panel.get("repeat")
        chosen = values.get(name, _EVERYTHING) if name else ""
        if not isinstance(chosen, list):
            yield panel, {**values, **({name: chosen} if name else {})}
            continue
        across = min(len(chosen), panel["maxPerRow"])
        width = COLUMNS / max(across, 1)
        for number, one in enumerate(chosen):
            below, beside = divmod(number, across)
            place = panel["gridPos"]
            grid = {"x": beside * width, "y": place["y"] + below * place["h"], "w": width, "h": place["h"]}
            yield {**panel, "id": panel["id"] * 1000 + number, "gridPos": grid}, {**values, name: one}


def panel_queries(panel: Panel, values: Mapping[str, Value]) -> Iterator[Query]:
    """Yield the queries of one panel."""
    for target in panel.get("targets", []):
        yield Query(
            panel=substitute(panel["title"], values),
            ref=target["refId"],
            expr=substitute(target["expr"], values),
            legend=target.get("legendFormat", ""),
            allowed_empty=target["refId"] in SILENT.get(panel["title"], ""),
            explained="noValue" in panel["fieldConfig"]["defaults"],
            instant=bool(target.get("instant")),
            table=target.get("format") == "table",
        )


def queries(path: Path, variables: Mapping[str, Value], span: Span | None = None) -> list[Query]:
    """Return all queries of a dashboard.

    `variables` are the values of the dashboard's own; those that are left out take everything. `span` is the time
    range, the last hour without it.
    """
    dashboard = load(path)
    everything = {variable["name"]: _EVERYTHING for variable in variables_of(dashboard)}
    values = {**everything, **(span or Span(0, 3600)).built_in, **variables}
    return [query for panel, own in panels(dashboard, values) for query in panel_queries(panel, own)]
