"""Dashboards against Grafana's schema, a real Prometheus and a real browser."""

import copy
import json
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.dashboards import sample
from tests.dashboards.draw import DrawError, View, ask, draw, page
from tests.dashboards.model import PATHS, Span, Value, load, queries
from tests.dashboards.workshop import Workshop, WorkshopError
from tests.monitoring import Prometheus

SILENT = {("Proven epochs", "A"), ("Cross-validation Dice", "A"), ("Test Dice", "A"), ("Folds", "M")}
"""Queries on one training without an answer: what is known at its end only, and a rule that a policy holds back."""
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
    """The sample data have an exception, a failure, a wait: what may be empty at other times is not here."""
    asked = queries(path, CHOSEN.get(path.stem, {}), view.span)
    silent = {(query.panel, query.ref): query.expr for query in asked if not ask(view, query)}
    assert silent.keys() == (SILENT if path.stem == "training" else set()), silent


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
        assert 50_000 < picture.stat().st_size < 300_000, "what is empty is smaller, what is larger is for no manual"


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


def test_dashboards_are_what_grafana_reads(workshop: Workshop) -> None:
    workshop.check(PATHS)


def test_what_grafana_does_not_read_is_refused(workshop: Workshop, tmp_path: Path) -> None:
    dashboard = copy.deepcopy(load(PATHS[0]))
    graph = next(panel for panel in dashboard["panels"] if panel["type"] == "timeseries")
    graph["fieldConfig"]["defaults"]["custom"]["drawStyle"] = "scribble"
    file = tmp_path / "wrong.json"
    file.write_text(json.dumps(dashboard))
    with pytest.raises(WorkshopError, match=r"check-wrong\.ts.*scribble"):
        workshop.check([file])
