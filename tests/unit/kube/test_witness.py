"""Whose report of a verification is believed."""

from collections.abc import Callable

import pytest

from nnunet_operator.core.decision import Decision
from nnunet_operator.kube.objects import Manifest
from nnunet_operator.kube.reading import job_view, pod_view
from nnunet_operator.kube.witness import doubt_of
from tests.support.made_trainings import training
from tests.support.made_worlds import condition, created, decide, evidence_of, fold_done, planned, verified, world

DIGEST = f"sha256:{'0' * 64}"
ONE = training(folds=[0], schedule={"epochs": 10})
JOB, POD = verified(ONE)
RUN = "/nnunet/results/clinic/hippo-0a1b2c3d"


def concluded(*pods: Manifest) -> Decision:
    """Return what is done about a completed verification with these pods, as the operator remembers pods."""
    return decide(world(ONE, *planned(ONE), *fold_done(ONE, "0"), JOB, *pods))


def forged(change: Callable[[Manifest], object]) -> Manifest:
    _, pod = verified(ONE)
    change(pod)
    return pod


def container(pod: Manifest) -> Manifest:
    found: Manifest = pod["spec"]["containers"][0]
    return found


def ended(pod: Manifest) -> Manifest:
    body: Manifest = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    return body


def variables(pod: Manifest) -> list[Manifest]:
    found: list[Manifest] = pod["spec"]["containers"][0].setdefault("env", [])
    return found


FORGERIES: dict[str, tuple[Callable[[Manifest], object], str]] = {
    "the owner is no Job": (lambda pod: pod["metadata"]["ownerReferences"][0].update(kind="ReplicaSet"), "not of Job"),
    "the owner is a Job of another kind": (
        lambda pod: pod["metadata"]["ownerReferences"][0].update(apiVersion="batch.example.org/v1"),
        "not of Job",
    ),
    "another image": (lambda pod: pod["spec"]["containers"][0].update(image="mine:1"), "has image mine:1, not"),
    "the image in another container": (lambda pod: pod["spec"]["containers"][0].update(name="x"), "has image unknown"),
    "a library before all others": (
        lambda pod: variables(pod).append({"name": "LD_PRELOAD", "value": "/nnunet/results/x.so"}),
        "has LD_PRELOAD, which the operator has not given to it",
    ),
    "modules before the image's": (
        lambda pod: variables(pod).insert(0, {"name": "PYTHONPATH", "value": "/nnunet/results"}),
        "has PYTHONPATH,",
    ),
    "another home": (
        lambda pod: variables(pod).append({"name": "HOME", "value": "/nnunet/results"}),
        "has HOME,",
    ),
    "variables that only the pod's start brings to light": (
        lambda pod: pod["spec"]["containers"][0].update(envFrom=[{"configMapRef": {"name": "more"}}]),
        "has envFrom,",
    ),
    "a container that writes into its folders": (
        lambda pod: pod["spec"]["containers"].append(
            {"name": "x", "volumeMounts": [{"name": "results", "mountPath": "/x"}]}
        ),
        "has results written by container x, which",
    ),
    "another program": (
        lambda pod: container(pod).update(command=["/nnunet/results/x"]),
        "has the command, which",
    ),
    "other arguments of the program": (lambda pod: container(pod).update(args=["plan"]), "has the command, which"),
    "a command beside it": (
        lambda pod: container(pod).update(lifecycle={"postStart": {"exec": {"command": ["sh"]}}}),
        "has the hook postStart, which",
    ),
    "a volume over the program": (
        lambda pod: container(pod)["volumeMounts"].append({"name": "x", "mountPath": "/opt/nnunet/lib"}),
        "has a volume at /opt/nnunet/lib, which",
    ),
    "a volume over what it reads": (
        lambda pod: container(pod)["volumeMounts"].append({"name": "x", "mountPath": f"{RUN}/fold_0"}),
        f"has a volume at {RUN}/fold_0, which",
    ),
    "another contract": (
        lambda pod: variables(pod).append({"name": "NNUNET_RUN_CONTRACT", "value": "{}"}),
        "has NNUNET_RUN_CONTRACT, which",
    ),
    "an ephemeral container": (
        lambda pod: pod["spec"].update(ephemeralContainers=[{"name": "debug", "image": "mine:1"}]),
        "ephemeral container",
    ),
    "no container": (lambda pod: ended(pod).pop("containerID"), "never ran"),
    "no start": (lambda pod: ended(pod).pop("startedAt"), "never ran"),
}


