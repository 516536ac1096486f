"""The report's pictures: small, whole, and the same for the same scores."""

import base64
import math
import random
from xml.etree import ElementTree

import pytest

from nnunet_api.facts import EarlyStopFacts
from nnunet_api.reasons import EarlyStoppingState
from nnunet_trainer.report.charts import Panel, by_class, curves
from nnunet_trainer.training.history import History, history_of

STOPPED = EarlyStopFacts(state=EarlyStoppingState.STOPPED, epoch=700, end_epoch=750)


def history(epochs: int) -> History:
    values = [random.Random(epoch).random() for epoch in range(epochs)]
    rates = [0.01 * (1 - epoch / 1000) ** 0.9 for epoch in range(epochs)]
    return History(values, values, [math.nan, *values[1:]], values, rates)


def svg_of(uri: str) -> str:
    """Return the picture in a data URI; it has to be well-formed and to load nothing."""
    kind, content = uri.split(",", 1)
    assert kind == "data:image/svg+xml;base64"
    svg = base64.b64decode(content).decode()
    root = ElementTree.fromstring(svg)
    links = [value for element in root.iter() for name, value in element.attrib.items() if name.endswith("href")]
    assert all(link.startswith(("#", "data:")) for link in links)
    return svg


def test_a_thousand_epochs_make_a_small_picture() -> None:
    picture = curves(history(1000), None, 1000)
    assert len(picture) < 100_000
    svg = svg_of(picture)
    assert "Pseudo-Dice on patches (trend only)" in svg and ">0.008</text>" in svg
    assert "plateau" not in svg
    assert curves(history(1000), None, 1000) == picture


@pytest.mark.parametrize("epochs", [1, 750])
def test_the_verdict_is_marked(epochs: int) -> None:
    assert "plateau at 700" in svg_of(curves(history(epochs), STOPPED, 1000))


def test_a_class_that_logs_nothing_has_empty_curves() -> None:
    svg_of(curves(history_of({}), None, 10))


@pytest.mark.parametrize(("cases", "classes", "limit"), [(100, 8, 350_000), (300, 60, 1_500_000), (1, 1, 50_000)])
def test_dots_for_every_case(cases: int, classes: int, limit: int) -> None:
    random.seed(cases)
    values = {f"class <{number}>": [random.random() for _ in range(cases)] for number in range(classes)}
    outliers = {name: [*row[:-1], 200.0] for name, row in values.items()}
    picture = by_class([Panel("Dice", values, 1.0), Panel("HD95 (mm)", outliers)])
    assert len(picture) < limit
    assert "class &lt;0&gt;" in svg_of(picture)


def test_a_class_without_any_case_has_an_empty_row() -> None:
    assert "nothing" in svg_of(by_class([Panel("Dice", {"nothing": [], "one": [0.5]}, 1.0)]))
