"""What webhooks put into Jobs and pods is never taken for the operator's own: containers are found by their names."""

import copy
from dataclasses import replace
from typing import Any

import pytest

from nnunet_api.reasons import FoldPhase
from nnunet_api.status import NnunetTrainingStatus, Provenance
from nnunet_operator.core.training import Training
from nnunet_operator.kube.endings import ending_of
from nnunet_operator.kube.objects import Manifest
from nnunet_operator.kube.reading import job_view, pod_view
from tests.support.made_trainings import OPTIONS, training
from tests.support.made_worlds import (
    FOLD,
    IMAGE_ID,
    PLAN,
    after,
    condition,
    decide,
    job,
    made,
    planned,
    pod,
    running,
    world,
)

ONE = training(folds=[0], schedule={"epochs": 10})
AGENT = {"name": "agent", "image": "agent:7", "env": [{"name": "NNUNET_RUN_IMAGE", "value": "agent:7"}]}
AGENT_STATUS = {"name": "agent", "image": "agent:7", "imageID": "agent@sha256:7"}
ASKED = OPTIONS.trainer_image
OWN = training(folds=[0], schedule={"epochs": 10}, trainer={"image": "registry.example/$(x):1"})


def injected(body: Manifest, place: int, mirror: str = "") -> Manifest:
    """Return a Job as a webhook changes it: another container, and perhaps another registry in the trainer's image."""
    changed = copy.deepcopy(body)
    containers = changed["spec"]["template"]["spec"]["containers"]
    if mirror:
        containers[0]["image"] = f"{mirror}/{containers[0]['image']}"
    containers.insert(place, dict(AGENT))
    changed["spec"]["template"]["spec"]["initContainers"] = [{**AGENT, "name": "init"}]
    return changed


def beside(body: Manifest, place: int, **state: Any) -> Manifest:
    """Return a pod with the status of another container beside the trainer's."""
    changed = copy.deepcopy(body)
    changed["status"].setdefault("containerStatuses", []).insert(place, {**AGENT_STATUS, "state": state})
    return changed


WHERE = pytest.mark.parametrize("place", [0, 1], ids=["before the trainer", "behind it"])


@WHERE
@pytest.mark.parametrize("mirror", ["", "mirror.example"])
@pytest.mark.parametrize("of", [ONE, OWN], ids=["default image", "own image"])
def test_the_image_of_the_run_is_the_one_that_was_asked_for(of: Training, place: int, mirror: str) -> None:
    asked = of.spec.trainer.image or ASKED
    done, done_pod = planned(of)
    stands = injected(done, place, mirror)
    known = after(of, stands, beside(done_pod, place, running={}))
    provenance = known.status.provenance
    assert provenance is not None
    assert (provenance.image, provenance.image_digest) == (asked, IMAGE_ID)
    (body,) = made(known, decide(world(known, stands, beside(done_pod, place))))
    assert body["spec"]["template"]["spec"]["containers"][0]["image"] == asked


def test_the_image_is_that_of_the_job_whatever_the_operator_would_ask_for_now() -> None:
    new = replace(OPTIONS, trainer_image="registry.example/trainer:2")
    seen_by_new = replace(world(ONE, *planned(ONE)), options=new)
    provenance = decide(seen_by_new).status.provenance
    assert provenance is not None and provenance.image == ASKED


def test_image_and_digest_are_those_of_one_job() -> None:
    """The planning Job, made with another image, has lost its pod before the digest was read."""
    old = job(ONE, PLAN, conditions=[{"type": "Complete", "status": "True"}])
    for variable in old["spec"]["template"]["spec"]["containers"][0]["env"]:
        if variable["name"] == "NNUNET_RUN_IMAGE":
            variable["value"] = "registry.example/trainer:0"
    fold = job(ONE, FOLD, "0")
    provenance = decide(world(ONE, old, fold, running(fold))).status.provenance
    assert provenance is not None
    assert (provenance.image, provenance.image_digest) == (ASKED, IMAGE_ID)


def test_an_image_that_is_pinned_stays() -> None:
    pinned = Provenance(image="registry.example/trainer:0", image_digest="sha256:0")
    known = replace(ONE, status=NnunetTrainingStatus(provenance=pinned))
    provenance = decide(world(known, *planned(ONE))).status.provenance
    assert provenance is not None
    assert (provenance.image, provenance.image_digest) == ("registry.example/trainer:0", "sha256:0")


def test_a_tag_that_is_moved_while_it_trains_is_noticed_and_remembered() -> None:
    """By the content: another registry's name is none. What ran with another image stays known when its pod is gone."""
    known = after(ONE, *planned(ONE))
    fold = job(ONE, FOLD, "0")
    for image_id, others in (
        (f"mirror.example/t@{IMAGE_ID.rpartition('@')[2]}", None),
        ("r/t@sha256:99", ["r/t@sha256:99"]),
    ):
        at_work = running(fold)
        at_work["status"]["containerStatuses"][0]["imageID"] = image_id
        seen = decide(world(known, *planned(ONE), fold, at_work))
        provenance = seen.status.provenance
        assert provenance is not None
        assert (provenance.image_digest, provenance.other_image_digests) == (IMAGE_ID, others)
    later = replace(ONE, status=seen.status)
    assert decide(world(later, *planned(ONE), fold, running(fold))).status.provenance == provenance


def test_what_can_not_be_read_is_not_made_up() -> None:
    body = job(ONE, PLAN)
    body["spec"]["template"]["spec"]["containers"] = [AGENT]
    empty: list[Manifest] = [{}, {"spec": {}}, {"spec": {"template": {"spec": {"containers": None}}}}]
    for stands in (body, *({"metadata": {"name": "x"}, **one} for one in empty)):
        assert (job_view(stands).image, job_view(stands).told_min_epochs) == ("", 0)


@WHERE
def test_a_container_beside_the_trainer_does_not_end_it_nor_start_it(place: int) -> None:
    fold = job(ONE, FOLD, "0")
    ends = {"terminated": {"exitCode": 137, "reason": "OOMKilled", "message": "{}"}}
    at_work = beside(running(fold), place, **ends)
    assert not pod_view(at_work).over and ending_of(pod_view(at_work)) is None
    result = decide(world(ONE, *planned(ONE), fold, at_work))
    assert result.status.folds[0].phase == FoldPhase.RUNNING
    waits = beside(pod(fold, state={"waiting": {"reason": "ContainerCreating"}}), place, running={})
    result = decide(world(ONE, *planned(ONE), fold, waits))
    assert condition(result, "Progressing").reason == "Starting"
