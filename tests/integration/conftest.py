"""One control plane for all tests of the operator, a namespace and an operator for each."""

import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from hack.localcluster import Cluster
from nnunet_api.crd import all_crds
from tests.support.api import Api, Object, wait_for, wait_served
from tests.support.control_plane import control_plane
from tests.support.kubelet import Kubelet
from tests.support.launch import Launch, Nursery
from tests.support.process import OperatorProcess
from tests.support.scene import Scene
from tests.support.trainer import Trainer
from tests.support.worker import ADDRESSES

T = TypeVar("T")
PIECES = ("chart/", "cli/", "kueue/", "policy/test_bypass", "policy/")
"""Tests that one process runs, as they share a control plane which each process would start; others go by file."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep small pieces for the end, so that no process runs on alone when all others are done."""
    items.sort(key=lambda item: item.path.parent.name == "runtime")


class _InPieces(LoadScopeScheduling):  # type: ignore[misc]
    """Shares tests out among processes."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::")[0]
        return next((piece for piece in PIECES if file.startswith(f"tests/integration/{piece}")), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Say how xdist shares tests out."""
    return _InPieces(config, log)


class Lab:
    """A namespace with an operator that watches nothing else."""

    def __init__(self, api: Api, namespace: str, operator: OperatorProcess, log: Callable[[], str] = str) -> None:
        """`log` returns what others than the operator have said last, for what is printed of a wait in vain."""
        self.api = api
        self.namespace = namespace
        self.operator = operator
        self.scene = Scene(api, namespace, lambda: f"{operator.tail()}\n{log()}")
        self.kubelet = Kubelet(api, namespace, self.scene)

    def apply(self, body: Object) -> Object:
        """Create a training."""
        return self.api.create("nnunettrainings", body)

    def training(self, name: str = "hippo") -> Object:
        """Return a training as it is."""
        found = self.api.get("nnunettrainings", self.namespace, name)
        assert found, f"there is no training {name}"
        return found

    def status(self, name: str = "hippo") -> Object:
        """Return its status."""
        status: Object = self.training(name).get("status", {})
        return status

    def condition(self, type_: str, name: str = "hippo") -> Object:
        """Return one of its conditions; {} where there is none."""
        conditions: list[Object] = self.status(name).get("conditions", [])
        return next((condition for condition in conditions if condition["type"] == type_), {})

    def wait(self, what: str, check: Callable[[], T | None], name: str = "hippo", **limits: float) -> T:
        """Wait until `check` returns something true and return it, as long as something changes in the namespace.

        `limits` are those of `wait_for`: timeout, longer, poll.
        """
        return self.scene.wait(what, check, name, **limits)

    def wait_reason(self, type_: str, reason: str, name: str = "hippo") -> Object:
        """Wait until a condition has this reason and return it."""

        def found() -> Object | None:
            condition = self.condition(type_, name)
            return condition if condition.get("reason") == reason else None

        return self.wait(f"{type_} {reason} of {name}", found, name)

    def delete_ended(self, pod: Object) -> None:
        """Delete the Job of a pod as soon as it has ended, and wait until both are gone."""
        job, name = pod["metadata"]["ownerReferences"][0]["name"], pod["metadata"]["name"]

        def over() -> bool:
            conditions = (self.api.get("jobs", self.namespace, job) or {}).get("status", {}).get("conditions", [])
            return any(one["type"] in ("Complete", "Failed") for one in conditions)

        self.wait(f"the end of Job {job}", over)
        self.api.delete("jobs", self.namespace, job, propagation="Background")
        self.wait(f"pod {name} to be gone", lambda: self.api.get("pods", self.namespace, name) is None)

    def wait_said(self, words: str, name: str = "hippo") -> Object:
        """Wait until condition Progressing says these words and return it."""

        def found() -> Object | None:
            condition = self.condition("Progressing", name)
            return condition if words in condition.get("message", "") else None

        return self.wait(f"{name} to say {words!r}", found, name)

    def wait_jobs(self, *names: str) -> list[Object]:
        """Wait until exactly these Jobs exist and return them."""
        wanted = sorted(names)

        def found() -> list[Object] | None:
            jobs = self.jobs()
            return jobs if [job["metadata"]["name"] for job in jobs] == wanted else None

        if not wanted:
            self.wait("no Jobs", lambda: not self.jobs())
            return []
        return self.wait(f"Jobs {wanted}", found)

    def jobs(self) -> list[Object]:
        """Return all Jobs of the namespace in the order of their names."""
        return sorted(self.api.list("jobs", self.namespace), key=lambda job: str(job["metadata"]["name"]))

    def set(self, name: str = "hippo", **spec: Any) -> None:
        """Change fields of a training's spec."""
        self.api.merge("nnunettrainings", self.namespace, name, {"spec": spec})

    def events(self, name: str = "hippo") -> list[str]:
        """Return the reasons of the Events on a training, the oldest first."""
        selector = f"involvedObject.kind=NnunetTraining,involvedObject.name={name}"
        events = self.api.list("events", self.namespace, fieldSelector=selector)
        events.sort(key=lambda event: int(event["metadata"]["resourceVersion"]))
        return [event["reason"] for event in events]

    def wait_event(self, reason: str, times: int = 1, name: str = "hippo") -> None:
        """Wait until an Event has been recorded so many times, and no more. It comes after the status."""
        self.wait(f"Event {reason}", lambda: self.events(name).count(reason) >= times, name)
        assert self.events(name).count(reason) == times, self.events(name)

    def describe(self, name: str = "hippo") -> str:
        """Return what a person would look at."""
        return self.scene.describe(name)

    def look(self, name: str = "hippo") -> None:
        """Have the operator look at a training, and wait until it has: what it has not done then, it does not do."""
        for _ in range(2):  # what ends first may have begun before, with what was known then
            looks = self._looks()
            change = {"metadata": {"annotations": {"tests/looked": uuid.uuid4().hex}}}
            self.api.merge("nnunettrainings", self.namespace, name, change)
            self.wait("the operator to look", partial(self._has_looked, looks), name)

    def _has_looked(self, before: float) -> bool:
        return self._looks() > before

    def _looks(self) -> float:
        series = 'nnunet_operator_reconciles_total{kind="NnunetTraining",'
        return sum(value for name, value in self.operator.metrics().items() if name.startswith(series))

    def plan_and_train(self, name: str = "hippo") -> None:
        """Let planning succeed and the folds start."""
        self.kubelet.end(self.kubelet.pod(name, "plan"))
        self.wait_reason("DatasetReady", "Preprocessed", name)

    def verify_and_evaluate(self, name: str = "hippo") -> None:
        """Let the checkpoints prove the epochs and the evaluation succeed."""
        self.kubelet.end(self.kubelet.pod(name, "verify"))
        self.kubelet.end(self.kubelet.pod(name, "evaluate"))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The control plane, taken down at the end."""
    with control_plane("integration") as made:
        yield made


@pytest.fixture(scope="session")
def api(cluster: Cluster) -> Api:
    """A client of the control plane, in which the CRD is installed."""
    client = Api(cluster.kubeconfig)
    install_crds(client)
    restart_controllers(cluster)
    return client


def restart_controllers(cluster: Cluster) -> None:
    """Start the controllers anew, for what they would do late.

    The garbage collector asks every 30 s which kinds there are, and leaves what objects of unknown ones have owned.
    When the API server was away, they try again after up to 50 s.
    """
    cluster.stop_component("kube-controller-manager")
    cluster.start_component("kube-controller-manager")


def install_crds(api: Api) -> None:
    """Install the CRDs and wait until they are served."""
    crds = all_crds()
    for crd in crds:
        api.apply("customresourcedefinitions", crd)
    wait_served(api, *(crd["metadata"]["name"] for crd in crds))


@pytest.fixture
def namespace(api: Api) -> Iterator[str]:
    """A namespace in which pods can be made."""
    name = make_namespace(api)
    yield name
    # What is left would cost the controllers time. The namespace itself stays: its deletion, which looks for objects of
    # all kinds that there are, costs more than most tests.
    for kind in ("nnunetcomparisons", "nnunettrainings", "jobs", "pods"):
        api.request("DELETE", api.path(kind, name), {"propagationPolicy": "Background"})


def make_namespace(api: Api, **labels: str) -> str:
    """Make a namespace and wait for the ServiceAccount without which no pod is made."""
    name = f"t-{uuid.uuid4().hex[:8]}"
    api.create("namespaces", {"metadata": {"name": name, "labels": labels}})
    wait_for("the default service account", lambda: api.get("serviceaccounts", name, "default"))
    return name


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """What starts operators in a moment."""
    running = Nursery()
    yield running
    running.close()


@pytest.fixture
def start_operator(cluster: Cluster, nursery: Nursery, tmp_path: Path) -> Iterator[Callable[..., OperatorProcess]]:
    """Return a function that starts an operator, with less patience unless it is told to launch it `as_deployed`.

    All are ended after the test.
    """
    started: list[OperatorProcess] = []

    def start(
        namespaces: str = "", kubeconfig: Path = cluster.kubeconfig, launch: Launch = nursery.launch, **settings: Any
    ) -> OperatorProcess:
        log = tmp_path / f"operator-{len(started)}.log"
        operator = OperatorProcess(kubeconfig, log, namespaces, launch, **settings)
        started.append(operator)
        operator.start()
        return operator

    yield start
    for operator in started:
        operator.close()


@pytest.fixture
def trainer() -> Iterator[Trainer]:
    """What a trainer serves to the operator."""
    serving = Trainer(f"{ADDRESSES}.77")
    yield serving
    serving.close()


@pytest.fixture
def lab(api: Api, namespace: str, start_operator: Callable[..., OperatorProcess]) -> Lab:
    """A namespace with its operator."""
    return Lab(api, namespace, start_operator(namespace))
