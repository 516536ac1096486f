"""The admission policies that the chart renders, as far as that can be seen without an API server."""

from typing import Any

import pytest
import yaml

from hack.prepare.helm import ROOT, Object, render
from nnunet_api.environment import is_refused
from nnunet_api.policy.advice import STOP_ADVICE
from nnunet_api.policy.model import CLINICAL_LABEL, LONGEST_EXCEPTION_DAYS, NnunetTrainingPolicySpec, PolicyMode
from nnunet_api.policy.rules import SHOWN_CHARACTERS
from tests.unit.chart.test_render import find

MODES = [mode.lower() for mode in PolicyMode]


def admission_policy(name: str) -> Any:
    return find(render(), "ValidatingAdmissionPolicy", name)["spec"]


def test_the_modes_differ_in_nothing_but_the_mode() -> None:
    specs = [admission_policy(f"nnunet-policy-{mode}") for mode in MODES]
    assert [spec.pop("failurePolicy") for spec in specs] == ["Fail", "Ignore", "Ignore"]
    conditions = [spec["matchConditions"].pop(0)["expression"] for spec in specs]
    assert conditions == [f"params.spec.mode == '{mode}'" for mode in PolicyMode]
    assert specs[0] == specs[1] == specs[2]


def test_every_mode_leaves_an_audit_annotation_and_only_enforce_denies() -> None:
    bindings = [thing for thing in render() if thing["kind"] == "ValidatingAdmissionPolicyBinding"]
    done: dict[str, set[str]] = {}
    for binding in bindings:
        done.setdefault(binding["spec"]["policyName"], set()).update(binding["spec"]["validationActions"])
    assert {name: done[f"nnunet-policy-{name}"] for name in MODES} == {
        "enforce": {"Deny", "Warn", "Audit"},
        "warn": {"Warn", "Audit"},
        "audit": {"Audit"},
    }
    assert done["nnunet-advice"] == {"Warn"}
    assert done["nnunet-jobs"] == done["nnunet-pods-of-jobs"] == done["nnunet-verification"] == {"Deny", "Audit"}
    assert done["nnunet-exceptions"] == done["nnunet-namespace-labels"] == {"Deny", "Audit"}


def test_only_creation_in_clinical_namespaces_is_denied_where_there_is_no_policy() -> None:
    bindings = [thing["spec"] for thing in render() if "paramRef" in thing.get("spec", {})]
    (denies,) = [spec for spec in bindings if spec["paramRef"]["parameterNotFoundAction"] == "Deny"]
    assert denies["matchResources"] == {"namespaceSelector": {"matchLabels": {CLINICAL_LABEL: "true"}}}
    (rule,) = admission_policy(denies["policyName"])["matchConstraints"]["resourceRules"]
    assert rule["operations"] == ["CREATE"]


def test_the_numbers_and_words_are_those_of_the_operator() -> None:
    text = yaml.safe_dump(admission_policy("nnunet-policy-enforce"), width=10_000)
    assert f"duration('{LONGEST_EXCEPTION_DAYS * 24}h')" in text.replace("''", "'")
    assert f"substring(0, {SHOWN_CHARACTERS})" in text
    assert STOP_ADVICE in [validation.get("message") for validation in admission_policy("nnunet-advice")["validations"]]


@pytest.mark.parametrize("mode", PolicyMode)
def test_the_clinical_policy_is_one_and_no_part_of_the_release(mode: str) -> None:
    policy: Object = find(render({"policies": {"clinical": {"mode": mode}}}), "NnunetTrainingPolicy", "clinical")
    spec = NnunetTrainingPolicySpec.model_validate(policy["spec"])
    assert (spec.mode, spec.rules.min_epochs) == (mode, 1000)
    allowed = spec.rules.allowed_env or []
    assert "nnUNet_n_proc_DA" in allowed and not [name for name in allowed if is_refused(name) or name.endswith("*")]
    assert policy["metadata"]["annotations"] == {"helm.sh/hook": "post-install,post-upgrade"}


def test_the_clinical_policy_for_kubectl_is_not_helms() -> None:
    (policy,) = yaml.safe_load_all((ROOT / "manifests" / "policies" / "clinical.yaml").read_text())
    assert "annotations" not in policy["metadata"]
