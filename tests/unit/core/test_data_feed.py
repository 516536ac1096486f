"""Folds that wait for data: when that is said and when no more, and the number that mends it."""

from dataclasses import replace
from typing import Any

import pytest

from nnunet_operator.core.training import Training
from tests.support.made_trainings import training
from tests.support.made_worlds import (
    FOLD,
    after,
    condition,
    decide,
    job,
    planned,
    stated,
    still,
    unschedulable,
    verdict,
    world,
)

SHORT: dict[str, Any] = {"folds": [0], "schedule": {"epochs": 10}}
OF = training(**SHORT)
MANY = {"name": "nnUNet_n_proc_DA", "value": "16"}
STARVED, FED = ("True", "DataTooSlow"), ("False", "NotDataStarved")


def told(of: Training, **sample: Any) -> Training:
    """Return a training whose fold 0 runs and says so much."""
    objects, samples = still(of, **sample)
    return after(of, *objects, samples=samples)


def state(of: Training) -> tuple[str, str]:
    found = of.status.condition("DataStarved")
    assert found is not None
    return found.status, found.reason


def test_it_appears_goes_away_and_does_not_flap_in_between() -> None:
    of, seen = OF, []
    for share in (None, 0.19, 0.2, 0.15, 0.11, 0.1, 0.09, 0.15, 0.19, 0.25, 0.05):
        of = told(of, data_wait_share=share, data_workers=8)
        seen.append(state(of) == STARVED)
    assert seen == [False, False, True, True, True, True, False, False, False, True, False]


@pytest.mark.parametrize(
    "ended", [{"epoch": 10}, {"epoch": 5, "early_stopping": verdict(5, 5)}], ids=["schedule", "early stopping"]
)
def test_a_fold_that_has_trained_its_epochs_waits_for_nothing(ended: dict[str, Any]) -> None:
    """It validates on full volumes, for hours perhaps: its alert would advise to suspend it."""
    of = told(OF, data_wait_share=0.38, data_workers=8)
    assert state(of) == STARVED
    of = told(of, data_wait_share=0.38, data_workers=8, **ended)
    assert state(of) == FED and of.status.folds[0].phase == "Running" and of.status.folds[0].data_starved is None


def test_what_is_being_stopped_is_advised_nothing() -> None:
    """Whoever has just suspended it is not told to suspend it; after a failure its cause is what is said."""
    of = told(OF, data_wait_share=0.38, data_workers=8)
    objects, samples = still(of, data_wait_share=0.38, data_workers=8)
    going = replace(of, spec=of.spec.model_copy(update={"suspend": True}))
    shown = condition(decide(world(going, *objects, samples=samples)), "Progressing")
    assert (shown.status, shown.reason) == ("True", "Stopping") and "cpu" not in shown.message, shown


def test_it_is_announced_once() -> None:
    objects, samples = still(OF, data_wait_share=0.38, data_workers=8)
    first = decide(world(OF, *objects, samples=samples))
    assert [(e.type, e.reason) for e in first.events if e.reason == "DataTooSlow"] == [("Warning", "DataTooSlow")]
    known = after(OF, *objects, samples=samples)
    again = decide(world(known, *objects, samples=samples))
    assert again.status == known.status and again.events == ()
    assert known.status.phase == "Training" and stated(again, "Progressing") == ("True", "Training")


def test_a_new_attempt_under_the_same_job_is_starved_until_it_has_measured() -> None:
    of = told(OF, data_wait_share=0.38, data_workers=8)
    before = condition(decide(world(of, *still(of)[0])), "DataStarved").message
    of = told(of, attempts=2)
    assert state(of) == STARVED and str(of.status.condition("DataStarved")).count("38 %") == 1 and "38 %" in before
    assert state(told(of, attempts=2, data_wait_share=0.02, data_workers=8)) == FED


def test_what_was_measured_goes_with_the_resources_that_it_was_measured_on() -> None:
    of = told(OF, data_wait_share=0.38, data_workers=8, fed_epoch_seconds=10.0, data_worker_use=0.9)
    suspended = after(training(**SHORT, suspend=True, status=of.status), *planned(OF))
    assert state(suspended) == FED
    (fold,) = suspended.status.folds
    assert (fold.data_wait_share, fold.data_workers, fold.data_worker_use, fold.data_starved) == (None,) * 4
    waits = job(OF, FOLD, "0")
    again = after(training(**SHORT, status=of.status), *planned(OF), waits, unschedulable(waits, "no node"))
    assert state(again) == FED


