"""Where the weights are that a training begins with, and what it waits for."""

import json
from dataclasses import replace
from typing import Any

import pytest

from nnunet_api.contract import CONTAINER_NAME, PREPARE_CONTAINER_NAME, TerminationReport
from nnunet_api.initial_weights import WEIGHTS_ENV, InitialWeightsFacts, WeightsSource
from nnunet_api.results import ConfigurationResult, Results
from nnunet_api.status import NnunetTrainingStatus, Provenance
from nnunet_operator.core.initial_weights import cases_path, weights_source
from nnunet_operator.core.observation import Trouble
from nnunet_operator.core.policies import Policies
from nnunet_operator.core.training import Training
from tests.support.made_policies import policy
from tests.support.made_trainings import training as made
from tests.support.made_worlds import COMPLETE, PLAN, condition, ended, job, stated, world
from tests.support.made_worlds import decide as decide_in
from tests.support.plan_facts import PLAN_FACTS

SHA = "ab" * 32
CONDITION = {"type": "Complete", "reason": "TrainingComplete", "lastTransitionTime": "2026-01-02T03:04:05Z"}


def make_training(
    name: str, uid: str, status: dict[str, Any], spec: dict[str, Any], weights_from: Training | None = None
) -> Training:
    """Return a training with a stored status."""
    stored = made(name=name, uid=uid, status=NnunetTrainingStatus.model_validate(status), **spec)
    return replace(stored, weights_from=weights_from)


def base(name: str = "base", complete: bool = True, digits: int = 64, **results: Any) -> Training:
    """Return the training that the weights are from, with folds 1 and 2."""
    run = f"clinic/{name}-aaaaaaaa"
    status = {
        "phase": "Completed" if complete else "Training",
        "conditions": [CONDITION | {"status": str(complete)}],
        "folds": [
            {"configuration": "3d_fullres", "fold": fold, "checkpointHash": SHA[:digits], "provenEpochs": 1000}
            for fold in ("1", "2")
        ],
        "results": {"modelPath": f"models/{run}/Dataset004_Hippocampus/nnUNetTrainer__P__3d_fullres", **results},
        "provenance": {"datasetHash": "d"},
        "runPath": f"models/{run}",
    }
    return make_training(name, "aaaaaaaa-1", status, {"folds": [1, 2], "storage": {"results": {"subPath": "models"}}})


def fine(wanted: dict[str, Any], source: Training | None = None, **status: Any) -> Training:
    """Return the training that begins with weights."""
    return make_training("fine", "bbbbbbbb-2", status, {"initialWeights": wanted}, weights_from=source)


MODEL = "models/clinic/base-aaaaaaaa/Dataset004_Hippocampus/nnUNetTrainer__P__"
FROM_BASE = {"training": {"name": "base"}}
"""Its first fold."""


def test_the_verified_checkpoint_of_a_complete_training() -> None:
    training = fine(FROM_BASE, base())
    found = weights_source(training)
    model = "models/clinic/base-aaaaaaaa/Dataset004_Hippocampus/nnUNetTrainer__P__3d_fullres"
    assert found == WeightsSource(
        claim_name="nnunet-results",
        path=f"{model}/fold_1/checkpoint_final.pth",
        sha256=SHA,
        training="base",
        uid="aaaaaaaa-1",
        fold="1",
        epochs=1000,
        dataset_hash="d",
    )
    assert cases_path(training) == "models/clinic/base-aaaaaaaa/seen_cases.json"
    other = weights_source(fine({"training": {"name": "base", "fold": "2"}}, base()))
    assert isinstance(other, WeightsSource) and other.path == f"{model}/fold_2/checkpoint_final.pth"


