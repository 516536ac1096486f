"""The chart sets every setting of the operator, to the operator's own default unless told otherwise."""

import json
from typing import Any

import pytest

from nnunet_operator.settings import ENV_PREFIX, Settings, load_settings
from tests.tools.helm import CHART, Object, render
from tests.unit.chart.test_render import environment

IN_SCHEMA: Object = json.loads((CHART / "values.schema.json").read_text())["properties"]["settings"]["properties"]


def settings_for(values: Object, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Return what the operator reads from the environment that the chart gives its container."""
    for name, value in environment(render(values)).items():
        monkeypatch.setenv(name, value)
    return load_settings()


def test_every_setting_is_set_and_no_other() -> None:
    """An unknown variable would be ignored without a word, a missing one could never be changed."""
    assert set(environment(render())) == {ENV_PREFIX + name.upper() for name in Settings.model_fields}


def test_defaults_are_the_operators_own(monkeypatch: pytest.MonkeyPatch) -> None:
    chart = settings_for({}, monkeypatch).model_dump()
    own = {name: field.default for name, field in Settings.model_fields.items() if not field.is_required()}
    assert chart == {**own, "trainer_image": "nnunet-trainer:0.1.0"}


def test_lists_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"watch": {"namespaces": ["a", "b"]}, "trainer": {"imagePullSecrets": [{"name": "x"}, {"name": "y"}]}}
    settings = settings_for(values, monkeypatch)
    assert settings.watch_namespaces == ("a", "b")
    assert settings.trainer_image_pull_secrets == ("x", "y")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (name, value)
        for name, field in IN_SCHEMA.items()
        for value in (field.get("minimum"), field.get("maximum"), *field.get("enum", []))
        if value is not None
    ],
)
def test_what_the_schema_lets_through_the_operator_takes(
    name: str, value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert value in settings_for({"settings": {name: value}}, monkeypatch).model_dump().values()
