"""Which trainings can be compared, before GPUs are used and at the end."""

from dataclasses import replace
from typing import Any

import pytest

from nnunet_api.fold_status import FoldStatus
from nnunet_api.results import Results
from nnunet_operator.core.comparison.arms import awaited, changed, contract_of, not_comparable, registered
from nnunet_operator.core.training import run_of
from tests.support.made_comparisons import ARMS, arm, comparison
from tests.support.made_trainings import NOW

SEEDS = [{"name": "standard", "trainings": ["long", "longer"]}, {"name": "fast", "trainings": ["short"]}]


def found(varies: list[str], **trainings: Any) -> dict[str, str]:
    return {one.path: one.matter for one in not_comparable(comparison(varies=varies), trainings)}


VARIES = ["schedule.epochs"]


@pytest.mark.parametrize(
    ("varies", "spec"),
    [
        (VARIES, {}),
        (["schedule"], {}),
        ([*VARIES, "configuration"], {"configuration": "2d"}),
        ([*VARIES, "configurations"], {"configurations": ["2d"]}),
        (VARIES, {"configurations": ["3d_fullres"]}),  # what it is by default, and in the former form
        ([*VARIES, "planning"], {"planning": {"planner": "nnUNetPlannerResEncL"}}),
        ([*VARIES, "trainer.className"], {"trainer": {"className": "nnUNetTrainer_Other"}}),
        ([*VARIES, "trainer.env"], {"trainer": {"env": [{"name": "nnUNet_compile", "value": "f"}]}}),
        ([*VARIES, "earlyStopping"], {"earlyStopping": {"mode": "Anneal"}}),
        # Where and with how much it runs is no condition of the result.
        (VARIES, {"resources": {"cpu": "2", "memory": "8Gi"}, "maxParallelFolds": 1, "retryLimit": 9}),
    ],
)
def test_comparable(varies: list[str], spec: dict[str, Any]) -> None:
    assert found(varies, long=arm("long"), short=arm("short", **spec)) == {}


def test_scores_of_several_configurations_are_no_arms() -> None:
    short = arm("short", configurations=["2d", "3d_fullres"])
    assert "(2d, 3d_fullres), each with scores of its own: give it one" in found(VARIES, short=short)["configurations"]
    chosen = arm("short", configurations=["2d"], selection={})
    assert "training short of arm fast has it: what is scored" in found(VARIES, short=chosen)["selection"]


@pytest.mark.parametrize(
    ("spec", "path", "matter"),
    [
        (
            {"dataset": {"name": "Dataset007_Pancreas"}},
            "dataset.name",
            "Dataset004_Hippocampus; fast: Dataset007_Pancreas",
        ),
        ({"folds": [0, 1]}, "folds", 'standard: ["0"]; fast: ["0", "1"]'),
        ({"testSet": {"labels": "labelsOther"}}, "testSet.labels", "standard: labelsTs; fast: labelsOther"),
        ({"evaluation": {"surfaceToleranceMm": 2}}, "evaluation.surfaceToleranceMm", "standard: 1.0; fast: 2.0"),
        ({"evaluation": {"mirroring": False}}, "evaluation.mirroring", "standard: true; fast: false"),
        ({"evaluation": {"stepSize": 1}}, "evaluation.stepSize", "standard: 0.5; fast: 1.0"),
        ({"configuration": "2d"}, "configuration", "standard: 3d_fullres; fast: 2d"),
        ({"planning": {"planner": "Other"}}, "planning.planner", "standard: ExperimentPlanner; fast: Other"),
        ({"planning": {"gpuMemoryTargetGB": 24}}, "planning.gpuMemoryTargetGB", "standard: none; fast: 24.0"),
        ({"trainer": {"className": "Other"}}, "trainer.className", "standard: nnUNetTrainer; fast: Other"),
        ({"trainer": {"seed": 7}}, "trainer.seed", "standard: none; fast: 7"),
        ({"trainer": {"env": [{"name": "A", "value": "1"}]}}, "trainer.env.A", "standard: none; fast: 1"),
        ({"earlyStopping": {"mode": "Stop"}}, "earlyStopping.mode", "standard: Disabled; fast: Stop"),
        (
            {"initialWeights": {"training": {"name": "base"}}},
            "initialWeights.training.name",
            "standard: none; fast: base",
        ),
        ({"resources": {"gpus": 2}}, "resources.gpus", "standard: 1; fast: 2"),
        (
            {"schedule": {"epochs": 250, "initialLearningRate": 0.1}},
            "schedule.initialLearningRate",
            "standard: none; fast: 0.1",
        ),
    ],
)
def test_what_specs_tell_is_named_with_both_values(spec: dict[str, Any], path: str, matter: str) -> None:
    """Also of trainings that have not begun."""
    problems = found(VARIES, long=arm("long", complete=False), short=arm("short", complete=False, **spec))
    assert matter in problems[path] and len(problems) == 1, problems