@pytest.mark.parametrize(
    ("wanted", "source", "words"),
    [
        (FROM_BASE, None, "waits for training base, whose weights it begins with: there is none in this namespace"),
        (FROM_BASE, base(complete=False), "it is not complete (Training)"),
        ({"training": {"name": "base", "fold": "0"}}, base(), "fold 0 of training base, which has folds 1, 2"),
        ({"training": {"name": "fine"}}, base("fine"), "waits for itself"),
        (FROM_BASE, base(modelPath="models/clinic/victim-12345678/m"), "does not say where its verified model lies"),
        (FROM_BASE, base(modelPath="models/clinic/base-aaaaaaaa/../v"), "does not say where its verified model lies"),
        (FROM_BASE, base(modelPath=None), "does not say where its verified model lies"),
        (FROM_BASE, base(digits=12), "only 12 of 64 digits of its checkpoint's SHA-256 are proven"),
    ],
)
def test_what_it_waits_for(wanted: dict[str, Any], source: Training | None, words: str) -> None:
    """The path of the model is the word of the source's own image: it leads to no other run."""
    found = weights_source(fine(wanted, source))
    assert isinstance(found, Trouble) and words in found.matter


def test_the_path_needs_no_report_where_the_plans_are_known() -> None:
    """An evaluation of many configurations and classes has no room to tell paths."""
    one = base(modelPath=None)
    known = one.status.model_copy(update={"provenance": Provenance(plans_name="nnUNetResEncUNetLPlans")})
    found = weights_source(fine(FROM_BASE, replace(one, status=known)))
    model = "models/clinic/base-aaaaaaaa/Dataset004_Hippocampus/nnUNetTrainer__nnUNetResEncUNetLPlans__3d_fullres"
    assert isinstance(found, WeightsSource) and found.path == f"{model}/fold_1/checkpoint_final.pth"


def test_of_several_configurations_it_is_the_one_of_the_same_name() -> None:
    one = base()
    several = one.spec.model_copy(update={"configurations": ["2d", "3d_fullres"]})
    results = Results(
        configurations=[
            ConfigurationResult(
                configuration=name,
                model_path=f"{MODEL}{name}",
            )
            for name in ("2d", "3d_fullres")
        ]
    )
    source = replace(one, spec=several, status=one.status.model_copy(update={"results": results}))
    found = weights_source(fine(FROM_BASE, source))
    assert isinstance(found, WeightsSource) and found.path.endswith(
        "/nnUNetTrainer__P__3d_fullres/fold_1/checkpoint_final.pth"
    )
    other = replace(source, spec=several.model_copy(update={"configurations": ["2d", "3d_lowres"]}))
    none = weights_source(fine(FROM_BASE, other))
    assert isinstance(none, Trouble) and "has configurations 2d, 3d_lowres and no 3d_fullres" in none.matter


def test_a_source_that_cannot_be_read_is_not_told_to_be_absent() -> None:
    found = weights_source(replace(fine(FROM_BASE), weights_from_unreadable=True))
    assert isinstance(found, Trouble) and found.matter.endswith("it is there, and its spec or status can't be read")


ON_CLAIMS = (policy(rules={"allowedClaims": ["nnunet-raw", "nnunet-preprocessed", "models"]}),)


def test_a_policy_on_claims_sees_the_one_behind_another_training() -> None:
    """Admission does not: it knows of no other object."""
    mine = fine(FROM_BASE, base())
    storage = mine.spec.storage.model_copy(
        update={"results": mine.spec.storage.results.model_copy(update={"claim_name": "models"})}
    )
    mine = replace(mine, spec=mine.spec.model_copy(update={"storage": storage}))
    said = decide_in(replace(world(mine), policies=Policies(ON_CLAIMS)))
    assert said.actions == () and stated(said, "PolicyCompliant") == ("False", "PolicyDenied")
    told = (
        "spec.initialWeights.training.name is base, must have its results on one of nnunet-raw, nnunet-preprocessed, "
    )
    assert f"{told}models, has them on nnunet-results" in condition(said, "PolicyCompliant").message
    copied = InitialWeightsFacts(claim_name="nnunet-results", path="p", sha256=SHA)
    begun = replace(mine, status=mine.status.model_copy(update={"provenance": Provenance(initial_weights=copied)}))
    assert stated(decide_in(replace(world(begun), policies=Policies(ON_CLAIMS))), "PolicyCompliant")[0] == "True"


def test_a_file_on_a_claim_waits_for_nothing() -> None:
    found = weights_source(fine({"claim": {"claimName": "models", "path": "a/./b.pth"}}))
    assert found == WeightsSource(claim_name="models", path="a/b.pth")
    assert cases_path(fine({"claim": {"claimName": "models", "path": "b.pth"}})) == ""


