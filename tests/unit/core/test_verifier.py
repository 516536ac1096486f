"""By which image the epochs were proven, and when a tag that was moved meanwhile is not believed."""

from dataclasses import replace
from typing import Any

import pytest

from nnunet_operator.core.policies import Policies
from nnunet_operator.core.training import Training
from nnunet_operator.kube.objects import Manifest
from tests.support.made_policies import exception, policy
from tests.support.made_trainings import training
from tests.support.made_worlds import condition, decide, fold_done, job, planned, running, stored, verified, world

A, B = (f"registry.example/trainer@sha256:{digit * 64}" for digit in "ab")
PINNED = {"image": f"registry.example/mine@sha256:{'c' * 64}"}
ENFORCED = (policy(),)


def planning(of: Training, digest: str) -> tuple[Manifest, Manifest]:
    """A planning whose folders were made by the operator's own image, which its node resolved to this."""
    body, pod = planned(of)
    own = {"name": "prepare", "image": "x", "imageID": digest, "state": {"terminated": {"exitCode": 0}}}
    pod["status"]["initContainerStatuses"] = [own]
    return body, pod


def verification(of: Training, digest: str, asked: str = "") -> tuple[Manifest, Manifest]:
    body, pod = verified(of)
    pod["status"]["containerStatuses"][0]["imageID"] = digest
    if asked:
        for container in (body["spec"]["template"]["spec"]["containers"][0], pod["spec"]["containers"][0]):
            (told,) = [variable for variable in container["env"] if variable["name"] == "NNUNET_RUN_IMAGE"]
            told["value"] = container["image"] = asked
    return body, pod


def look(of: Training, *objects: Manifest, policies: Any = ENFORCED) -> Any:
    return decide(replace(world(of, *objects), policies=Policies(policies)))


def known(of: Training, *objects: Manifest, policies: Any = ENFORCED) -> Training:
    """The training with the status that these Jobs and Pods gave it."""
    return replace(of, status=stored(look(of, *objects, policies=policies).status))


def concluded(at_first: str, later: str, asked: str = "", *, policies: Any = ENFORCED, **trainer: Any) -> Any:
    of = training(folds=[0], schedule={"epochs": 10}, trainer=trainer or PINNED)
    plan = planning(of, at_first)
    before = known(of, *plan, policies=policies)
    objects = [*plan, *fold_done(of, "0"), *verification(of, later, asked)]
    return look(before, *objects, policies=policies)


def test_what_has_proven_the_epochs_is_in_the_provenance() -> None:
    result = concluded(A, f"docker-pullable://{A}")
    assert condition(result, "EpochsProven").status == "True"
    provenance = result.status.provenance
    assert (provenance.verifier_image, provenance.verifier_image_digest) == ("registry.example/trainer:1", A)


@pytest.mark.parametrize("later", [B, ""])
def test_a_tag_that_was_moved_proves_nothing_under_a_policy(later: str) -> None:
    result = concluded(A, later)
    failed = condition(result, "Failed")
    assert failed.status == "True" and condition(result, "EpochsProven").status == "False"
    assert f"its image registry.example/trainer:1 is {later or 'unknown'} by now, and was {A}" in failed.message
    assert "trainer.image.digest" in failed.message
    assert result.status.folds[0].proven_epochs is None
    assert result.status.provenance.verifier_image_digest == A


def test_nothing_of_it_is_told_before_its_job_is_complete_either() -> None:
    """The pod has ended, and what it says can be read; the Job controller has not looked at it yet."""
    of = training(folds=[0], schedule={"epochs": 10}, trainer=PINNED)
    plan = planning(of, A)
    before = known(of, *plan)
    job, pod = verification(of, B)
    job["status"] = {"active": 1}
    seen = [*plan, *fold_done(of, "0"), job, pod]
    assert look(before, *seen).status.folds[0].proven_epochs is None
    told = verification(of, A)
    told[0]["status"] = {"active": 1}
    assert look(before, *plan, *fold_done(of, "0"), *told).status.folds[0].proven_epochs == 10


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"policies": ()}, "nobody asks for digests"),
        ({"policies": (policy(mode="Warn"),)}, "nothing is enforced"),
        ({"image": "registry.example/mine:1", "policies": (policy(),)}, "the training's own image may be a tag, too"),
        ({"asked": B}, "it was asked for by digest: an upgrade"),
        ({"asked": "registry.example/trainer:2"}, "an upgrade to another tag, of which nothing is known"),
        ({"at_first": ""}, "the pod that made the folders was never seen"),
    ],
)
def test_it_is_believed_where(changes: dict[str, Any], why: str) -> None:
    result = concluded(**{"at_first": A, "later": B, **changes})
    assert condition(result, "EpochsProven").status == "True", why
    assert result.status.provenance.verifier_image_digest == B, "what has proven it is told all the same"


