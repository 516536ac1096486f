"""Dashboards against Grafana's schema, a real Prometheus and a real browser."""

import copy
import json
import re
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hack.monitoring import Prometheus
from hack.pictures import sample
from hack.pictures.draw import DrawError, View, ask, draw, page
from hack.pictures.model import PATHS, Span, Value, load, queries
from hack.pictures.workshop import Workshop, WorkshopError

CHOSEN: dict[str, dict[str, Value]] = {"training": {"namespace": sample.NAMESPACE, "training": sample.TRAINING}}
DASHBOARDS = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> Iterator[View]:
    folder = tmp_path_factory.mktemp("prometheus")
    sample.write_blocks(folder)
    with Prometheus({}, folder) as prometheus:
        yield View(prometheus.url, sample.SPAN, {"training": sample.TRAINING})


@pytest.fixture(scope="module")
def workshop() -> Workshop:
    return Workshop()


@DASHBOARDS
def test_every_query_finds_something(path: Path, view: View) -> None:
    """But for what has its time: see `SILENT`."""
    asked = queries(path, CHOSEN.get(path.stem, {}), view.span)
    silent = {
        (query.panel, query.ref): query.expr for query in asked if not query.allowed_empty and not ask(view, query)
    }
    assert not silent


def test_what_is_out_of_the_ordinary_is_found(view: View) -> None:
    """The sample data have an exception, a failure, a wait, comparisons, two namespaces, three classes; they were
    copied to nodes, and networks compiled."""
    asked = [query for path in PATHS for query in queries(path, CHOSEN.get(path.stem, {}), view.span)]
    found = {(query.panel, query.ref) for query in asked if query.allowed_empty and ask(view, query)}
    classes = {("Pseudo-Dice, fold .*", ref) for ref in "DE"}
    fleet = {("GPUs that trainings hold", "B"), ("Oldest that wait", "A"), ("Failures by reason", "A")}
    phases = {("Trainings that are not over, by phase", ref) for ref in "BCE"}
    errors = {("Failed API requests per second", ref) for ref in "AB"}
    compared = {("Comparisons", "A"), *(("Verdicts", ref) for ref in "ABC")}
    compared |= {("Arms side by side", ref) for ref in "ABCDEFG"}
    compared |= {(f"{what} of the arms", ref) for what in ("Pseudo-Dice", "Epochs", "GPU-hours") for ref in "AB"}
    exceptions = {("Exceptions", "A"), ("Exceptions", "B")}
    made = {(title, "A") for title in ("Local copy", "Read from the claim", "Time for compiling")}
    expected = {*classes, *fleet, *phases, *errors, *exceptions, *compared, *made}
    assert found == expected - {("Pseudo-Dice of the arms", "B")}


def test_no_column_is_lost_where_nothing_is_known(view: View) -> None:
    """No training of this namespace has an end, a verdict, an exception or a policy."""
    path = next(path for path in PATHS if path.stem == "compliance")
    asked = queries(path, {"namespace": "research"}, Span(view.span.end - 3600, view.span.end))
    table = [query for query in asked if query.panel == "Epochs, required and proven"]
    running = {query.ref: {one["metric"]["training"] for one in ask(view, query)} for query in table}
    assert {training >= {"prostate", "lung", "pancreas"} for training in running.values()} == {True}, running
    (decisions,) = [query for query in asked if query.panel == "Decisions by rule"]
    assert "all kept" in {one["metric"].get("rule") for one in ask(view, decisions)}


def test_classes_have_the_same_rank_in_all_folds(view: View) -> None:
    """So they have the same colour in each, whichever fold is chosen."""
    path = next(path for path in PATHS if path.stem == "training")
    ranks = []
    for fold in "0123":
        asked = queries(path, {**CHOSEN["training"], "fold": [fold]}, view.span)
        of_classes = [query for query in asked if query.panel.startswith("Pseudo-Dice") and query.legend == "{{label}}"]
        ranks.append([[series["metric"]["label"] for series in ask(view, query)] for query in of_classes])
    assert ranks == [[["liver"], ["vessel"], ["tumour"], [], [], [], [], [], []]] * 4