def test_the_report_of_the_operators_own_container_is_believed() -> None:
    result = concluded(POD)
    assert condition(result, "EpochsProven").status == "True"
    assert created(result) == ["hippo-evaluate"]


def test_what_tells_a_pod_which_devices_it_sees_raises_no_doubt() -> None:
    """Webhooks that share GPUs tell pods without one that there is none."""
    pod = forged(lambda pod: variables(pod).append({"name": "NVIDIA_VISIBLE_DEVICES", "value": "none"}))
    assert condition(concluded(pod), "EpochsProven").status == "True"


@pytest.mark.parametrize("what", FORGERIES)
def test_a_report_that_another_may_have_written_is_not_believed(what: str) -> None:
    change, words = FORGERIES[what]
    result = concluded(forged(change))
    failed = condition(result, "Failed")
    assert (failed.status, failed.reason) == ("True", "EpochsNotReached")
    assert "the verification's report is not believed" in failed.message and words in failed.message
    assert condition(result, "EpochsProven").status == "False"
    assert created(result) == []
    fold = result.status.folds[0]
    assert (fold.proven_epochs, fold.checkpoint_hash) == (None, None), "nothing of it is taken"


@pytest.mark.parametrize("what", FORGERIES)
def test_a_forged_pod_beside_the_real_one_hides_nothing(what: str) -> None:
    def later(pod: Manifest) -> None:
        FORGERIES[what][0](pod)
        pod["metadata"] |= {"name": "forged", "creationTimestamp": "2026-03-02T00:00:00Z"}
        said = ended(pod)["message"]
        ended(pod)["message"] = said.replace('"epochs": 10', '"epochs": 9')

    result = concluded(POD, forged(later))
    assert condition(result, "EpochsProven").status == "True"
    assert result.status.folds[0].proven_epochs == evidence_of(ONE).folds[0].epochs


@pytest.mark.parametrize(
    ("asked", "runs", "believed"),
    [
        ("registry.example/trainer:1", "registry.example/trainer:1", True),
        ("registry.example/trainer:1", "mirror.example/registry.example/trainer:1", False),
        (f"registry.example/trainer@{DIGEST}", f"mirror.example/trainer@{DIGEST}", True),
        (f"registry.example/trainer:1@{DIGEST}", f"mirror.example/trainer@{DIGEST}", True),
        (f"registry.example/trainer@{DIGEST}", f"registry.example/trainer@{DIGEST[:-1]}", False),
        (f"registry.example/trainer@{DIGEST}", "registry.example/trainer:1", False),
        ("registry.example/trainer:1", f"registry.example/trainer:1@{DIGEST}", False),
        ("", "", False),
    ],
)
def test_a_digest_names_the_image_in_whatever_registry(asked: str, runs: str, believed: bool) -> None:
    """Clusters with a mirror rewrite references; a digest is the same everywhere, a tag may be anything."""
    body, pod = verified(ONE)
    for variable in (*body["spec"]["template"]["spec"]["containers"][0]["env"], *variables(pod)):
        if variable["name"] == "NNUNET_RUN_IMAGE":
            variable["value"] = asked
    pod["spec"]["containers"][0]["image"] = runs
    assert (doubt_of(job_view(body), pod_view(pod)) == "") is believed