def test_the_first_node_counts() -> None:
    of = training(folds=[0], trainer=PINNED)
    first = known(of, *planning(of, A))
    again = known(first, *planning(of, B)).status.provenance
    assert again is not None and again.verifier_image_digest == A


def test_the_same_image_by_another_name_is_the_same() -> None:
    """A node that pulls from a mirror names its registry."""
    result = concluded(A, A.replace("registry.example", "mirror.local"))
    assert condition(result, "EpochsProven").status == "True"


def test_what_has_proven_it_stays_told_when_its_pod_is_gone() -> None:
    of = training(folds=[0], schedule={"epochs": 10}, trainer=PINNED)
    plan = planning(of, A)
    first = known(of, *plan)
    upgraded = verification(of, B, "registry.example/trainer:2")
    proven = known(first, *plan, *fold_done(of, "0"), *upgraded)
    later = look(proven, *plan, *fold_done(of, "0")).status.provenance
    assert (later.verifier_image, later.verifier_image_digest) == ("registry.example/trainer:2", B)


DEMAND = {"requireImageDigest": True}
TAG = "the operator's own trainer image is registry.example/trainer:1, must have a digest: it verifies what was trained"


@pytest.mark.parametrize(
    ("demanding", "image", "held"),
    [
        (policy(rules=DEMAND), "registry.example/trainer:1", True),
        (policy(rules=DEMAND), A, False),
        (policy(rules=DEMAND, exceptions=[exception(liftedRules=["requireImageDigest"])]), "a/b:1", False),
        (policy(rules=DEMAND, mode="Warn"), "registry.example/trainer:1", False),
        (policy(), "registry.example/trainer:1", False),
    ],
)
def test_where_digests_are_demanded_the_image_that_verifies_has_one(demanding: Any, image: str, held: bool) -> None:
    one = replace(world(training(trainer=PINNED)), policies=Policies((demanding,)))
    result = decide(replace(one, options=replace(one.options, trainer_image=image)))
    assert (result.status.phase == "PolicyDenied") is held
    assert bool(result.actions) is not held
    if held:
        denied = condition(result, "PolicyCompliant")
        assert f"policy house: {TAG}" in denied.message and "trainer.image.digest of the chart" in denied.message
        assert result.status.policy and result.status.policy.decisions[0].broken_rules == ["requireImageDigest"]


def by_image(image: str, of: Training, *objects: Manifest) -> Any:
    """Decide under a policy that demands digests, with this image as the operator's own."""
    one = replace(world(of, *objects), policies=Policies((policy(rules=DEMAND),)))
    return decide(replace(one, options=replace(one.options, trainer_image=image)))


def test_an_operator_that_is_installed_anew_by_a_tag_holds_what_began_with_a_digest() -> None:
    of = training(folds=[0], trainer=PINNED)
    plan = planning(of, A)
    for spec in (plan[0]["spec"]["template"]["spec"], plan[1]["spec"]):
        (own,) = spec["initContainers"]
        (told,) = [variable for variable in own["env"] if variable["name"] == "NNUNET_RUN_IMAGE"]
        own["image"] = told["value"] = A
    begun = known(of, *plan)
    assert begun.status.provenance and begun.status.provenance.verifier_image == A
    held = by_image("registry.example/trainer:1", begun, *plan)
    assert held.status.phase == "PolicyChanged" and TAG in condition(held, "Suspended").message
    assert by_image(A, begun, *plan).status.phase != "PolicyChanged"


@pytest.mark.parametrize("seen", [A, ""], ids=["it is known which", "an older operator, which did not say"])
def test_what_began_by_a_tag_is_not_held_by_an_upgrade(seen: str) -> None:
    of = training(folds=[0], trainer=PINNED)
    fold = job(of, "fold", "0")
    objects = [*planning(of, seen), fold, running(fold)]
    begun = known(of, *objects)
    result = by_image("registry.example/trainer:1", begun, *objects)
    assert (result.actions, result.status.phase) == ((), "Training")
    assert condition(result, "PolicyCompliant").status == "True"
    # Its own image is judged as ever.
    own = replace(begun, spec=training(folds=[0]).spec)
    assert condition(by_image("registry.example/trainer:1", own, *objects), "PolicyCompliant").status == "False"


def test_a_training_that_breaks_more_is_told_what_to_change_in_it() -> None:
    """The remedy is the general one: a digest of the operator's image alone would not help."""
    result = look(training(), policies=(policy(rules=DEMAND),))
    message = condition(result, "PolicyCompliant").message
    assert "spec.trainer.image is not set" in message and TAG in message and "create it anew" in message


def test_what_is_proven_needs_no_digest_any_more() -> None:
    of = training(folds=[0], schedule={"epochs": 10}, trainer=PINNED, testSet={})
    objects = [*planning(of, A), *fold_done(of, "0"), *verification(of, A)]
    proven = known(of, *objects)
    assert condition(look(proven, *objects, policies=(policy(rules=DEMAND),)), "PolicyCompliant").status == "True"
