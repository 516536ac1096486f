"""The trainings that a comparison makes: their names, what a patch makes of the template, and what it may not."""

from typing import Any

import pytest

from nnunet_api.comparison.model import NnunetComparisonSpec
from nnunet_api.comparison.template import (
    FaultyTemplate,
    changed_fields,
    is_made_from,
    made_name,
    made_specs,
    merge_patch,
    with_made_names,
)
from nnunet_api.training import NnunetTrainingSpec
from tests.support.made_comparisons import TEMPLATE

LONG = "a-name-that-is-longer-than-what-the-value-of-a-label-may-have-in-kubernetes"


def spec(*patches: Any, template: Any = TEMPLATE, names: tuple[str, ...] = ("1000", "250")) -> NnunetComparisonSpec:
    arms = [{"name": name, "patch": patch} for name, patch in zip(names, patches, strict=True)]
    return NnunetComparisonSpec.model_validate({"template": template, "arms": arms, "varies": ["schedule.epochs"]})


@pytest.mark.parametrize(
    ("patch", "merged"),
    [
        ({}, {"a": {"b": 1, "c": [1, 2]}, "d": 3}),
        ({"a": {"b": 2}}, {"a": {"b": 2, "c": [1, 2]}, "d": 3}),
        ({"a": {"c": [3]}}, {"a": {"b": 1, "c": [3]}, "d": 3}),
        ({"a": None}, {"d": 3}),
        ({"d": {"e": {"f": 1, "g": None}}}, {"a": {"b": 1, "c": [1, 2]}, "d": {"e": {"f": 1}}}),
        ({"x": {"y": None}}, {"a": {"b": 1, "c": [1, 2]}, "d": 3, "x": {}}),
    ],
)
def test_a_patch_is_merged_as_rfc_7386_says(patch: Any, merged: Any) -> None:
    target = {"a": {"b": 1, "c": [1, 2]}, "d": 3}
    assert merge_patch(target, patch) == merged
    assert target == {"a": {"b": 1, "c": [1, 2]}, "d": 3}, "the template is that of all arms"


def test_each_arm_is_the_template_but_for_its_patch() -> None:
    made = made_specs(spec({}, {"schedule": {"epochs": 250}}), "shorter")
    assert {name: one.schedule.epochs for name, one in made.items()} == {"shorter-1000": 1000, "shorter-250": 250}
    # By which a policy lets them train as arms, and waits for the verdict.
    assert {one.comparison for one in made.values()} == {"shorter"}
    assert {one.replicates for one in made.values()} == {3} and {one.trainer.seed for one in made.values()} == {1}
    arms = with_made_names(spec({}, {"schedule": {"epochs": 250}}), "shorter").arms
    assert [arm.trainings for arm in arms] == [["shorter-1000"], ["shorter-250"]]


@pytest.mark.parametrize("comparison", ["shorter", "a.b", LONG])
def test_names_are_bounded_and_each_arms_own(comparison: str) -> None:
    arms = ["a", "A", "a-b", "a_b", "a.b", "A-b", LONG[:63], LONG[:62], LONG[:61].upper()]
    names = [made_name(comparison, arm) for arm in arms]
    assert len(set(names)) == len(arms)
    # As Kubernetes takes them: whatever the letters of the arm.
    assert all(len(name) <= 63 and name == name.lower() and "_" not in name and ".." not in name for name in names)


@pytest.mark.parametrize(
    ("patch", "words"),
    [
        ({"schedule": {"epoch": 250}}, "arm 250: spec.schedule.epoch is no field of a training"),
        ({"schedule": {"epochs": 0}}, "arm 250: spec.schedule.epochs is 0: input should be greater than or equal to 1"),
        ({"schedule": {"epochs": "250"}}, "arm 250: spec.schedule.epochs is '250': input should be a valid integer"),
        ({"schedule": 250}, "arm 250: spec.schedule is 250: "),
        ({"dataset": None}, "arm 250: spec.dataset is not set, must be given"),
        ({"suspend": True}, "arm 250: spec.suspend is true: set spec.suspend of the comparison"),
        ({"comparison": "another"}, "arm 250: spec.comparison is set: it is the comparison that makes it"),
        ({"ttlSecondsAfterFinished": 0}, "arm 250: spec.ttlSecondsAfterFinished is set"),
        (
            {"trainer": {"env": [{"name": "K", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}},
            "arm 250: spec.trainer.env (K) names a Secret or ConfigMap",
        ),
        (
            {"podTemplate": {"volumes": [{"name": "code", "configMap": {"name": "c"}}]}},
            "arm 250: spec.podTemplate.volumes (code) names a Secret or ConfigMap",
        ),
        ({"planning": {"configurations": {"a": {"architecture": {"x": "y" * 70_000}}}}}, "may have at most 65536"),
    ],
)
def test_what_is_no_training_names_arm_path_and_remedy(patch: Any, words: str) -> None:
    with pytest.raises(FaultyTemplate) as found:
        made_specs(spec({}, patch), "shorter")
    assert words in str(found.value) and "create the comparison anew" in str(found.value)


def test_a_name_that_another_arm_has_already_is_refused() -> None:
    arms = [{"name": "a", "trainings": ["shorter-b"]}, {"name": "b", "patch": {}}]
    both = NnunetComparisonSpec.model_validate({"template": TEMPLATE, "arms": arms})
    with pytest.raises(FaultyTemplate, match="shorter-b is that of another arm's, too"):
        made_specs(both, "shorter")


def test_not_more_is_listed_than_fits_into_a_status() -> None:
    wrong = {f"field{number}": 1 for number in range(30)}
    with pytest.raises(FaultyTemplate, match="and 25 more") as found:
        made_specs(spec({}, wrong), "shorter")
    assert len(found.value.faults) == 30


@pytest.mark.parametrize("template", [{"configuration": "3d_fullres"}, {"configurations": ["3d_fullres"]}, {}])
@pytest.mark.parametrize("patch", [{"configuration": "2d"}, {"configurations": ["2d"]}])
def test_what_a_patch_says_of_the_configuration_counts_in_either_form(template: Any, patch: Any) -> None:
    made = made_specs(spec({}, patch, template={"spec": {**TEMPLATE["spec"], **template}}), "shorter")
    assert [one.configuration_names for one in made.values()] == [["3d_fullres"], ["2d"]]
    changed = made["shorter-250"]
    assert (changed.configuration is None) != (changed.configurations is None), "the API server takes one form only"


def test_a_training_of_a_former_operator_is_still_the_one_that_was_made() -> None:
    wanted = NnunetTrainingSpec.model_validate({"dataset": {"name": "Dataset001_A"}})
    stored = wanted.model_copy(update={"configuration": "3d_fullres"})
    assert is_made_from(stored, wanted)
    other = wanted.model_copy(update={"configurations": ["2d"]})
    assert changed_fields(other, wanted) == ['spec.configurations is ["2d"] in place of ["3d_fullres"]']


def test_a_copy_on_the_node_is_no_other_training() -> None:
    """It may be raised while its trainings live; the claim that it is made of may not change."""
    body = {"dataset": {"name": "Dataset004_Hippocampus"}}
    wanted = NnunetTrainingSpec.model_validate(body)
    copy = NnunetTrainingSpec.model_validate({**body, "storage": {"preprocessed": {"localCopy": {"sizeLimit": "9Gi"}}}})
    claim = NnunetTrainingSpec.model_validate({**body, "storage": {"preprocessed": {"claimName": "other"}}})
    assert is_made_from(copy, wanted) and is_made_from(wanted, copy) and not is_made_from(claim, wanted)