@DASHBOARDS
def test_a_training_that_has_just_begun_leaves_no_panel_blank(path: Path, view: View) -> None:
    """No early stopping, no interruption, a few epochs: where there is nothing, the panel says why."""
    begun = Span(view.span.start, view.span.start + 25 * 60, view.span.scrape_seconds)
    assert page(load(path), replace(view, span=begun))["panels"]


def test_a_fold_that_was_interrupted_is_one_curve(view: View) -> None:
    path = next(path for path in PATHS if path.stem == "training")
    asked = queries(path, {**CHOSEN["training"], "fold": ["3"]}, view.span)
    (loss,) = [query for query in asked if query.panel == "Loss, fold 3" and query.legend == "training"]
    (series,) = ask(view, loss)
    assert sum(value == "NaN" for _, value in series["values"]) == 2, "fold 3 was interrupted twice, which are two gaps"
    (attempts,) = [query for query in asked if (query.panel, query.ref) == ("Folds", "K")]
    assert "nnunet_attempts" in attempts.expr
    (latest,) = ask(view, attempts)
    assert (latest["metric"], latest["values"][0][1]) == ({"fold": "3"}, "3")


def test_all_are_drawn_without_an_error(view: View, workshop: Workshop, tmp_path: Path) -> None:
    pictures = draw(PATHS, view, tmp_path, workshop)
    assert [picture.name for picture in pictures] == [f"dashboard-{path.stem}.png" for path in PATHS]
    for picture in pictures:
        width, height = struct.unpack(">II", picture.read_bytes()[16:24])
        assert width == 1280
        assert height > 900
        assert picture.stat().st_size > 20_000, "a page without text and curves is smaller"


def test_a_panel_without_data_is_named(view: View) -> None:
    dashboard = copy.deepcopy(load(PATHS[0]))
    panel = next(panel for panel in dashboard["panels"] if "noValue" not in panel["fieldConfig"]["defaults"])
    panel["targets"][0]["expr"] = "nnunet_no_such_metric"
    with pytest.raises(DrawError, match=f"panel '{panel['title']}', query A: no data for nnunet_no_such_metric"):
        page(dashboard, view)


def test_a_query_that_prometheus_refuses_is_named(view: View) -> None:
    dashboard = copy.deepcopy(load(PATHS[0]))
    dashboard["panels"][0]["targets"][0]["expr"] = "sum(("
    with pytest.raises(DrawError, match=r"sum\(\(: .*parse error"):
        page(dashboard, view)


def test_a_panel_that_breaks_in_the_browser_fails_the_run(view: View, workshop: Workshop, tmp_path: Path) -> None:
    dashboard = copy.deepcopy(load(PATHS[0]))
    dashboard["panels"][0]["type"] = "piechart"
    file = tmp_path / "broken.json"
    file.write_text(json.dumps(dashboard))
    with pytest.raises(WorkshopError, match="type piechart can't be drawn here"):
        draw([file], view, tmp_path, workshop)
    assert not list(tmp_path.glob("*.png"))


def test_dashboards_are_what_grafana_reads_and_what_it_does_not_read_is_refused(
    workshop: Workshop, tmp_path: Path
) -> None:
    """The compiler takes long, so it runs once: of all it finds fault with the one that was made wrong alone."""
    dashboard = copy.deepcopy(load(PATHS[0]))
    graph = next(panel for panel in dashboard["panels"] if panel["type"] == "timeseries")
    graph["fieldConfig"]["defaults"]["custom"]["drawStyle"] = "scribble"
    file = tmp_path / "wrong.json"
    file.write_text(json.dumps(dashboard))
    with pytest.raises(WorkshopError, match=r"check-wrong\.ts.*scribble") as caught:
        workshop.check([*PATHS, file])
    assert set(re.findall(r"check-([\w-]+)\.ts", str(caught.value))) == {"wrong"}
