"""Reading a dashboard: variables, repeated panels, queries."""

import json
from pathlib import Path
from typing import Any

import pytest

from hack.pictures.model import Span, Value, panels, queries, substitute


def panel(**more: Any) -> dict[str, Any]:
    target = {"refId": "A", "expr": 'up{fold=~"$fold"}[$__range]', "legendFormat": "{{fold}}", "range": True}
    place = {"x": 0, "y": 3, "w": 24, "h": 8}
    return {
        "id": 2,
        "title": "Fold $fold",
        "gridPos": place,
        "targets": [target],
        "fieldConfig": {"defaults": {}},
        **more,
    }


def dashboard(*all_panels: dict[str, Any]) -> dict[str, Any]:
    return {"templating": {"list": [{"name": "fold"}, {"name": "namespace"}]}, "panels": list(all_panels)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$namespace", "imaging"),
        ("${namespace}x", "imagingx"),
        ('"$namespace", "$fold"', '"imaging", "(0|1)"'),
        ("${one:regex}", "a\\\\.b"),
        ("rate(x[$__rate_interval])", "rate(x[120s])"),
        ("a$", "a$"),
    ],
)
def test_variables_are_replaced_as_grafana_does(text: str, expected: str) -> None:
    values: dict[str, Value] = {**Span(0, 3600).built_in, "namespace": "imaging", "fold": ["0", "1"], "one": ["a.b"]}
    assert substitute(text, values) == expected


def test_a_variable_without_a_value_is_named() -> None:
    with pytest.raises(KeyError, match=r"\$namspace has no value in .*there are: namespace"):
        substitute("up{a='$namspace'}", {"namespace": "imaging"})


@pytest.mark.parametrize(("seconds", "scrape", "rate"), [(3600, 30, "120s"), (14 * 86400, 30, "2449s"), (120, 2, "8s")])
def test_the_window_of_rates_holds_four_scrapes_and_a_step(seconds: float, scrape: float, rate: str) -> None:
    assert Span(1000, 1000 + seconds, scrape).built_in["__rate_interval"] == rate


@pytest.mark.parametrize(
    ("folds", "places"),
    [
        (["0"], [(0, 3, 24)]),
        (["0", "1"], [(0, 3, 12), (12, 3, 12)]),
        (["0", "1", "2", "3", "4"], [(4.8 * number, 3, 4.8) for number in range(5)]),
        ([str(number) for number in range(7)], [*((4 * number, 3, 4) for number in range(6)), (0, 11, 4)]),
    ],
)
def test_a_repeated_panel_comes_once_for_each_value(folds: list[str], places: list[tuple[float, float, float]]) -> None:
    found = list(panels(dashboard(panel(repeat="fold", maxPerRow=6)), {"fold": folds}))
    assert [values["fold"] for _, values in found] == folds
    assert [tuple(each["gridPos"][key] for key in "xyw") for each, _ in found] == places
    assert len({each["id"] for each, _ in found}) == len(folds)


def test_queries_are_ready_for_prometheus(tmp_path: Path) -> None:
    file = tmp_path / "some.json"
    other = panel(id=3, title="Other")
    file.write_text(json.dumps(dashboard(panel(repeat="fold", maxPerRow=6), other)))
    found = queries(file, {"fold": ["0", "1"]}, Span(0, 60))
    assert [(query.panel, query.expr) for query in found] == [
        ("Fold 0", 'up{fold=~"0"}[60s]'),
        ("Fold 1", 'up{fold=~"1"}[60s]'),
        ("Other", 'up{fold=~"(0|1)"}[60s]'),
    ]
    assert queries(file, {})[0].expr == 'up{fold=~".*"}[3600s]', "a variable that is not given takes everything"


def test_a_panel_that_says_why_it_is_empty_is_not_excused_while_a_training_runs(tmp_path: Path) -> None:
    """What may be silent then is in one list, query by query; a table is not left out as a whole."""
    file = tmp_path / "some.json"
    explained = panel(id=3, fieldConfig={"defaults": {"noValue": "none"}}, title="Folds")
    file.write_text(json.dumps(dashboard(panel(title="Proven epochs"), explained)))
    assert [(query.allowed_empty, query.explained) for query in queries(file, {})] == [(True, False), (False, True)]