@pytest.mark.parametrize(
    ("spec", "sample", "says"),
    [
        pytest.param(
            {}, {}, "fold 0 waits 38 % of its time for data: raise spec.resources.cpu from 8 to 16.", id="cpu"
        ),
        pytest.param(
            {},
            {"median_epoch_seconds": 45.0, "fed_epoch_seconds": 43.4, "data_worker_use": 0.97},
            "(an epoch takes 70 s, and would take 43 s with data that are there): raise spec.resources.cpu from 8",
            id="seconds, of the same epochs on both sides",
        ),
        pytest.param(
            {"resources": {"cpu": "8", "gpus": 2}},
            {"data_workers": 4},
            "raise spec.resources.cpu from 8 to 16",
            id="GPUs",
        ),
        pytest.param(
            {"resources": {"cpu": "2"}}, {"data_workers": 0}, "raise spec.resources.cpu from 2 to 4", id="no workers"
        ),
        pytest.param(
            {"resources": {"cpu": "8", "cpuLimit": "10"}},
            {},
            "raise spec.resources.cpu from 8 to 16, and cpuLimit from 10 to no less",
            id="a limit",
        ),
        pytest.param(
            {"resources": {"cpu": "2", "configurations": {"3d_fullres": {"cpu": "8"}}}},
            {},
            "raise spec.resources.configurations.3d_fullres.cpu from 8 to 16",
            id="of its configuration",
        ),
        pytest.param({}, {"data_workers": None}, "raise spec.resources.cpu from 8 to 16", id="workers not known"),
        pytest.param(
            {"resources": {"cpu": "16"}},
            {},
            "its pod has 8 workers for a GPU, and spec.resources.cpu 16 gives 16, unless the node has no more, or "
            "nnUNet_n_proc_DA in the image's ENV, or the trainer class, sets another number",
            id="raised while it runs",
        ),
        pytest.param(
            {"trainer": {"env": [{"name": "nnUNet_n_proc_DA", "value": "2"}]}},
            {"data_workers": 2},
            "nnUNet_n_proc_DA in spec.trainer.env is 2, 4 would do. It can't change: create a new training without it",
            id="the variable",
        ),
        pytest.param(
            {"resources": {"cpu": "4", "cpuLimit": "4"}, "trainer": {"env": [MANY]}},
            {"data_workers": 16, "data_worker_use": 0.22},
            "and its 16 workers share the CPU of 4: raise spec.resources.cpu from 4 to 8, and cpuLimit from 4 to no",
            id="more workers than CPUs",
        ),
        pytest.param(
            {"resources": {"cpu": "4"}},
            {"data_workers": 48},
            "and its 48 workers share the CPU of 4: raise spec.resources.cpu from 4 to 8",
            id="more workers than CPUs, whose use is not known",
        ),
        pytest.param(
            {"resources": {"cpu": "4"}, "trainer": {"env": [MANY]}},
            {"data_workers": 16, "data_worker_use": 0.05},
            "and its workers (16) compute in only 5 % of theirs. More CPU would hardly help",
            id="more workers than CPUs, and they wait",
        ),
        pytest.param(
            {"resources": {"cpu": "4"}, "trainer": {"env": [MANY]}},
            {"data_workers": 16, "data_worker_use": 0.97},
            "nnUNet_n_proc_DA in spec.trainer.env is 16, 28 would do",
            id="more workers than CPUs, on a node that has more",
        ),
        pytest.param(
            {"resources": {"cpu": "4"}},
            {"data_workers": 16, "data_worker_use": 0.97},
            "raise spec.resources.cpu from 4 to 28. Its 16 workers are not by that field: nnUNet_n_proc_DA in the im",
            id="the image's variable",
        ),
        pytest.param(
            {"resources": {"cpu": "2"}},
            {"data_workers": 0, "data_worker_use": 0.97},
            "raise spec.resources.cpu from 2 to 4",
            id="no workers, and it computes",
        ),
        pytest.param(
            {"resources": {"cpu": "2"}},
            {"data_workers": 0, "data_worker_use": 0.04},
            "for data, which it makes itself, computing in only 4 % of that. More CPU would hardly help",
            id="no workers, and it waits for the volume",
        ),
        pytest.param(
            {"resources": {"cpu": "200m"}},
            {"data_workers": 0, "data_worker_use": 0.2},
            "raise spec.resources.cpu from 200m to 4",
            id="no workers, and all that its part of a core computes",
        ),
        pytest.param(
            {},
            {"data_worker_use": 0.2},
            "and its workers (8) compute in only 20 % of theirs. More CPU would hardly help",
            id="workers that wait",
        ),
        pytest.param(
            {"resources": {"cpu": "48"}},
            {"data_workers": 48, "data_worker_use": 0.99},
            "with 48 workers for a GPU. More CPU would hardly help",
            id="as many as anybody has",
        ),
    ],
)
def test_the_number_that_mends_it(spec: dict[str, Any], sample: dict[str, Any], says: str) -> None:
    of = told(training(**SHORT, **spec), **({"data_wait_share": 0.38, "data_workers": 8} | sample))
    message = str(of.status.condition("DataStarved"))
    assert state(of) == STARVED and says in message, message
    shown, told_of = (of.status.condition(type_) for type_ in ("Progressing", "DataStarved"))
    assert shown and told_of and shown.message.endswith(f"; {told_of.message}"), "kubectl get nnt -o wide has it, too"
    assert "kubectl nnunet suspend hippo -n clinic" in message
    problem = of.status.problem
    assert problem is not None and problem.reason == "DataTooSlow"
    assert (problem.case == "SlowVolume") == ("hardly help" in says)


def test_a_fold_that_stands_still_matters_more() -> None:
    of = told(training(**SHORT, stallTimeoutSeconds=100), data_wait_share=0.9, data_workers=8, still_seconds=101)
    assert of.status.problem is not None and of.status.problem.reason == "NoEpochFinished"
    assert state(of) == STARVED
