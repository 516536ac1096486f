"""The admission policies that the chart renders, as far as that can be seen without an API server."""

import json
import re
from typing import Any

import pytest
import yaml

from hack.prepare.helm import CHART, ROOT, HelmError, Object
from nnunet_api.environment import is_refused
from nnunet_api.policy.advice import STOP_ADVICE, WEIGHTS_ADVICE
from nnunet_api.policy.model import (
    CLINICAL_LABEL,
    LONGEST_EXCEPTION_DAYS,
    EarlyStoppingRules,
    NnunetTrainingPolicySpec,
    PolicyMode,
    Rule,
    Rules,
)
from nnunet_api.policy.rules import SHOWN_CHARACTERS, TOLD_BYTES, TOLD_CHARACTERS
from tests.support.chart import render
from tests.unit.chart.test_render import find

DONE = {"enforce": {"Deny"}, "warn": {"Warn", "Audit"}, "audit": {"Audit"}}
"""What each of the admission policies does with what breaks a rule: those of a mode are all that go by it."""


def admission_policy(name: str) -> Any:
    return find(render(), "ValidatingAdmissionPolicy", name)["spec"]


def test_what_denies_warns_and_records_differs_in_the_modes_alone() -> None:
    specs = [admission_policy(f"nnunet-policy-{name}") for name in DONE]
    assert [spec.pop("failurePolicy") for spec in specs] == ["Fail", "Ignore", "Ignore"]
    modes = [spec["matchConditions"][0].pop("expression").partition(" &&") for spec in specs]
    judged = [f"params.spec.mode {words}" for words in ("== 'Enforce'", "!= 'Audit'", "== 'Audit'")]
    assert [mode for mode, _, _ in modes] == judged and len({rest for _, _, rest in modes}) == 1
    # Of each mode one says which exception counted: it is evaluated apart from all else.
    said = [spec.pop("auditAnnotations", None) for spec in specs]
    assert said[1] and said == [None, said[1], said[1]]
    assert specs[0] == specs[1] == specs[2]


def test_names_are_gathered_for_each_rule_on_pods() -> None:
    """A rule that the guard of `strange` does not name would never be looked at."""
    variables = {one["name"]: one["expression"] for one in admission_policy("nnunet-policy-enforce")["variables"]}
    judged = set(re.findall(r"'rule': dyn\('(\w+)'\)", variables["named"]))
    guard = variables["strange"].partition("? []")[0]
    assert judged and judged == set(re.findall(r"has\(variables\.rules\.(\w+)\)", guard))


def test_enforce_alone_denies_and_each_mode_is_recorded_once() -> None:
    bindings = [thing["spec"] for thing in render() if thing["kind"] == "ValidatingAdmissionPolicyBinding"]
    names = [binding["policyName"] for binding in bindings]
    assert len(set(names)) == len(names)
    done = {binding["policyName"]: set(binding["validationActions"]) for binding in bindings}
    assert {name: done[f"nnunet-policy-{name}"] for name in DONE} == DONE
    assert done["nnunet-advice"] == {"Warn"}
    assert done["nnunet-jobs"] == done["nnunet-pods-of-jobs"] == done["nnunet-verification"] == {"Deny", "Audit"}
    assert done["nnunet-exceptions"] == done["nnunet-namespace-labels"] == {"Deny", "Audit"}
    assert done["nnunet-operator-account"] == {"Deny", "Audit"}


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
    assert f"bytes(s).size() > {TOLD_BYTES} ? s.substring(0, {TOLD_CHARACTERS})" in " ".join(text.split())
    said = [validation.get("message") for validation in admission_policy("nnunet-advice")["validations"]]
    assert {STOP_ADVICE, WEIGHTS_ADVICE} <= set(said)


