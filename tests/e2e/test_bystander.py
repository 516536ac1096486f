"""A training that stands by while the operator is upgraded, removed, cut off and killed: it trains on and ends well.

It waits in the middle of its fold, and goes an epoch on where a test asks whether it still trains.
"""

import random
import signal
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from tests.e2e.conftest import Lab
from tests.support import sizes
from tests.support.api import UNANSWERED
from tests.support.kube import Kube, Object, condition, kill_container
from tests.support.small_training import FIRST, training

NAMESPACE, NAME = "e2e-bystander", "bystander"
ABOUT = NAMESPACE, NAME
EPOCHS, HELD_BEFORE = 8, 2
ENDS_THE_OPERATOR = True
POLICY: Object = {
    "apiVersion": "nnunet.dev/v1alpha1",
    "kind": "NnunetTrainingPolicy",
    "metadata": {"name": "e2e-bystander"},
    "spec": {"mode": "Enforce", "namespaces": [NAMESPACE], "rules": {"minEpochs": 1000}},
}


class Bystander:
    """The training, and what shows that nothing happened to it."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._pod = ""

    def wait_training(self) -> None:
        """Wait until it stands in its fold."""
        self.lab.kube.wait_epoch(*ABOUT, 1, timeout=400)
        self._pod = self._pod or self.pod()

    def pod(self) -> str:
        """Return the newest pod of its folds."""
        return str(self.lab.kube.fold_pod(*ABOUT)["metadata"]["name"])

    def trains_on(self) -> None:
        """Let it finish an epoch: the operator tells of it, and the pod is the one that it always was."""
        kube = self.lab.kube
        epoch = kube.status(*ABOUT)["folds"][0]["epoch"] + 1
        assert epoch < EPOCHS, "it has too few epochs for so many tests"
        self.lab.hold(NAME, epoch + 1, NAMESPACE)
        fold = kube.wait_epoch(*ABOUT, epoch, timeout=180)["folds"][0]
        assert (fold["epoch"], fold["attempts"], fold["lostEpochs"]) == (epoch, 1, 0)
        assert self.pod() == self._pod


@pytest.fixture(scope="module")
def begun(lab: Lab) -> Iterator[Bystander]:
    """The training as it was just applied."""
    lab.make_namespace(NAMESPACE)
    with lab.held(NAME, NAMESPACE, before=HELD_BEFORE, epochs=EPOCHS, podTemplate=FIRST):
        yield Bystander(lab)
    lab.wait_admission()


@pytest.fixture
def bystander(begun: Bystander) -> Bystander:
    """The training in the middle of its fold."""
    begun.wait_training()
    return begun


def test_an_operator_that_is_killed_while_it_plans_changes_nothing(begun: Bystander) -> None:
    """SIGKILL to the operator: the one that follows it waits for the same Job and goes on."""
    kube = begun.lab.kube
    kill_operator_once(begun.lab, "plan")
    kube.wait("a pod of a fold", lambda: kube.pods(*ABOUT, "fold"), timeout=400, about=ABOUT)
    assert len(kube.jobs(*ABOUT)) == 2


@pytest.mark.soak
def test_an_operator_that_is_killed_while_it_trains_changes_nothing(begun: Bystander) -> None:
    """SIGKILL to the operator, and more in a soak test."""
    lab = begun.lab
    kill_operator_once(lab, "fold")
    begun.wait_training()
    rng = random.Random(sizes.seed(20))
    for _ in range(sizes.POD_KILLS - 3):
        time.sleep(rng.uniform(0.2, 6))
        kill_operator(lab)
    begun.trains_on()


def kill_operator_once(lab: Lab, stage: str) -> None:
    """Kill the operator when the training has a pod of a stage."""
    lab.kube.wait(f"a pod of stage {stage}", lambda: lab.kube.pods(*ABOUT, stage), timeout=400, about=ABOUT)
    kill_operator(lab)


def kill_operator(lab: Lab) -> None:
    """End the operator by SIGKILL and wait for another to be ready."""
    pod = lab.operator_pod()
    kill_container(pod, "nnunet-operator", signal.SIGKILL)
    # Replacing the pod saves the kubelet's back-off for restarts, minutes after 20 of them.
    lab.kube.run("delete", "pod", pod["metadata"]["name"], "-n", lab.OPERATOR_NAMESPACE, "--force", "--grace-period=0")
    lab.wait_operator_ready()


def says(kube: Kube, name: str, reason: str) -> bool:
    """Tell whether Progressing has this reason."""
    found: str = kube.condition(NAMESPACE, name, "Progressing").get("reason", "")
    return found == reason


def test_five_states_look_different(bystander: Bystander) -> None:
    """Running, waiting for a GPU, an image that can't start, a claim that isn't bound, a pod that Pod Security refuses:
    each has its own reason, message and phase in `kubectl get nnt`."""
    kube, base = bystander.lab.kube, training("x", NAMESPACE)["spec"]
    # By the image and in the environment of the other one, so that what it has to wait for is made already.
    image, env = bystander.lab.references["dishonest"], [{"name": "HOLD_BEFORE_EPOCH", "value": str(HELD_BEFORE)}]
    planned_alike = {"trainer": {"device": "cpu", "image": image, "env": env}, "podTemplate": FIRST}
    unconfined = {"container.apparmor.security.beta.kubernetes.io/trainer": "unconfined"}
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
        "state-pss": ({"podTemplate": {"annotations": unconfined}}, "PodRejected", "PodSecurity"),
        "state-gpu": (
            {**planned_alike, "resources": base["resources"] | {"gpuResourceName": "example.com/none"}},
            "WaitingForGPU",
            "GPU",
        ),
    }
    kube.apply(*(training(name, NAMESPACE, **change) for name, (change, _, _) in cases.items()))

    messages = set()
    for name, (_, reason, words) in cases.items():
        kube.wait(f"{name} to say {reason}", partial(says, kube, name, reason), timeout=120, about=(NAMESPACE, name))
        found = kube.condition(NAMESPACE, name, "Progressing")
        assert found["status"] == "False"
        assert words in found["message"], found
        messages.add(found["message"])
        assert reason in kube.run("get", "nnt", name, "-n", NAMESPACE)
        assert reason in kube.run("describe", "nnt", name, "-n", NAMESPACE)
    found = condition(kube.status(*ABOUT), "Progressing")
    assert (found["status"], found["reason"]) == ("True", "Training")
    assert len({*messages, found["message"]}) == 5
    kube.run("delete", "nnt", *cases, "-n", NAMESPACE, "--wait=false")


def test_an_upgrade_leaves_it_untouched(bystander: Bystander) -> None:
    """Nor does an install beside the operator that is there already."""
    lab = bystander.lab
    refused = lab.helm("install", lab.RELEASE, check=False)
    assert "cannot" in refused and "name" in refused, refused
    before = lab.operator_pod()["metadata"]["name"]
    lab.install("--set", "podAnnotations.upgraded=yes")
    assert lab.operator_pod()["metadata"]["name"] != before
    bystander.trains_on()


def test_a_reinstall_leaves_it_untouched(bystander: Bystander) -> None:
    """An uninstall keeps the trainings, and what they run."""
    lab = bystander.lab
    lab.uninstall()
    assert lab.kube.get("nnt", NAME, NAMESPACE), "the training was deleted with the operator"
    lab.install()
    bystander.trains_on()
    assert len(lab.kube.jobs(*ABOUT)) == 2


@pytest.mark.soak
def test_it_goes_on_while_the_api_server_is_gone(bystander: Bystander) -> None:
    """Without an API server for a while: the same pod trains on, the same operator catches up."""
    lab, kube = bystander.lab, bystander.lab.kube
    operator = lab.operator_pod()
    lab.cluster.stop_component("kube-apiserver")
    time.sleep(sizes.OUTAGE_SECONDS)
    lab.cluster.start_component("kube-apiserver")
    # It may refuse what is asked of a kind of ours for up to half a minute: its storage of it is initialised then.
    for kind in ("nnunettrainings", "nnunettrainingpolicies"):
        kube.wait(f"{kind} to be served", partial(is_served, kube, kind), timeout=180)
    bystander.trains_on()
    now = lab.operator_pod()
    assert now["metadata"]["name"] == operator["metadata"]["name"]
    assert restarts(now) == restarts(operator)


def is_served(kube: Kube, kind: str) -> bool:
    try:
        kube.api.list(kind)
    except UNANSWERED:
        return False
    return True


def restarts(pod: Object) -> int:
    """Return how often the container of a pod was started again."""
    return int(pod["status"]["containerStatuses"][0]["restartCount"])


def test_a_policy_that_comes_later_holds_it(bystander: Bystander) -> None:
    """Admission lets nothing through that breaks a policy; one that was there before is held, with an alert, and goes
    on when the policy is gone."""
    lab, kube = bystander.lab, bystander.lab.kube
    kube.apply(POLICY)
    lab.monitoring.wait_alert("NnunetPolicyDenials", namespace=NAMESPACE, training=NAME)
    said = lab.first_command("NnunetPolicyDenials", *ABOUT)
    assert "e2e-bystander" in said and "at least 1000" in said
    kube.wait("no pod of a fold", lambda: not kube.pods(*ABOUT, "fold"), timeout=90, about=ABOUT)
    kube.run("delete", "nntp", "e2e-bystander")
    kube.wait("the alert to end", lambda: not lab.monitoring.firing("NnunetPolicyDenials", training=NAME), timeout=180)
    kube.wait("a pod of a fold", lambda: kube.pods(*ABOUT, "fold"), timeout=90, about=ABOUT)


@pytest.mark.soak
def test_it_ends_well(begun: Bystander) -> None:
    """With one more kill, of the operator in the evaluation: one Job for each stage, nothing lost, no stuck state; and
    a deletion leaves no pod."""
    lab, kube = begun.lab, begun.lab.kube
    begun.wait_training()
    jobs = sorted(job["metadata"]["name"] for job in kube.jobs(*ABOUT))
    assert jobs == [f"{NAME}-fold-0", f"{NAME}-plan"]
    lab.hold(NAME, None, NAMESPACE)
    kill_operator_once(lab, "evaluate")
    status = kube.wait_complete(*ABOUT, timeout=400)
    jobs = sorted(job["metadata"]["name"] for job in kube.jobs(*ABOUT))
    assert jobs == [f"{NAME}-evaluate", f"{NAME}-fold-0", f"{NAME}-plan", f"{NAME}-verify"]
    (fold,) = status["folds"]
    # The policy ended the first attempt, before an epoch that had not begun.
    assert (fold["epoch"], fold["attempts"] <= 2, fold["lostEpochs"] <= 1) == (EPOCHS, True, True)
    kube.delete(*ABOUT)
