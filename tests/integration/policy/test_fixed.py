"""What was said before a result was known stays, down to what the definitions leave open: for everybody."""

from typing import Any

import pytest

from tests.integration.policy.bypass import stopped_by_admission
from tests.integration.policy.support import JSON_PATCH, OPERATOR, Gate
from tests.support.api import Object
from tests.support.builders import comparison, training

NAMES = {"nnunetcomparisons": "shorter", "nnunettrainings": "hippo"}
TINY, OWN = {"patch_size": [8, 8, 8]}, {"batch_size": 2}
PLANNING: Object = {"configurations": {"3d_fullres": TINY}}
TEMPLATE: Object = {"spec": {"dataset": {"name": "Dataset004_Hippocampus"}, "testSet": {}, "planning": PLANNING}}
AFFINITY: Object = {"nodeAffinity": {"x": 1}}
ARMS: list[Object] = [{"name": "long", "patch": {}}, {"name": "short", "patch": {"schedule": {"epochs": 250}}}]
PLANS = "planning/configurations/3d_fullres"


@pytest.fixture(scope="module")
def there(installed: Gate) -> str:
    """Return a namespace with a comparison and a training that nothing changes."""
    namespace = installed.namespace()
    template = {"spec": {**TEMPLATE["spec"], "podTemplate": {"affinity": AFFINITY}}}
    installed.client.create("nnunetcomparisons", comparison(namespace, template=template, arms=ARMS))
    installed.client.create("nnunettrainings", training(namespace, planning=PLANNING))
    return namespace


@pytest.mark.parametrize(
    ("kind", "field", "path", "value", "who"),
    [
        ("nnunetcomparisons", "arms", "arms/1/patch", {"earlyStopping": {"mode": "Stop"}}, ""),
        ("nnunetcomparisons", "arms", "arms/1/patch", {"earlyStopping": {"mode": "Stop"}}, OPERATOR),
        ("nnunetcomparisons", "template", f"template/spec/{PLANS}", OWN, ""),
        ("nnunetcomparisons", "template", "template/spec/podTemplate/affinity", {"podAffinity": {"x": 1}}, ""),
        ("nnunettrainings", "planning", PLANS, OWN, ""),
    ],
)
def test_no_field_is_exchanged_for_another(
    gate: Gate, there: str, kind: str, field: str, path: str, value: Any, who: str
) -> None:
    """To the schema an open object equals one of as many other fields."""
    if who:
        gate.allow(who, [{"apiGroups": ["nnunet.dev"], "resources": [kind], "verbs": ["patch"]}], there)
    change = [{"op": "replace", "path": f"/spec/{path}", "value": value}]
    answer = gate.ask("PATCH", f"{gate.client.path(kind, there, NAMES[kind])}?dryRun=All", change, who, JSON_PATCH)
    stopped_by_admission(answer, "nnunet-fixed")
    assert f"spec.{field} can't change after creation" in answer.message


@pytest.mark.parametrize("kind", ["nnunetcomparisons", "nnunettrainings"])
def test_what_stays_as_it_is_is_no_change(gate: Gate, there: str, kind: str) -> None:
    path = gate.client.path(kind, there, NAMES[kind])
    stored = gate.done("GET", path)
    assert gate.ask("PUT", f"{path}?dryRun=All", stored).ok
    stored["spec"]["suspend"] = True
    stored["metadata"]["finalizers"] = ["example.org/kept"]
    answer = gate.ask("PUT", f"{path}?dryRun=All", stored)
    assert answer.ok, answer.message