@pytest.mark.parametrize(
    ("provenance", "path", "matter"),
    [
        ({"datasetHash": "0" * 64}, "datasetHash", "fast: 0000"),
        ({"datasetHash": None}, "datasetHash", "is not known of all"),
        ({"splitsHash": "0" * 64}, "splitsHash", "fast: 0000"),
        ({"plansHash": "0" * 64}, "plansHash", "fast: 0000"),
        ({"imageDigest": "sha256:2"}, "trainer.image", "standard: sha256:1; fast: sha256:2"),
        ({"torchVersion": "2.9"}, "torchVersion", "standard: unknown; fast: 2.9"),
    ],
)
def test_what_the_status_tells_is_said_at_the_end(provenance: dict[str, Any], path: str, matter: str) -> None:
    short = arm("short", provenance=provenance)
    assert matter in found(VARIES, long=arm("long"), short=short)[path]
    assert found(VARIES, long=arm("long", complete=False), short=short) == {}, "not before both are complete"


def test_the_same_image_from_another_registry_is_the_same() -> None:
    long, short = (
        arm(name, provenance={"imageDigest": f"{registry}/trainer@sha256:1"})
        for name, registry in (("long", "one.example"), ("short", "mirror.example"))
    )
    assert found(VARIES, long=long, short=short) == {}


def test_a_tag_that_was_moved_on_the_way_is_no_condition_that_arms_can_share() -> None:
    both = {name: arm(name, provenance={"otherImageDigests": ["r/t@sha256:2"]}) for name in ("long", "short")}
    said = found(VARIES, **both)["trainer.image"]
    assert said == "is not the same in all pods: train with a digest (long: sha256:1, sha256:2)"
    assert found([*VARIES, "trainer.image"], long=arm("long"), short=both["short"]) == {}


def test_what_follows_from_a_name_may_differ_with_it() -> None:
    short = arm("short", provenance={"imageDigest": "sha256:2", "torchVersion": "2.9"})
    assert found([*VARIES, "trainer.image"], long=arm("long"), short=short) == {}


@pytest.mark.parametrize(
    ("varies", "matter"),
    [
        (
            "schedule.epochs",
            "is named in spec.varies, and does not differ: leave it out, or correct the arms (1000 in all arms)",
        ),
        ("earlyStopping", "is named in spec.varies, and does not differ"),
    ],
)
def test_what_is_named_has_to_differ(varies: str, matter: str) -> None:
    same = {"long": arm("long"), "short": arm("short", schedule={"epochs": 1000})}
    assert matter in found([varies], **same)[varies]


def test_what_only_the_runs_tell_is_left_to_the_end() -> None:
    assert found([*VARIES, "batchSize"], long=arm("long"), short=arm("short")) == {}


def test_replicates_of_an_arm_differ_by_their_seeds_alone() -> None:
    long, longer = (arm("long", trainer={"seed": seed}, replicates=2) for seed in (1, 3))
    short = arm("short", trainer={"seed": 1}, replicates=4)
    of = comparison(arms=SEEDS)
    assert not_comparable(of, {"long": long, "longer": longer, "short": short}) == []
    other = arm("long", trainer={"seed": 3}, replicates=2, schedule={"epochs": 900})
    problems = not_comparable(of, {"long": long, "longer": other, "short": short})
    assert [str(one) for one in problems] == ["schedule.epochs: differs inside arm standard (long: 1000, longer: 900)"]


def test_without_a_test_set_one_fold_is_too_little() -> None:
    alone = {name: arm(name, testSet=None) for name in ("long", "short")}
    assert "at least two folds" in found(VARIES, **alone)["testSet"]
    assert found(VARIES, **{name: arm(name, testSet=None, folds=[0, 1]) for name in ("long", "short")}) == {}


@pytest.mark.parametrize(
    ("trainings", "words", "failed"),
    [
        ({}, "training long is not there; training short is not there", False),
        ({"long": arm("long")}, "training short is not there", False),
        (
            {"long": arm("long"), "short": arm("short", complete=False)},
            "training short is not complete (Training)",
            False,
        ),
        ({"long": arm("long"), "short": arm("short")}, "", False),
    ],
)
def test_what_is_awaited_is_named(trainings: dict[str, Any], words: str, failed: bool) -> None:
    assert awaited(comparison(), trainings) == (words, failed)


def test_the_registration_keeps_what_was_first_seen() -> None:
    first = registered(comparison(), {"long": arm("long", complete=False)}, NOW)
    assert [(one.name, one.complete) for one in first.trainings] == [("long", False)] and first.digest is None
    of = comparison(status=comparison().status.model_copy(update={"registration": first}))
    whole = registered(of, {"long": arm("long"), "short": arm("short")}, NOW)
    assert [(one.name, one.uid, one.complete) for one in whole.trainings] == [
        ("long", "uid-of-long", False),
        ("short", "uid-of-short", True),
    ]
    assert whole.digest and whole.time == NOW
    kept = comparison(status=of.status.model_copy(update={"registration": whole}))
    assert registered(kept, {}, NOW) == whole
    assert [one.name for one in changed(whole, {"long": arm("long")})] == ["short"]
    other = registered(comparison(maxDiceLoss=0.02), {"long": arm("long"), "short": arm("short")}, NOW)
    assert other.digest != registered(comparison(), {"long": arm("long"), "short": arm("short")}, NOW).digest


