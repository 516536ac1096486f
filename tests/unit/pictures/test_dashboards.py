"""The dashboards' files: complete, on a grid without overlaps, in colours that everybody can tell apart, about metrics
that exist. What Grafana's schema and a real Prometheus say of them is tested in tests/integration/dashboards."""

import itertools
import json
import math
import operator
import re
from pathlib import Path
from typing import Any

import pytest

from hack.generate.metrics_reference import operator_metrics, trainer_metrics
from hack.pictures.model import COLUMNS, PATHS, SILENT, Panel, load, queries, variables_of
from nnunet_api.comparison.reasons import ComparisonPhase
from nnunet_api.comparison.words import INDICATIVE
from nnunet_api.reasons import Phase
from nnunet_trainer.comparison.verdict import Verdict

NAMES = {"fleet", "training", "operator", "compliance", "comparisons"}
TYPES = {"stat", "table", "timeseries"}
OKABE_ITO = {"#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442"}
COLOURS = OKABE_ITO | {"#808080", "text"}
OF_PHASES = {"#B3E2D5", "#6B4A00", "#B4B4B4", "#747474", "#585858"}
"""Lighter and darker steps of theirs: more phases are on top of each other than they have colours."""
CONFUSIONS = {
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.01182, 0.04294, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.3039)),
    "none": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
}
"""What becomes of linear RGB: Machado, Oliveira and Fernandes 2009, doi:10.1109/TVCG.2009.113, severity 1.0."""
DISTINCT = 10
"""Least distance in CIE L*a*b* between two areas or lines. 2.3 is just noticeable side by side."""
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


def test_there_are_those_with_the_names_that_links_use() -> None:
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
        first = r"\(*(\w+\(\s*)*(sum|max|min|avg|count|topk|histogram_quantile|clamp_min|time)\b"
        assert re.match(first, query.expr), query
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
def test_colours_are_those_that_the_colour_blind_can_tell_apart(path: Path) -> None:
    """Fixed ones, after Okabe and Ito. Grafana's own palettes are not, or are not in all of its versions."""
    colours = values(load(path)["panels"], "color")
    assert {colour["mode"] for colour in colours if isinstance(colour, dict)} <= {"fixed", "thresholds"}
    named = {colour for colour in colours if isinstance(colour, str)} | set(values(load(path)["panels"], "fixedColor"))
    assert named <= COLOURS | OF_PHASES


def styles_of(panel: Panel) -> dict[str, tuple[str, str]]:
    """Return colour and line style of the series or queries that a graph names, but for areas behind the lines."""
    found = {}
    for rule in panel["fieldConfig"]["overrides"]:
        properties = {each["id"]: each["value"] for each in rule["properties"]}
        if "color" in properties and properties.get("custom.lineWidth") != 0:
            style = properties.get("custom.lineStyle", {"fill": "solid"})["fill"]
            found[rule["matcher"]["options"]] = (properties["color"]["fixedColor"], style)
    return found


