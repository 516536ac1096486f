"""Running, waiting for a GPU, an image that can't start, a claim that isn't bound, a pod that Pod Security refuses:
five states that a user can tell apart."""

from functools import partial
from typing import Any

from tests.e2e.builders import training
from tests.e2e.conftest import Lab
from tests.e2e.kube import Kube, condition

UNCONFINED = {"container.apparmor.security.beta.kubernetes.io/trainer": "unconfined"}


def says(kube: Kube, namespace: str, name: str, reason: str) -> bool:
    """Tell whether Progressing has this reason."""
    found: str = kube.condition(namespace, name, "Progressing").get("reason", "")
    return found == reason


def test_five_states_look_different(lab: Lab) -> None:
    """Each has its own reason, message and phase in `kubectl get nnt`."""
    kube, namespace = lab.kube, lab.namespace
    base = training("x", namespace)["spec"]
    cases: dict[str, tuple[dict[str, Any], str, str]] = {
        "state-image": (
            {"trainer": {"device": "cpu", "image": "localhost/nowhere/nothing:1", "imagePullPolicy": "Never"}},
            "ImageUnavailable",
            "localhost/nowhere/nothing:1",
        ),
        "state-claim": (
            {"storage": base.get("storage", {}) | {"results": {"claimName": "no-such-claim"}}},
            "ClaimNotBound",
            "no-such-claim",
        ),
        "state-pss": ({"podTemplate": {"annotations": UNCONFINED}}, "PodRejected", "PodSecurity"),
        "state-gpu": (
            {"resources": base["resources"] | {"gpuResourceName": "example.com/none"}},
            "WaitingForGPU",
            "GPU",
        ),
    }
    running = training("state-running", namespace, epochs=1000, iterations=6)
    kube.apply(running, *(training(name, namespace, **change) for name, (change, _, _) in cases.items()))

    messages = set()
    for name, (_, reason, words) in cases.items():
        kube.wait(
            f"{name} to say {reason}",
            partial(says, kube, namespace, name, reason),
            timeout=120,
            about=(namespace, name),
        )
        found = kube.condition(namespace, name, "Progressing")
        assert found["status"] == "False"
        assert words in found["message"], found
        messages.add(found["message"])
        assert reason in kube.run("get", "nnt", name, "-n", namespace)
        assert reason in kube.run("describe", "nnt", name, "-n", namespace)
    kube.wait_epoch(namespace, "state-running", 1, timeout=120)
    found = condition(kube.status(namespace, "state-running"), "Progressing")
    assert (found["status"], found["reason"]) == ("True", "Training")
    messages.add(found["message"])
    assert len(messages) == 5
    for name in [*cases, "state-running"]:
        kube.run("delete", "nnt", name, "-n", namespace, "--wait=false")
    kube.wait("all pods to be gone", lambda: not kube.pods(namespace, "state-running"), timeout=150)