@pytest.mark.parametrize(
    ("values", "release", "account"),
    [
        ({}, "nnunet-operator", "nnunet-operator"),
        ({"serviceAccount": {"create": False, "name": "mine"}}, "nnunet-operator", "mine"),
        ({"policies": {"admission": False}}, "second", "second-nnunet-operator"),
    ],
)
def test_each_release_binds_the_account_that_its_operator_has(values: Object, release: str, account: str) -> None:
    """Also where another release judges trainings: each has an account of its own."""
    objects = render(values, release)
    (guard,) = (
        thing
        for thing in objects
        if thing["kind"] == "ValidatingAdmissionPolicy" and thing["metadata"]["name"].endswith("-account")
    )
    (only,) = guard["spec"]["matchConditions"]
    assert only["expression"] == f"request.userInfo.username == 'system:serviceaccount:nnunet-system:{account}'"
    pod = find(objects, "Deployment", guard["metadata"]["name"].removesuffix("-account"))["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == account


@pytest.mark.parametrize("mode", PolicyMode)
def test_the_clinical_policy_is_one_and_no_part_of_the_release(mode: str) -> None:
    policy: Object = find(render({"policies": {"clinical": {"mode": mode}}}), "NnunetTrainingPolicy", "clinical")
    spec = NnunetTrainingPolicySpec.model_validate(policy["spec"])
    assert (spec.mode, spec.rules.min_epochs) == (mode, 1000)
    allowed = spec.rules.allowed_env or []
    assert "nnUNet_n_proc_DA" in allowed and not [name for name in allowed if is_refused(name) or name.endswith("*")]
    assert policy["metadata"]["annotations"] == {"helm.sh/hook": "post-install,post-upgrade"}


def clinical_rules(values: Object) -> Object:
    images = {"trainer": {"image": {"repository": "registry.example/team/nnunet-trainer"}}}
    policy = find(render({**images, "policies": {"clinical": {"rules": values}}}), "NnunetTrainingPolicy", "clinical")
    rules: Object = policy["spec"]["rules"]
    return rules


def test_the_clinical_policy_lets_a_pod_be_what_a_training_needs_and_nothing_else() -> None:
    """Each rule on what a pod is has its list, and no list is of everything."""
    rules = clinical_rules({})
    assert rules["allowedImages"] == ["registry.example/team/nnunet-trainer"]
    lists = {rule for rule in Rule if rule.value.startswith("allowed")} - {Rule.TRAINER_CLASSES, Rule.CONFIGURATIONS}
    assert lists <= rules.keys() and not [rule for rule in lists if "*" in rules[rule]]
    assert Rules.model_validate(rules).allowed_service_accounts == ["default"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"minEpochs": 2000}, {"minEpochs": 2000, "requireSeed": True}),
        ({"minEpochs": None, "allowedImages": None}, {"minEpochs": None, "allowedImages": None, "requireSeed": True}),
        ({"allowedPodLabels": ["team"]}, {"allowedPodLabels": ["team"], "allowedPodAnnotations": []}),
        ({"allowedConfigurations": ["2d"]}, {"allowedConfigurations": ["2d"]}),
        ({"allowedImages": ["a.example/*"]}, {"allowedImages": ["a.example/*"]}),
    ],
)
def test_each_of_its_rules_can_be_set_by_a_value(values: Object, expected: Object) -> None:
    rules = clinical_rules(values)
    assert {key: rules.get(key) for key in expected} == expected


def test_its_values_know_the_same_rules_as_policies() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())["properties"]["policies"]["properties"]["clinical"]
    known = schema["properties"]["rules"]
    stopping = known["patternProperties"]["^earlyStopping$"]
    assert known["propertyNames"]["enum"] == [field.alias for field in Rules.model_fields.values()]
    assert stopping["propertyNames"]["enum"] == [field.alias for field in EarlyStoppingRules.model_fields.values()]


@pytest.mark.parametrize("values", [{"allowedImage": []}, {"earlyStopping": {"minEpoch": 1}}], ids=str)
def test_a_misspelt_rule_is_refused_and_not_left_out(values: Object) -> None:
    with pytest.raises(HelmError, match="invalid propertyName"):
        clinical_rules(values)


def test_the_clinical_policy_for_kubectl_is_not_helms() -> None:
    (policy,) = yaml.safe_load_all((ROOT / "manifests" / "policies" / "clinical.yaml").read_text())
    assert "annotations" not in policy["metadata"]
