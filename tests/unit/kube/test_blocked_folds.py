"""What is said of a training that starts, and of several folds of which each is in a state of its own."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from nnunet_operator.kube.objects import Manifest
from tests.support.made_trainings import training
from tests.support.made_worlds import (
    FOLD,
    condition,
    decide,
    job,
    planned,
    pod,
    running,
    stated,
    unschedulable,
    waiting,
    world,
)

ONE = training(folds=[0])
THREE = training(folds=[0, 1, 2])
NO_GPU = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu. preemption: 0/1 nodes are available: no victims."

START = pytest.mark.parametrize(
    "pods",
    [
        pytest.param(lambda fold: [], id="no pod yet"),
        pytest.param(lambda fold: [pod(fold)], id="not looked at by the scheduler"),
        pytest.param(lambda fold: [pod(fold, conditions=[{"type": "PodScheduled", "status": "True"}])], id="placed"),
        pytest.param(lambda fold: [waiting(fold, "ContainerCreating")], id="container is created"),
        pytest.param(lambda fold: [waiting(fold, "PodInitializing")], id="init containers run"),
    ],
)


@START
def test_starting_is_not_blocked_and_reads_the_same_throughout(pods: Callable[[Manifest], list[Manifest]]) -> None:
    before = decide(world(ONE, *planned(ONE)))
    fold = job(ONE, FOLD, "0")
    result = decide(world(replace(ONE, status=before.status), *planned(ONE), fold, *pods(fold)))
    assert stated(result, "Progressing") == ("True", "Starting")
    # No write but the one that tells of the Job, which nothing is written before.
    assert result.status.model_copy(update={"jobs": []}) == before.status
    assert result.events == ()


def three(**states: Any) -> list[Manifest]:
    objects = [*planned(THREE)]
    for index, name in enumerate(("zero", "one", "two")):
        fold = job(THREE, FOLD, str(index))
        objects += [fold, states[name](fold)]
    return objects


def no_gpu(fold: Manifest) -> Manifest:
    return unschedulable(fold, NO_GPU)


def named(fold: Manifest) -> Manifest:
    return running(fold, name=f"pod-of-{fold['metadata']['name']}")


def test_one_that_trains_makes_it_training_and_the_message_tells_of_the_others() -> None:
    result = decide(world(THREE, *three(zero=named, one=no_gpu, two=no_gpu)))
    assert stated(result, "Progressing") == ("True", "Training")
    message = condition(result, "Progressing").message
    assert message.startswith("fold 0 trains; each of folds 1 and 2 waits for a GPU: 0/1 nodes are available:")


def test_all_blocked_is_blocked() -> None:
    result = decide(world(THREE, *three(zero=no_gpu, one=no_gpu, two=no_gpu)))
    assert stated(result, "Progressing") == ("False", "WaitingForGPU")
    assert "each of folds 0, 1 and 2 waits for a GPU" in condition(result, "Progressing").message


def test_a_fold_beyond_the_limit_waits_for_its_turn() -> None:
    limited = training(folds=[0, 1], maxParallelFolds=1)
    fold = job(limited, FOLD, "0")
    result = decide(world(limited, *planned(limited), fold, running(fold)))
    assert condition(result, "Progressing").message == (
        "fold 0 trains; fold 1 waits until another is done (spec.maxParallelFolds is 1)"
    )


def test_what_is_said_of_several_is_said_once() -> None:
    """Names of Jobs and pods, which are others at each attempt, are left out."""
    quota = "is forbidden: exceeded quota: gpus, requested: 1"
    refusals = {f"hippo-fold-{n}": f'Error creating: pods "hippo-fold-{n}-x{n}" {quota}' for n in range(3)}
    jobs = [job(THREE, FOLD, str(n)) for n in range(3)]
    message = condition(decide(world(THREE, *planned(THREE), *jobs, refusals=refusals)), "Progressing").message
    assert f"each of folds 0, 1 and 2 waits because the API server refuses its pod: pods {quota}. Have" in message
