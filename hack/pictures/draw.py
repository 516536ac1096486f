"""Draws dashboards: asks a Prometheus what their panels ask, and has the answers drawn in headless Chromium."""

import json
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from hack.pictures.model import (
    Dashboard,
    Query,
    Span,
    Value,
    load,
    panel_queries,
    panels,
    substitute,
    variables_of,
)
from hack.pictures.workshop import Workshop

Json = dict[str, Any]


class DrawError(Exception):
    """A dashboard can't be drawn, or a panel that must not be empty is."""


@dataclass(frozen=True)
class View:
    """What is looked at."""

    prometheus: str
    """URL of the Prometheus."""
    span: Span
    variables: Mapping[str, Value] = field(default_factory=dict)
    """Values of the dashboards' variables, as far as they are chosen."""
    theme: str = "light"


def draw(paths: Sequence[Path], view: View, output: Path, workshop: Workshop | None = None) -> list[Path]:
    """Draw each dashboard as dashboard-NAME.png in a folder and return the files.

    Raises DrawError naming what is empty or wrong, WorkshopError where a program is missing.
    """
    inputs = {path: page(load(path), view) for path in paths}
    shop = workshop or Workshop()
    bundle = shop.bundle()
    with tempfile.TemporaryDirectory() as scratch:
        jobs, pictures = [], []
        for path, content in inputs.items():
            source, picture = Path(scratch) / f"{path.stem}.json", Path(scratch) / f"dashboard-{path.stem}.png"
            source.write_text(json.dumps(content))
            jobs.append({"input": str(source), "output": str(picture), "time": view.span.end * 1000})
            pictures.append(picture)
        file = Path(scratch) / "jobs.json"
        file.write_text(json.dumps(jobs))
        shop.node("shoot.mjs", shutil.which("chromium") or "chromium", str(bundle), str(shop.icons), str(file))
        output.mkdir(parents=True, exist_ok=True)
        return [Path(shutil.copy(picture, output)) for picture in pictures]


def page(dashboard: Dashboard, view: View) -> Json:
    """Return what the page is given of a dashboard. Raises DrawError where a panel is empty that must not be."""
    chosen = dict(_variables(dashboard, view))
    values = {**view.span.built_in, **chosen}
    drawn, empty = [], []
    for panel, own in panels(dashboard, values):
        answers = []
        for query in panel_queries(panel, own):
            series = ask(view, query)
            if not series and not (query.allowed_empty or query.explained):
                empty.append(
                    f"{dashboard['title']}, panel {query.panel!r}, query {query.ref}: no data for {query.expr}"
                )
            answers.append({"ref": query.ref, "legend": query.legend, "table": query.table, "series": series})
        drawn.append({**panel, "title": substitute(panel["title"], own), "answers": answers})
    if empty:
        raise DrawError("\n".join(empty))
    labels = {variable["name"]: variable.get("label", variable["name"]) for variable in variables_of(dashboard)}
    return {
        "title": dashboard["title"],
        "theme": view.theme,
        "from": view.span.start,
        "to": view.span.end,
        "variables": [
            {"label": labels[name], "value": value if isinstance(value, str) and value != ".*" else "All"}
            for name, value in chosen.items()
            if name != "datasource"
        ],
        "links": [link["title"] for link in dashboard["links"]],
        "panels": drawn,
    }


def _variables(dashboard: Dashboard, view: View) -> Iterator[tuple[str, Value]]:
    """Yield the values of a dashboard's variables. Where none is given: the first, as Grafana does, or all."""
    repeated = {panel.get("repeat") for panel in dashboard["panels"]}
    known: dict[str, Value] = {"datasource": "prometheus"}
    for variable in variables_of(dashboard):
        name = variable["name"]
        if name in view.variables:
            known[name] = view.variables[name]
        elif name in repeated or (not variable["multi"] and name not in known):
            found = label_values(substitute(variable["query"]["query"], known), view)
            known[name] = found if variable["multi"] else found[0]
        known.setdefault(name, ".*")
        yield name, known[name]


def label_values(query: str, view: View) -> list[str]:
    """Answer label_values(SERIES, LABEL). Raises DrawError where there are none."""
    series, _, label = query.removeprefix("label_values(").removesuffix(")").rpartition(",")
    answer = _get(view, "/api/v1/series", {"match[]": series, **_range(view.span)})
    found = sorted({one[label.strip()] for one in answer if label.strip() in one})
    if not found:
        raise DrawError(f"{query} finds nothing at {view.prometheus} in the time range: see --from and --to")
    return found


def ask(view: View, query: Query) -> list[Json]:
    """Return the series of a query, as `metric` and `values`."""
    if query.instant:
        found = _get(view, "/api/v1/query", {"query": query.expr, "time": str(view.span.end)})
        if found["resultType"] == "scalar":
            return [{"metric": {}, "values": [found["result"]]}]
        return [{"metric": one["metric"], "values": [one["value"]]} for one in found["result"]]
    step = {"step": str(view.span.step)}
    series: list[Json] = _get(view, "/api/v1/query_range", {"query": query.expr, **_range(view.span), **step})["result"]
    return [{**one, "values": _with_gaps(one["values"], view.span.step)} for one in series]


def _with_gaps(points: list[list[Any]], step: float) -> list[list[Any]]:
    """Put a point without a value where points are missing, as Grafana does: lines must not bridge gaps."""
    result: list[list[Any]] = []
    for point in points:
        if result and point[0] - result[-1][0] > 1.5 * step:
            result.append([result[-1][0] + step, "NaN"])
        result.append(point)
    return result


def _range(span: Span) -> dict[str, str]:
    return {"start": str(span.start), "end": str(span.end)}


def _get(view: View, path: str, query: Mapping[str, str]) -> Any:
    try:
        with urllib.request.urlopen(f"{view.prometheus}{path}?{urlencode(query)}", timeout=60) as answer:
            return json.load(answer)["data"]
    except urllib.error.HTTPError as error:
        text = error.read().decode(errors="replace")
        raise DrawError(f"{query.get('query', path)}: {text[:500]}") from None
    except urllib.error.URLError as error:
        raise DrawError(f"no Prometheus at {view.prometheus}: {error.reason}; give its URL with --prometheus") from None
