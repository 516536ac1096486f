"""The dashboards' files: complete, on a grid without overlaps, in colours that everybody can tell apart, about metrics
that exist. What Grafana's schema and a real Prometheus say of them is tested in tests/integration/dashboards."""

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.dashboards.model import COLUMNS, PATHS, Panel, load, queries, variables_of
from tests.tools.metrics_reference import operator_metrics, trainer_metrics

NAMES = {"fleet", "training", "operator", "compliance"}
TYPES = {"stat", "table", "timeseries"}
OKABE_ITO = {"#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442"}
COLOURS = OKABE_ITO | {"#808080", "text"}
DESCRIBED = {metric.name: metric for metric in (*trainer_metrics(), *operator_metrics())}
OF_THE_SCRAPE = {"job", "instance", "pod", "le"}
DASHBOARDS = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


def panels_of(path: Path) -> list[Panel]:
    panels: list[Panel] = load(path)["panels"]
    return panels


def values(thing: Any, key: str) -> list[Any]:
    """Return all values of a key, at any depth."""
    if isinstance(thing, list):
        return [value for item in thing for value in values(item, key)]
    if not isinstance(thing, dict):
        return []
    return [*([thing[key]] if key in thing else []), *(value for item in thing.values() for value in values(item, key))]


def test_there_are_four_with_the_names_that_links_use() -> None:
    assert {path.stem: load(path)["uid"] for path in PATHS} == {name: f"nnunet-{name}" for name in NAMES}


@DASHBOARDS
def test_file_is_written_as_all_are(path: Path) -> None:
    expected = json.dumps(load(path), indent=2, ensure_ascii=False) + "\n"
    assert path.read_text(encoding="utf-8") == expected, (
        "write it with two spaces of indentation, as Grafana exports it"
    )


@DASHBOARDS
def test_every_panel_says_what_it_shows_and_in_which_unit(path: Path) -> None:
    ids = [panel["id"] for panel in panels_of(path)]
    assert len(set(ids)) == len(ids)
    for panel in panels_of(path):
        assert panel["type"] in TYPES, f"{panel['title']}: the tests draw {sorted(TYPES)} only"
        assert len(panel["description"]) > 20, panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]


@DASHBOARDS
def test_panels_fill_the_grid_and_do_not_overlap(path: Path) -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in panels_of(path):
        grid = panel["gridPos"]
        for cell in itertools.product(range(grid["x"], grid["x"] + grid["w"]), range(grid["y"], grid["y"] + grid["h"])):
            assert cell[0] < COLUMNS, panel["title"]
            assert cell not in taken, f"{panel['title']!r} lies on {taken[cell]!r}"
            taken[cell] = panel["title"]
    bottom = max(y for _, y in taken) + 1
    assert len(taken) == COLUMNS * bottom, "there is a hole in the grid"


@DASHBOARDS
def test_data_come_from_the_source_that_is_chosen(path: Path) -> None:
    dashboard = load(path)
    first, *others = variables_of(dashboard)
    assert (first["name"], first["type"], first["query"]) == ("datasource", "datasource", "prometheus")
    sources = [*values(dashboard["panels"], "datasource"), *(variable["datasource"] for variable in others)]
    assert sources
    assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)


@DASHBOARDS
def test_queries_ask_for_metrics_and_labels_that_exist(path: Path) -> None:
    texts = [query.expr for query in queries(path, {})]
    texts += [variable["query"]["query"] for variable in variables_of(load(path))[1:]]
    for text in texts:
        names = re.findall(r"\b(?:nnunet|process)_\w+", text)
        assert names, text
        for name in names:
            if name.startswith("process_"):
                continue
            metric = described(name)
            for matchers in re.findall(name + r"\{([^}]*)\}", text):
                used = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", matchers))
                assert used <= {*metric.labels, *OF_THE_SCRAPE}, (
                    f"{name} has no label {used - {*metric.labels}}: {text}"
                )


def described(name: str) -> Any:
    base = re.sub(r"_(bucket|sum|count)$", "", name)
    found = DESCRIBED.get(name) or DESCRIBED.get(base)
    assert found, f"nothing exports {name}"
    assert found.name == name or found.type == "histogram", f"{found.name} is no histogram"
    return found


@DASHBOARDS
def test_series_of_trainers_outlive_a_restart(path: Path) -> None:
    """Each attempt has a pod of its own: a query that keeps that label would split a fold's curve."""
    for query in queries(path, {}):
        assert re.match(r"\(*(\w+\()*(sum|max|min|avg|count|topk|histogram_quantile|clamp_min|time)\b", query.expr), (
            query
        )
        aggregated = re.findall(r"by \(([^)]*)\)", query.expr)
        assert not any("pod" in labels or "instance" in labels for labels in aggregated), query


@DASHBOARDS
def test_links_lead_to_dashboards_that_exist(path: Path) -> None:
    uids = {load(other)["uid"]: load(other) for other in PATHS}
    urls = [url for url in values(load(path), "url") if url]
    targets = {re.match(r"/d/([\w-]+)", url)[1]: url for url in urls}  # type: ignore[index]
    assert targets.keys() == uids.keys() - {load(path)["uid"]} | (targets.keys() & {"nnunet-training"})
    for url in urls:
        uid = url.split("/")[2].split("?")[0]
        known = {variable["name"] for variable in variables_of(uids[uid])}
        assert set(re.findall(r"var-(\w+)=", url)) <= known, url


@DASHBOARDS
def test_colours_can_be_told_apart_by_the_colour_blind(path: Path) -> None:
    """Fixed colours are those of Okabe and Ito; Grafana's own palette is for what can't be named beforehand."""
    colours = values(load(path)["panels"], "color")
    assert {colour["mode"] for colour in colours if isinstance(colour, dict)} <= {
        "fixed",
        "thresholds",
        "palette-classic",
    }
    named = {colour for colour in colours if isinstance(colour, str)} | set(values(load(path)["panels"], "fixedColor"))
    assert named <= COLOURS


def test_training_and_validation_differ_in_colour_and_line() -> None:
    (panel,) = [panel for panel in panels_of(path_of("training")) if panel["title"].startswith("Loss")]
    styles = {}
    for rule in panel["fieldConfig"]["overrides"]:
        properties = {each["id"]: each["value"] for each in rule["properties"]}
        dash = properties.get("custom.lineStyle", {"fill": "solid"})["fill"]
        styles[rule["matcher"]["options"]] = (properties["color"]["fixedColor"], dash)
    assert styles["training"][0] != styles["validation"][0]
    assert styles["training"][1] != styles["validation"][1]


def test_folds_are_side_by_side() -> None:
    repeated = [panel for panel in panels_of(path_of("training")) if "repeat" in panel]
    assert [panel["title"].split(",")[0] for panel in repeated] == ["Loss", "Pseudo-Dice"]
    assert all((panel["repeat"], panel["repeatDirection"]) == ("fold", "h") for panel in repeated)


def path_of(name: str) -> Path:
    return next(path for path in PATHS if path.stem == name)