VALIDATED = FoldStatus(fold="0", mean_validation_dice=0.8)


@pytest.mark.parametrize(
    ("status", "spec", "known"),
    [
        ({}, {}, False),
        ({"results": Results(summary_hash="5" * 64)}, {}, True),  # scored, and then failed for its policy
        ({"folds": [VALIDATED]}, {"testSet": None}, True),
        ({"folds": [VALIDATED]}, {}, False),  # the test set decides, and nobody has looked at it
    ],
)
def test_a_registration_tells_what_could_be_known(status: dict[str, Any], spec: dict[str, Any], known: bool) -> None:
    """Keeping a training from being complete hides nothing."""
    long = arm("long", complete=False, **spec)
    seen = replace(long, status=long.status.model_copy(update=status))
    (one,) = registered(comparison(), {"long": seen}, NOW).trainings
    assert one.complete is known


def test_the_pod_is_told_of_the_runs_the_baseline_first() -> None:
    contract = contract_of(comparison(baseline="fast"), {"long": arm("long"), "short": arm("short")}, "d" * 64)
    assert [one.name for one in contract.arms] == ["fast", ARMS[0]["name"]]
    (run,) = contract.arms[0].runs
    assert (run.training, run.uid, run.summary_hash, run.folds) == ("short", "uid-of-short", "5" * 64, ["0"])
    assert run.folder == "clinic/short-uid-of-s" and contract.founded == ["schedule.epochs"]


@pytest.mark.parametrize(
    ("name", "spec"), [("folds", {"folds": [0, 1]}), ("dataset", {"dataset": {"name": "Dataset007_Pancreas"}})]
)
def test_what_was_learnt_from_and_how_it_was_scored_never_differs(name: str, spec: dict[str, Any]) -> None:
    """The schema takes no such name; a definition of another version might."""
    problems = found([*VARIES, name], long=arm("long"), short=arm("short", **spec))
    assert any(path.startswith(name) for path in problems), problems


THREE = [{"name": name, "trainings": [f"{name}-{seed}" for seed in (1, 2, 3)]} for name in ("long", "short")]


def seeded(arm_name: str, seed: int, **spec: Any) -> Any:
    epochs = {"long": 1000, "short": 250}[arm_name]
    return arm(f"{arm_name}-{seed}", complete=False, schedule={"epochs": epochs}, trainer={"seed": seed}, **spec)


def test_sets_of_seeds_are_judged_once_all_trainings_are_there() -> None:
    """They may be created one after the other, after the comparison."""
    of = comparison(arms=THREE)
    every = {f"{name}-{seed}": seeded(name, seed) for name in ("long", "short") for seed in (1, 2, 3)}
    some = {name: every[name] for name in ("long-1", "long-2", "short-1")}
    assert not_comparable(of, some) == [] == not_comparable(of, every)
    (problem,) = not_comparable(of, {**every, "short-3": seeded("short", 4)})
    assert problem.path == "trainer.seed"


def test_a_seed_that_is_trained_twice_is_no_replicate() -> None:
    of = comparison(
        arms=[{"name": "long", "trainings": ["long-1", "long-2"]}, {"name": "short", "trainings": ["short-1"]}]
    )
    twice = {"long-1": seeded("long", 1), "long-2": seeded("long", 1), "short-1": seeded("short", 1)}
    (problem,) = not_comparable(of, twice)
    assert "arm long trains seed 1 more than once" in str(problem)


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        (
            {"trainer": {"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "lr", "key": "k"}}}]}},
            "trainer.env.A",
        ),
        ({"podTemplate": {"volumes": [{"name": "code", "configMap": {"name": "v2"}}]}}, "podTemplate.volumes.code"),
    ],
)
def test_what_comes_from_elsewhere_is_compared_by_its_name(spec: dict[str, Any], path: str) -> None:
    assert list(found(VARIES, long=arm("long"), short=arm("short", **spec))) == [path]


def test_a_training_that_was_restored_is_compared_by_the_run_that_its_status_names() -> None:
    """It is complete, and its scores lie where the former object had them."""
    long = arm("long")
    own = run_of(long)
    former = own.rpartition("-")[0] + "-0f0f0f0f"
    restored = replace(long, status=long.status.model_copy(update={"run_path": former}))
    assert run_of(restored) == former
    other = replace(long, status=long.status.model_copy(update={"run_path": "clinic/short-0f0f0f0f"}))
    assert run_of(other) == own, "another training's run is none of it"