def seen(colour: str, matrix: tuple[tuple[float, ...], ...]) -> tuple[float, float, float]:
    """Return L*a*b* of a colour as somebody with a colour vision deficiency sees it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    red, green, blue = (min(1.0, max(0.0, sum(map(operator.mul, row, linear)))) for row in matrix)
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089
    x, y, z = (math.cbrt(one) if one > 0.008856 else 7.787 * one + 16 / 116 for one in (x, y, z))
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


@DASHBOARDS
@pytest.mark.parametrize("vision", CONFUSIONS)
def test_series_of_a_graph_look_different_to_everybody(path: Path, vision: str) -> None:
    for panel in panels_of(path):
        if panel["type"] != "timeseries":
            continue
        styles = styles_of(panel)
        styles.pop("fold all", None)  # there is no other fold then
        for (one, of_one), (two, of_two) in itertools.combinations(styles.items(), 2):
            if of_one[1] != of_two[1] or "text" in (of_one[0], of_two[0]):
                continue
            apart = math.dist(seen(of_one[0], CONFUSIONS[vision]), seen(of_two[0], CONFUSIONS[vision]))
            assert apart > DISTINCT, f"{panel['title']}: {one} and {two} are {apart:.0f} apart"


def test_every_phase_of_a_training_that_is_not_over_is_drawn_once() -> None:
    panel = next(panel for panel in panels_of(path_of("fleet")) if "by phase" in panel["title"])
    patterns = [re.findall(r'phase=~"([^"]+)"', target["expr"])[0] for target in panel["targets"]]
    for phase in set(Phase) - {Phase.COMPLETED, Phase.FAILED}:
        assert sum(bool(re.fullmatch(pattern, phase)) for pattern in patterns) == 1, phase


def test_every_phase_of_a_comparison_without_a_verdict_is_counted_once() -> None:
    exprs = [panel["targets"][0]["expr"] for panel in panels_of(path_of("comparisons")) if panel["type"] == "stat"]
    patterns = [found[0] for expr in exprs if (found := re.findall(r'phase=~"([^"]+)"', expr))]
    for phase in set(ComparisonPhase) - {ComparisonPhase.COMPLETED}:
        assert sum(bool(re.fullmatch(pattern, phase)) for pattern in patterns) == 1, phase


def test_every_phase_and_verdict_of_a_comparison_has_its_colour() -> None:
    tables = {
        panel["title"]: json.dumps(panel["fieldConfig"]["overrides"]) for panel in panels_of(path_of("comparisons"))
    }
    assert all(f'"{phase}": {{' in tables["Comparisons"] for phase in ComparisonPhase)
    words = [f"{prefix}{verdict}" for prefix in ("", INDICATIVE) for verdict in Verdict]
    assert all(f'"{word}": {{' in tables["Verdicts"] for word in words)


@DASHBOARDS
def test_a_number_is_that_of_now(path: Path) -> None:
    """A range whose last value is taken shows what was true hours ago, of a training that is suspended."""
    for panel in panels_of(path):
        if panel["type"] == "stat":
            assert all((target["instant"], target["range"]) == (True, False) for target in panel["targets"]), panel[
                "title"
            ]


@pytest.mark.parametrize(
    ("dashboard", "title", "ref"),
    [("fleet", "Trainings", "B"), ("training", "Progress", "A"), ("compliance", "Epochs, required and proven", "C")],
)
def test_progress_is_that_of_the_whole_training(dashboard: str, title: str, ref: str) -> None:
    """A fold that waits for its turn has no pod: by the pods, each finished fold would be 100 %."""
    (query,) = [each for each in queries(path_of(dashboard), {}) if (each.panel, each.ref) == (title, ref)]
    assert {"nnunet_training_epochs", "nnunet_training_epochs_target"} <= set(re.findall(r"nnunet_\w+", query.expr))
    assert "nnunet_epoch{" not in query.expr


@DASHBOARDS
def test_columns_of_a_table_stay_where_nothing_is_known(path: Path) -> None:
    """A query without an answer would take its column along."""
    for panel in panels_of(path):
        if panel["type"] == "table" and len(panel["targets"]) > 3:
            key = panel["transformations"][1]["options"]["indexByName"]
            for target in panel["targets"]:
                if f"Value #{target['refId']}" in key and target["refId"] not in ("A", "K"):
                    assert re.search(r"\nor max by .*\* (NaN|0)$|^time\(\)", target["expr"]), (panel["title"], target)


@DASHBOARDS
def test_a_count_that_is_always_0_does_not_fill_an_axis_up_to_100(path: Path) -> None:
    for panel in panels_of(path):
        custom, defaults = panel["fieldConfig"]["defaults"].get("custom", {}), panel["fieldConfig"]["defaults"]
        if panel["type"] == "timeseries" and defaults["unit"] == "short" and defaults.get("decimals") == 0:
            assert custom["axisSoftMax"] >= 1, panel["title"]


@pytest.mark.parametrize("name", ["fleet", "training"])
def test_gpu_hours_of_a_short_training_are_not_0(name: str) -> None:
    """With one decimal, all below three minutes are."""
    shown = [panel for panel in panels_of(path_of(name)) if "GPU-hours" in json.dumps(panel)]
    assert shown
    for panel in shown:
        configured = [panel["fieldConfig"]["defaults"]] if panel["title"] == "GPU-hours" else []
        for rule in panel["fieldConfig"]["overrides"]:
            if rule["matcher"]["options"] in ("GPU-hours", "Held", "Lost"):
                configured.append({each["id"]: each["value"] for each in rule["properties"]})
        assert configured
        assert all("decimals" not in one and one["unit"] == "none" for one in configured), panel["title"]


def test_areas_lie_behind_the_curves() -> None:
    (panel,) = [panel for panel in panels_of(path_of("training")) if panel["title"].startswith("Pseudo-Dice")]
    assert [target["legendFormat"] for target in panel["targets"]][:2] == ["below minimum", "plateau"]


def test_what_may_be_silent_is_asked_somewhere() -> None:
    asked = {
        (panel["title"], target["refId"]) for path in PATHS for panel in panels_of(path) for target in panel["targets"]
    }
    assert {(title, ref) for title, refs in SILENT.items() for ref in refs} <= asked


def test_training_and_validation_differ_in_colour_and_line() -> None:
    (panel,) = [panel for panel in panels_of(path_of("training")) if panel["title"].startswith("Loss")]
    styles = styles_of(panel)
    assert styles["training"][0] != styles["validation"][0]
    assert styles["training"][1] != styles["validation"][1]


def test_folds_are_side_by_side() -> None:
    repeated = [panel for panel in panels_of(path_of("training")) if "repeat" in panel]
    assert [panel["title"].split(",")[0] for panel in repeated] == ["Loss", "Pseudo-Dice"]
    assert all((panel["repeat"], panel["repeatDirection"]) == ("fold", "h") for panel in repeated)


def path_of(name: str) -> Path:
    return next(path for path in PATHS if path.stem == name)
