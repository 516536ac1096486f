"""The chart sets every setting of the operator, to the operator's own default unless told otherwise."""

import json

import pytest

from hack.prepare.helm import CHART, Object
from nnunet_operator.settings import ENV_PREFIX, Settings, load_settings
from tests.support.chart import render
from tests.unit.chart.test_render import environment

IN_SCHEMA: Object = json.loads((CHART / "values.schema.json").read_text())["properties"]["settings"]["properties"]


def settings_for(values: Object, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Return what the operator reads from the environment that the chart gives its container."""
    for name, value in environment(render(values)).items():
        monkeypatch.setenv(name, value)
    return load_settings()


LISTS: Object = {
    "watch": {"namespaces": ["a", "b"]},
    "trainer": {"imagePullSecrets": [{"name": "x"}, {"name": "y"}]},
}


LEFT_OUT = ("WATCH_NAMESPACES", "TRAINER_IMAGE_PULL_SECRETS", "FINISHING_PRIORITY_CLASS")


def test_every_setting_is_set_and_no_other() -> None:
    """An unknown variable would be ignored without a word, a missing one could never be changed.

    But for what is empty: Kubernetes does not store an empty value.
    """
    known = {ENV_PREFIX + name.upper() for name in Settings.model_fields}
    assert set(environment(render({**LISTS, "settings": {"finishingPriorityClass": "high"}}))) == known
    empty = {ENV_PREFIX + name for name in LEFT_OUT}
    assert set(environment(render())) == known - empty and "" not in environment(render()).values()


def test_defaults_are_the_operators_own(monkeypatch: pytest.MonkeyPatch) -> None:
    chart = dict(settings_for({}, monkeypatch))
    own = {name: field.default for name, field in Settings.model_fields.items() if not field.is_required()}
    assert chart == {**own, "trainer_image": "nnunet-trainer:0.1.0"}


def test_lists_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_for(LISTS, monkeypatch)
    assert settings.watch_namespaces == ("a", "b")
    assert settings.trainer_image_pull_secrets == ("x", "y")


def _cases() -> list[Object]:
    """Return all lowest values at once, all highest values at once, and each word of each enumeration."""
    words = [{name: word} for name, field in IN_SCHEMA.items() for word in field.get("enum", [])]
    bounds = [
        {name: field[bound] for name, field in IN_SCHEMA.items() if bound in field} for bound in ("minimum", "maximum")
    ]
    return bounds + words


@pytest.mark.parametrize("settings", _cases(), ids=str)
def test_what_the_schema_lets_through_the_operator_takes(settings: Object, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = {name.replace("_", "").lower(): value for name, value in settings_for({"settings": settings}, monkeypatch)}
    assert {name: taken[name.lower()] for name in settings} == settings