def test_once_it_is_planned_the_copy_counts() -> None:
    """Whatever becomes of the source: it is deleted, or trained anew under its name."""
    known = {"initialWeights": {"claimName": "nnunet-results", "path": "p", "sha256": SHA}}
    assert weights_source(fine(FROM_BASE, None, provenance=known)) is None
    assert weights_source(make_training("plain", "c", {}, {})) is None


def test_a_status_with_origin_is_read_again() -> None:
    known = {"provenance": {"initialWeights": {"claimName": "c", "path": "p", "sha256": SHA, "notTaken": ["a"]}}}
    assert NnunetTrainingStatus.model_validate(known).to_json_dict()["provenance"] == {
        "initialWeights": {"claimName": "c", "path": "p", "sha256": SHA, "notTaken": ["a"], "knownCases": False}
    }


def test_planning_waits_and_then_begins_by_itself() -> None:
    waiting = decide_in(world(fine(FROM_BASE, base(complete=False))))
    assert waiting.actions == () and stated(waiting, "Progressing") == ("False", "WaitingForWeights")
    said = condition(waiting, "Progressing").message
    assert "preprocessing waits for training base" in said and "kubectl nnunet explain OTHER" in said
    assert waiting.status.phase == "WaitingForWeights"
    begun = decide_in(world(fine(FROM_BASE, base())))
    assert [action.child.stage for action in begun.actions] == [PLAN]  # type: ignore[union-attr]


@pytest.mark.parametrize("claim", ["nnunet-results", "models"])
def test_only_the_operators_image_sees_the_claim_of_the_weights(claim: str) -> None:
    """The trainer's container gets no mount of it: it finds a copy in its own run's folder."""
    source = base()
    storage = source.spec.storage.model_copy(
        update={"results": source.spec.storage.results.model_copy(update={"claim_name": claim})}
    )
    source = replace(source, spec=source.spec.model_copy(update={"storage": storage}))
    pod = job(fine(FROM_BASE, source), PLAN)["spec"]["template"]["spec"]
    (prepare,) = pod["initContainers"]
    (trainer,) = pod["containers"]
    assert (prepare["name"], trainer["name"]) == (PREPARE_CONTAINER_NAME, CONTAINER_NAME)
    paths = {mount["mountPath"]: mount for mount in prepare["volumeMounts"]}
    assert paths["/nnunet/claims/weights"]["readOnly"] and "subPath" not in paths["/nnunet/claims/weights"]
    assert not any("weights" in mount["mountPath"] for mount in trainer["volumeMounts"])
    volumes = [one["persistentVolumeClaim"] for one in pod["volumes"] if "persistentVolumeClaim" in one]
    assert len({one["claimName"] for one in volumes}) == len(volumes)
    mine = next(one for one in volumes if one["claimName"] == claim)
    assert mine.get("readOnly", False) is (claim == "models"), "the results are written"
    model = "models/clinic/base-aaaaaaaa/Dataset004_Hippocampus/nnUNetTrainer__P__3d_fullres"
    assert prepare["args"][-3:] == [
        f"--weights={model}/fold_1/checkpoint_final.pth",
        f"--weights-hash={SHA}",
        "--weights-cases=models/clinic/base-aaaaaaaa/seen_cases.json",
    ]
    told = {one["name"]: one.get("value") for one in trainer["env"]}
    assert json.loads(told[WEIGHTS_ENV])["uid"] == "aaaaaaaa-1"


def test_other_jobs_and_trainings_know_nothing_of_it() -> None:
    for body in (job(fine(FROM_BASE, base()), "fold", "0"), job(made(), PLAN)):
        assert WEIGHTS_ENV not in json.dumps(body) and "claims/weights" not in json.dumps(body)


def looked_at(of: Training, complete: bool = True, **weights: Any) -> list[Any]:
    """Return a planning Job, and what its pod says of the weights, in the training's own image."""
    stated_ = InitialWeightsFacts(**weights) if weights else None
    done = job(of, PLAN, conditions=[COMPLETE] if complete else [])
    facts = PLAN_FACTS.model_copy(update={"initial_weights": stated_})
    return [done, ended(done, 0, TerminationReport(message="planned", plan=facts))]


