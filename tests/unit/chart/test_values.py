"""The values: all documented, all checked, unknown ones refused."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from hack.generate.files import MONITORING
from hack.generate.values_table import leaves, needed
from hack.prepare.helm import CHART, IMAGES, ROOT, HelmError, Object, helm, merged
from tests.support.chart import render

SCHEMA: Object = json.loads((CHART / "values.schema.json").read_text())
VALUES: Object = yaml.safe_load((CHART / "values.yaml").read_text())
CHART_YAML: Object = yaml.safe_load((CHART / "Chart.yaml").read_text())


def sections(schema: Object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Object]]:
    """Yield (path, schema) of the values themselves and of each object with fields of its own."""
    yield path, schema
    for name, field in schema["properties"].items():
        if "properties" in field:
            yield from sections(field, (*path, name))


@pytest.mark.parametrize("path", [path for path, _ in sections(SCHEMA)], ids=".".join)
def test_unknown_values_are_refused_everywhere(path: tuple[str, ...]) -> None:
    values: Any = {"unheardOf": 1}
    for name in reversed(path):
        values = {name: values}
    with pytest.raises(HelmError, match="'unheardOf' not allowed"):
        render(values)


def test_schema_and_defaults_name_the_same_values() -> None:
    for path, schema in sections(SCHEMA):
        defaults: Any = VALUES
        for name in path:
            defaults = defaults[name]
        assert set(defaults) == set(schema["properties"]) - {"global"}, path


def test_every_value_has_a_description_in_the_schema_and_a_line_in_the_readme() -> None:
    readme = (CHART / "README.md").read_text()
    for path, description, _ in leaves(SCHEMA, VALUES):
        assert description.endswith("."), path
        assert f"| `{path}` |" in readme, path


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"image": {"repository": ""}}, "image.repository is required: .*make images"),
        ({"trainer": {"image": {"repository": ""}}}, "trainer.image.repository is required: .*make images"),
        ({"image": {"repository": "op:latest"}}, "/image/repository"),
        ({"image": {"digest": "abc"}}, "/image/digest"),
        ({"image": {"pullPolicy": "always"}}, "'Always', 'IfNotPresent', 'Never'"),
        ({"settings": {"workers": 0}}, "/settings/workers': minimum: got 0, want 1"),
        ({"settings": {"logLevel": "verbose"}}, "/settings/logLevel"),
        ({"settings": {"metricsPort": 80}}, "/settings/metricsPort"),
        ({"trainer": {"terminationGracePeriodSeconds": 1}}, "/trainer/terminationGracePeriodSeconds"),
        ({"watch": {"namespaces": ["Team_A"]}}, "/watch/namespaces/0"),
        ({"watch": {"namespaces": ["a", "a"]}}, "/watch/namespaces"),
        ({"policies": {"clinical": {"mode": "Off"}}}, "'Enforce', 'Warn', 'Audit'"),
        ({"serviceAccount": {"create": False}}, "serviceAccount.name is required"),
    ],
    ids=str,
)
def test_wrong_values_are_refused_by_name(values: Object, message: str) -> None:
    with pytest.raises(HelmError, match=message):
        render(values)


def without(path: str) -> Object:
    """Return values that lack one, as those of a release from before there was it."""
    values: Any = None
    for name in reversed(path.split(".")):
        values = {name: values}
    return merged(IMAGES, values)


@pytest.mark.parametrize("path", list(needed(SCHEMA, VALUES)))
def test_values_of_a_former_release_are_refused_with_the_way_on(path: str) -> None:
    with pytest.raises(HelmError, match=f"the values lack {path}[,.].*Use --reset-then-reuse-values"):
        helm("template", "o", str(CHART), "--kube-version=1.37.0", values=without(path))


@pytest.mark.parametrize(
    "on", [{}, merged(MONITORING, {"monitoring": {"dashboards": {"create": True}}})], ids=["", "all"]
)
def test_what_is_empty_or_off_by_default_may_be_absent(on: Object) -> None:
    """An upgrade with the values of a release from before there was it changes nothing."""
    wanted = set(needed(SCHEMA, VALUES))
    absent: Object = {}
    for path, _, default in leaves(SCHEMA, VALUES):
        # A setting that is off is told to the operator where it is there, and is off where it is not.
        if path not in wanted and not default and path != "settings.scrapeAnnotations":
            absent = merged(absent, without(path))
    assert render(merged(absent, merged(IMAGES, on))) == render(on)


def test_null_takes_the_operators_resources_away() -> None:
    (operator,) = (one for one in render({"resources": None}) if one["kind"] == "Deployment")
    (container,) = operator["spec"]["template"]["spec"]["containers"]
    assert "resources" not in container


def test_a_parent_chart_may_hand_down_globals() -> None:
    assert render(
        merged(
            VALUES, {"global": {"anything": 1}, "image": {"repository": "x"}, "trainer": {"image": {"repository": "y"}}}
        )
    )


def test_old_clusters_are_refused() -> None:
    with pytest.raises(HelmError, match=r"requires kubeVersion: >=1\.31"):
        render({}, "nnunet-operator", "--kube-version=1.30.5")
    assert render({}, "nnunet-operator", "--kube-version=1.31.4-gke.100")


def test_helm_lints_without_a_warning() -> None:
    assert "0 chart(s) failed" in helm("lint", "--strict", "--kube-version=1.37.0", str(CHART), values=IMAGES)


def test_one_version_everywhere() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    version = CHART_YAML["version"]
    assert f'\nversion = "{version}"\n' in project
    assert CHART_YAML["appVersion"] == version
    kustomization = yaml.safe_load((ROOT / "manifests" / "kustomization.yaml").read_text())
    assert {image["newTag"] for image in kustomization["images"]} == {version}
