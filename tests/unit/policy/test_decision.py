"""The engine: which policies are for a training, what it breaks, what an exception leaves of the rules."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from nnunet_api.policy.advice import advice
from nnunet_api.policy.decision import decide
from nnunet_api.policy.model import Outcome
from nnunet_api.policy.selector import is_for
from tests.support.made_policies import NOW, exception, policy, subject

DIGEST = f"registry.example/trainer@sha256:{'0' * 64}"
CLINICAL = {"nnunet.dev/clinical": "true", "kubernetes.io/metadata.name": "clinic"}
SECOND = timedelta(seconds=1)
STOP = {"mode": "Stop", "minEpochs": 300}
PLANNED = "(so that an allowed name means what nnU-Net plans under it)"


@pytest.mark.parametrize(
    ("rules", "spec", "expected"),
    [
        ({}, {"schedule": {"epochs": 1}}, []),
        ({"minEpochs": 1000}, {}, []),
        (
            {"minEpochs": 1000},
            {"schedule": {"epochs": 999}},
            ["spec.schedule.epochs is 999, must be at least 1000"],
        ),
        ({"minEpochs": 1000, "minIterationsPerEpoch": 250}, {}, []),
        (
            {"minEpochs": 1000, "minIterationsPerEpoch": 250},
            {"schedule": {"epochs": 1000, "iterationsPerEpoch": 1}},
            ["spec.schedule.iterationsPerEpoch is 1, must be at least 250"],
        ),
        (
            {"minInitialLearningRate": 0.0002},
            {"schedule": {"initialLearningRate": 1e-12}},
            ["spec.schedule.initialLearningRate is 1e-12, must be at least 0.0002"],
        ),
        ({"minInitialLearningRate": 0.0002}, {"schedule": {"initialLearningRate": 0.0002}}, []),
        ({"minInitialLearningRate": 10}, {}, []),
        (
            {"maxWarmupEpochs": 100},
            {"schedule": {"learningRatePolicy": "PolyWithWarmup", "warmupEpochs": 999}},
            ["spec.schedule.warmupEpochs is 999, must be at most 100"],
        ),
        ({"maxWarmupEpochs": 50}, {"schedule": {"learningRatePolicy": "PolyWithWarmup"}}, []),
        ({"maxWarmupEpochs": 0}, {"schedule": {"learningRatePolicy": "Cosine", "warmupEpochs": 999}}, []),
        (
            {"allowedPlanners": ["ExperimentPlanner", "nnUNetPlannerResEncL"]},
            {"planning": {"planner": "Tiny"}},
            ["spec.planning.planner is Tiny, must be one of ExperimentPlanner, nnUNetPlannerResEncL"],
        ),
        (
            {"minGpuMemoryTargetGB": 8},
            {"planning": {"gpuMemoryTargetGB": 0.5}},
            ["spec.planning.gpuMemoryTargetGB is 0.5, must be at least 8"],
        ),
        ({"minGpuMemoryTargetGB": 8}, {}, []),
        ({"minGpuMemoryTargetGB": 8}, {"planning": {"gpuMemoryTargetGB": 8}}, []),
        (
            {"earlyStopping": {"allowedModes": ["Disabled", "Observe"]}},
            {"earlyStopping": STOP},
            ["spec.earlyStopping.mode is Stop, must be one of Disabled, Observe"],
        ),
        (
            {"earlyStopping": {"minEpochs": 500}},
            {"earlyStopping": STOP},
            ["spec.earlyStopping.minEpochs is 300, must be at least 500"],
        ),
        ({"earlyStopping": {"minEpochs": 500}}, {"earlyStopping": {"mode": "Observe", "minEpochs": 300}}, []),
        (
            {"requireImageDigest": True},
            {},
            ["spec.trainer.image is not set, must have a digest (NAME@sha256:...)"],
        ),
        (
            {"requireImageDigest": True},
            {"trainer": {"image": "a/b:1"}},
            ["spec.trainer.image is a/b:1, must have a digest (NAME@sha256:...)"],
        ),
        ({"requireImageDigest": True}, {"trainer": {"image": DIGEST}}, []),
        ({"requireImageDigest": True}, {"trainer": {"image": DIGEST + "0"}}, [f"spec.trainer.image is {DIGEST}0, "]),
        ({"requireSeed": True}, {}, ["spec.trainer.seed is not set, must be a number"]),
        ({"requireSeed": True}, {"trainer": {"seed": 0}}, []),
        ({"requireTestSet": True}, {}, ["spec.testSet is not set, must name the folders of the test cases"]),
        ({"requireTestSet": True}, {"testSet": {}}, []),
        ({"minReplicates": 3}, {}, ["spec.replicates is 1, must be at least 3"]),
        ({"minReplicates": 3}, {"replicates": 3, "trainer": {"seed": 1}}, []),
        (
            {"allowedTrainerClasses": ["nnUNetTrainer", "nnUNetTrainerDA5"]},
            {"trainer": {"className": "Mine"}},
            ["spec.trainer.className is Mine, must be one of nnUNetTrainer, nnUNetTrainerDA5"],
        ),
        (
            {"allowedConfigurations": ["3d_fullres"]},
            {"configuration": "2d"},
            ["spec.configurations sets 2d, may set only 3d_fullres"],
        ),
        (
            {"allowedConfigurations": ["3d_fullres"]},
            {"configurations": ["2d", "3d_fullres", "3d_lowres"]},
            ["spec.configurations sets 2d and 1 more, may set only 3d_fullres"],
        ),
        (
            {"maxGpus": 4},
            {"configurations": ["2d", "3d_fullres", "3d_lowres"], "folds": [0, 1]},
            [
                "spec.resources.gpus is 1 (5 in all folds at once), must be at most 4 in all (lower "
                "spec.maxParallelFolds)"
            ],
        ),
        (
            {"allowedConfigurations": ["3d_fullres"]},
            {"planning": {"configurations": {"3d_fullres": {"patch_size": [16, 16, 16]}}}},
            [f"spec.planning.configurations sets 3d_fullres, must be empty {PLANNED}"],
        ),
        (
            {"allowedConfigurations": ["b"]},
            {"configuration": "z", "planning": {"configurations": {"z": {"inherits_from": "a"}, "a": {}, "b": {}}}},
            [
                "spec.configurations sets z, may set only b",
                f"spec.planning.configurations sets a and 2 more, must be empty {PLANNED}",
            ],
        ),
        ({}, {"planning": {"configurations": {"3d_fullres": {"patch_size": [16, 16, 16]}}}}, []),
        ({"allowedEnv": []}, {}, []),
        ({"allowedEnv": ["nnUNet_compile", "RARE_*"]}, {"trainer": {"env": [{"name": "RARE_LESION"}]}}, []),
        (
            {"allowedEnv": ["nnUNet_compile", "RARE_*"]},
            {"trainer": {"env": [{"name": name} for name in ("nnUNet_compile", "nnUNet_compile_", "RARE", "RARE_")]}},
            ["spec.trainer.env sets nnUNet_compile_ and 1 more, may set only nnUNet_compile, RARE_*"],
        ),
        (
            {"allowedEnv": []},
            {"trainer": {"env": [{"name": "nnUNet_compile"}]}},
            ["spec.trainer.env sets nnUNet_compile, may set none"],
        ),
        ({}, {"trainer": {"env": [{"name": "nnUNet_compile"}]}}, []),
        (
            {"maxGpus": 4},
            {},
            [
                "spec.resources.gpus is 1 (5 in all folds at once), must be at most 4 in all (lower "
                "spec.maxParallelFolds)"
            ],
        ),
        ({"maxGpus": 4}, {"maxParallelFolds": 4}, []),
        ({"maxGpus": 4}, {"folds": [0, 1, 2], "resources": {"gpus": 2}, "maxParallelFolds": 2}, []),
        (
            {"maxGpus": 1},
            {"folds": [0], "replicates": 2, "trainer": {"seed": 1}},
            ["spec.resources.gpus is 1 (2 in all folds at once), "],
        ),
        (
            {"minEpochs": 1000, "requireSeed": True},
            {"schedule": {"epochs": 5}},
            ["spec.schedule.epochs is 5, must be at least 1000", "spec.trainer.seed is not set, must be a number"],
        ),
    ],
)
def test_rules(rules: dict[str, Any], spec: dict[str, Any], expected: list[str]) -> None:
    decision = decide(subject(**spec), {}, [policy(rules=rules)], NOW)
    (verdict,) = decision.verdicts
    found = [violation.message for violation in verdict.violations]
    assert len(found) == len(expected)
    assert all(message.startswith(start) for message, start in zip(found, expected, strict=True)), found
    assert decision.allowed is (expected == [])
    assert verdict.outcome is (Outcome.DENIED if expected else Outcome.ALLOWED)


@pytest.mark.parametrize(
    ("expires", "now", "change", "counts"),
    [
        pytest.param("2027-03-02T12:00:00Z", NOW, "2027-03-02T12:00:00Z", True, id="366 days are left"),
        pytest.param("2027-03-02T12:00:01Z", NOW, "2026-03-01T12:00:01Z", False, id="a second more: it begins then"),
        pytest.param("2029-06-01T00:00:00Z", NOW, "2028-05-31T00:00:00Z", False, id="years"),
        pytest.param("2026-03-01T12:00:00Z", NOW, None, False, id="it has ended"),
        pytest.param("0001-01-01T00:00:00Z", NOW, None, False, id="in the first days of the calendar"),
        pytest.param("9999-12-31T23:59:59Z", NOW, "9998-12-30T23:59:59Z", False, id="in the last"),
    ],
)
@pytest.mark.parametrize("mode", ["Enforce", "Warn", "Audit"])
def test_when_the_clock_alone_changes_the_decision(
    expires: str, now: datetime, change: str | None, counts: bool, mode: str
) -> None:
    excepting = policy(mode=mode, rules={"minEpochs": 2000}, exceptions=[exception(expiresAt=expires, minEpochs=10)])
    decision = decide(subject(), {}, [excepting], now)
    expected = datetime.fromisoformat(change) if change else None
    assert decision.next_change == expected
    assert (decision.verdicts[0].exception is not None) is counts
    if expected:
        before, after = (decide(subject(), {}, [excepting], expected - step) for step in (SECOND, 0 * SECOND))
        assert before.verdicts != after.verdicts


def test_the_message_names_the_policy_and_what_to_do() -> None:
    decision = decide(subject(schedule={"epochs": 5}), {}, [policy("clinical", rules={"minEpochs": 1000})], NOW)
    assert decision.messages(Outcome.DENIED) == [
        "policy clinical: spec.schedule.epochs is 5, must be at least 1000: change the training, or ask those who may "
        "write the policy for an exception"
    ]


def test_a_long_list_is_cut() -> None:
    classes = [f"{'x' * 100}{number}" for number in range(3)]
    decision = decide(subject(), {}, [policy(rules={"allowedTrainerClasses": classes})], NOW)
    (violation,) = decision.verdicts[0].violations
    assert violation.message.endswith("...") and len(violation.message) < 300


def test_a_line_that_admission_could_not_tell_is_cut() -> None:
    """The API server shows none of a message of more than 5120 bytes."""
    image, label = "i" * 512, "a" * 4000 + "/b"
    rules = {"requireImageDigest": True, "requireSeed": True, "allowedImages": ["a"]}
    long = policy("n" * 253, rules={**rules, "allowedPodLabels": []})
    asked = subject(trainer={"image": image}, podTemplate={"labels": {label: "v"}})
    (verdict,) = decide(asked, {}, [long], NOW).verdicts
    assert len(verdict.violations) == 4 and len(verdict.message.encode()) < 5120
    assert verdict.matter.startswith(
        f"policy {'n' * 253}: spec.trainer.image is {image}, "
    ) and verdict.matter.endswith("...")


@pytest.mark.parametrize(
    ("spec", "labels", "expected"),
    [
        ({"namespaces": ["clinic"]}, {}, True),
        ({"namespaces": ["other"]}, {}, False),
        ({"namespaces": []}, {}, False),
        ({"namespaceSelector": {}}, {}, True),
        ({"namespaceSelector": {"matchLabels": {"nnunet.dev/clinical": "true"}}}, CLINICAL, True),
        ({"namespaceSelector": {"matchLabels": {"nnunet.dev/clinical": "true"}}}, {}, False),
        ({"namespaceSelector": {"matchLabels": {"nnunet.dev/clinical": "true"}}}, {"nnunet.dev/clinical": "x"}, False),
        ({"namespaceSelector": {"matchLabels": {"nnunet.dev/a": "b"}}, "namespaces": ["clinic"]}, {}, True),
        *(
            (
                {
                    "namespaceSelector": {
                        "matchExpressions": [{"key": "nnunet.dev/site", "operator": operator, "values": values}]
                    }
                },
                labels,
                expected,
            )
            for operator, values, labels, expected in [
                ("In", ["a", "b"], {"nnunet.dev/site": "b"}, True),
                ("In", ["a", "b"], {"nnunet.dev/site": "c"}, False),
                ("In", ["a", "b"], {}, False),
                ("NotIn", ["a"], {"nnunet.dev/site": "a"}, False),
                ("NotIn", ["a"], {"nnunet.dev/site": "b"}, True),
                ("NotIn", ["a"], {}, True),
                ("Exists", [], {"nnunet.dev/site": ""}, True),
                ("Exists", [], {}, False),
                ("DoesNotExist", [], {}, True),
                ("DoesNotExist", [], {"nnunet.dev/site": "a"}, False),
            ]
        ),
    ],
)
def test_which_namespaces_a_policy_is_for(spec: dict[str, Any], labels: dict[str, str], expected: bool) -> None:
    assert is_for(policy(**spec).spec, "clinic", labels) is expected


def test_modes_and_several_policies() -> None:
    short = subject(schedule={"epochs": 300})
    policies = [
        policy("audits", "Audit", rules={"minEpochs": 400}),
        policy("kept", rules={"minEpochs": 250}),
        policy("warns", "Warn", rules={"minEpochs": 1000}),
        policy("elsewhere", namespaces=["other"], rules={"minEpochs": 1000}),
    ]
    decision = decide(short, {}, policies, NOW)
    assert [(v.policy.name, v.outcome) for v in decision.verdicts] == [
        ("warns", Outcome.WARNED),
        ("audits", Outcome.AUDITED),
        ("kept", Outcome.ALLOWED),
    ]
    assert decision.allowed and decision.min_epochs == 250
    denying = policy("a", rules={"minEpochs": 301})
    decision = decide(short, {}, [*policies, denying], NOW)
    assert not decision.allowed and decision.verdicts[0].policy is denying


@pytest.mark.parametrize(
    ("labels", "policies", "missing"),
    [
        (CLINICAL, [], True),
        (CLINICAL, [policy(namespaces=["other"])], True),
        (CLINICAL, [policy(mode="Audit")], False),
        ({}, [], False),
        ({"nnunet.dev/clinical": "false"}, [], False),
    ],
)
def test_a_clinical_namespace_needs_a_policy(labels: dict[str, str], policies: list[Any], missing: bool) -> None:
    decision = decide(subject(), labels, policies, NOW)
    assert (decision.missing, decision.allowed) == (missing, not missing)


@pytest.mark.parametrize(
    ("granted", "allowed"),
    [
        (exception(minEpochs=300), True),
        (exception(minEpochs=301), False),
        (exception(), False),
        (exception(minEpochs=300, name="other"), False),
        (exception(minEpochs=300, namespace="other"), False),
        (exception(minEpochs=300, expiresAt="2026-03-01T12:00:01Z"), True),
        (exception(minEpochs=300, expiresAt="2026-03-01T12:00:00Z"), False),
        (exception(minEpochs=300, expiresAt="2026-03-01T13:00:00+02:00"), False),
        (exception(minEpochs=300, expiresAt="2027-03-02T12:00:00Z"), True),
        (exception(minEpochs=300, expiresAt="2027-03-02T12:00:01Z"), False),
    ],
)
def test_when_an_exception_counts(granted: dict[str, Any], allowed: bool) -> None:
    one = policy(rules={"minEpochs": 1000}, exceptions=[granted])
    decision = decide(subject(schedule={"epochs": 300}), {}, [one], NOW)
    assert decision.allowed is allowed
    (verdict,) = decision.verdicts
    assert verdict.outcome is (Outcome.EXCEPTED if allowed else Outcome.DENIED)
    assert decision.min_epochs == 300  # the schedule has no more


def test_an_exception_lifts_what_it_names_and_nothing_else() -> None:
    rules = {
        "minEpochs": 1000,
        "requireSeed": True,
        "requireTestSet": True,
        "earlyStopping": {"allowedModes": ["Disabled"], "minEpochs": 600},
    }
    spec: dict[str, Any] = {"schedule": {"epochs": 500}, "earlyStopping": {"mode": "Stop", "minEpochs": 450}}
    granted = exception(minEpochs=400, liftedRules=["requireSeed", "earlyStopping.allowedModes"])
    decision = decide(subject(**spec), {}, [policy(rules=rules, exceptions=[granted])], NOW)
    (verdict,) = decision.verdicts
    assert [violation.rule for violation in verdict.violations] == ["requireTestSet"]
    assert (decision.min_epochs, decision.next_change) == (400, datetime.fromisoformat("2026-06-01T00:00:00+00:00"))


@pytest.mark.parametrize(
    ("rules", "mode", "expected"),
    [
        ({"minEpochs": 1000}, "Enforce", 1000),
        ({"earlyStopping": {"minEpochs": 700}}, "Enforce", 700),
        ({"minEpochs": 500, "earlyStopping": {"minEpochs": 700}}, "Enforce", 700),
        ({"earlyStopping": {"minEpochs": 2000}}, "Enforce", 1000),
        ({"minEpochs": 1000}, "Warn", 0),
        ({"requireSeed": True}, "Enforce", 0),
    ],
)
def test_epochs_that_have_to_be_proven(rules: dict[str, Any], mode: str, expected: int) -> None:
    assert decide(subject(), {}, [policy(mode=mode, rules=rules)], NOW).min_epochs == expected


def test_an_exception_that_ended_is_told() -> None:
    one = policy(rules={"minEpochs": 1000}, exceptions=[exception(minEpochs=300)])
    later = NOW + timedelta(days=200)
    (verdict,) = decide(subject(schedule={"epochs": 300}), {}, [one], later).verdicts
    assert verdict.exception is None and verdict.lapsed is not None and verdict.lapsed.ticket == "QM-17"


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({}, []),
        ({"schedule": {"epochs": 300}}, ["usually lose 1-3 % Dice"]),
        ({"schedule": {"epochs": 100}}, ["do not rely on the model"]),
        ({"schedule": {"epochs": 2000, "iterationsPerEpoch": 125}}, []),
        ({"earlyStopping": {"mode": "Stop"}}, ["not convergence"]),
        ({"earlyStopping": {"mode": "Anneal"}}, []),
        ({"initialWeights": {"training": {"name": "base"}}}, ["may undo what the weights know"]),
        ({"initialWeights": {"training": {"name": "base"}}, "schedule": {"initialLearningRate": 0.001}}, []),
        ({"schedule": {"epochs": 300}, "earlyStopping": {"mode": "Stop"}}, ["1-3 % Dice", "not convergence"]),
    ],
)
def test_advice(spec: dict[str, Any], words: list[str]) -> None:
    found = advice(subject(**spec).spec)
    assert len(found) == len(words) and all(word in each.message for word, each in zip(words, found, strict=True))
    assert all(each.message.startswith(each.field) for each in found), "the field stands first for people, too"