FORGED: dict[str, Any] = {
    "claim_name": "x",
    "path": "p",
    "training": "released",
    "uid": "c",
    "fold": "9",
    "epochs": 5,
    "dataset_hash": "e",
    "epochs_in_checkpoint": 1000,
    "not_taken": ["a.seg_layers.0"],
}


def test_the_origin_in_the_status_is_what_the_operator_knows_itself() -> None:
    of = fine(FROM_BASE, base())
    gone = replace(of, weights_from=None)  # what its Job says counts, whatever became of the source
    provenance = decide_in(world(gone, *looked_at(of, **FORGED, sha256=SHA))).status.provenance
    assert provenance is not None and provenance.initial_weights is not None
    found = provenance.initial_weights
    known = weights_source(of)
    assert isinstance(known, WeightsSource)
    assert found.model_dump(include=set(WeightsSource.model_fields)) == known.model_dump()
    assert (found.epochs_in_checkpoint, found.not_taken) == (1000, ["a.seg_layers.0"])
    again = replace(of, status=of.status.model_copy(update={"provenance": provenance}))
    later = decide_in(world(again, *looked_at(again, **FORGED, sha256=SHA))).status.provenance
    assert later is not None and later.initial_weights == found


def test_of_a_file_on_a_claim_the_hash_is_the_word_of_planning() -> None:
    of = fine({"claim": {"claimName": "models", "path": "b.pth"}})
    provenance = decide_in(world(of, *looked_at(of, **FORGED, sha256=SHA))).status.provenance
    assert provenance is not None and provenance.initial_weights is not None
    found = provenance.initial_weights
    assert (found.claim_name, found.path, found.sha256) == ("models", "b.pth", SHA)
    assert (found.training, found.uid, found.fold, found.epochs, found.dataset_hash) == (None,) * 5


def test_what_a_checkpoint_of_nnssl_says_of_itself_is_told_without_what_a_terminal_would_obey() -> None:
    of = fine({"claim": {"claimName": "models", "path": "b.pth"}})
    said: dict[str, Any] = {
        "form": "nnssl",
        "architecture": "ResEncL",
        "pretrained_by": "Mae\x1b[2J",
        "pretrained_on": "Open\u202eMind",
    }
    provenance = decide_in(world(of, *looked_at(of, **FORGED, **said, sha256=SHA))).status.provenance
    assert provenance is not None and provenance.initial_weights is not None
    found = provenance.initial_weights
    assert (found.form, found.architecture) == ("nnssl", "ResEncL")
    assert (found.pretrained_by, found.pretrained_on) == ("Mae\ufffd[2J", "Open\ufffdMind")


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ({**FORGED, "sha256": "cd" * 32}, f"looked at weights with SHA-256 {'cd' * 32}, and those that were copied"),
        ({**FORGED, "sha256": SHA[:12]}, f"SHA-256 {SHA[:12]}, and those that were copied for it have {SHA}"),
        ({}, "has looked at no weights although spec.initialWeights names some"),
    ],
)
def test_planning_with_other_weights_has_failed(weights: dict[str, Any], words: str) -> None:
    of = fine(FROM_BASE, base())
    found = decide_in(world(of, *looked_at(of, **weights)))
    assert stated(found, "Failed") == ("True", "WrongConfiguration") and found.actions == ()
    assert words in condition(found, "Failed").message
    assert stated(found, "DatasetReady")[0] == "False"
    for seen in (found, decide_in(world(of, *looked_at(of, complete=False, **weights)))):
        provenance = seen.status.provenance
        assert provenance is None or provenance.initial_weights is None, "nothing of it is told"


def test_what_planning_says_of_weights_that_nobody_asked_for_is_not_told() -> None:
    of = make_training("plain", "c", {}, {})
    provenance = decide_in(world(of, *looked_at(of, **FORGED, sha256=SHA))).status.provenance
    assert provenance is not None and provenance.initial_weights is None and provenance.plans_hash
