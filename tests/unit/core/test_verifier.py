"""By which image the epochs were proven, and when a tag that was moved meanwhile is not believed."""

from dataclasses import replace
from typing import Any

import pytest

from nnunet_operator.core.policy import Policies
from nnunet_operator.core.training import Training
from nnunet_operator.kube.objects import Manifest
from tests.support.made_policies import policy
from tests.support.made_trainings import training
from tests.support.made_worlds import condition, decide, fold_done, planned, stored, verified, world

A, B = (f"registry.example/trainer@sha256:{digit * 64}" for digit in "ab")
PINNED = {"image": f"registry.example/mine@sha256:{'c' * 64}"}
ENFORCED = (policy(rules={"requireImageDigest": True}),)


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
        container = body["spec"]["template"]["spec"]["containers"][0]
        (told,) = [variable for variable in container["env"] if variable["name"] == "NNUNET_RUN_IMAGE"]
        told["value"] = container["image"] = pod["spec"]["containers"][0]["image"] = asked
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


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"policies": ()}, "nobody asks for digests"),
        ({"policies": (policy(mode="Warn", rules={"requireImageDigest": True}),)}, "nothing is enforced"),
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
