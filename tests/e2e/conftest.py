"""One local cluster for all end-to-end tests, with the operator installed by Helm as a user would."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hack import images
from hack.demo.dataset import write_dataset
from hack.localcluster import Cluster
from tests.e2e.monitoring import Monitoring, monitoring
from tests.support.kube import Kube, Object
from tests.support.sizes import SOAK
from tests.support.small_training import DATASET, held, training, yielding

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "nnunet-operator"
PROGRAM = str(Path(sys.executable).parent / "nnunetctl")
GPUS = 6
"""Half of them are held for long by trainings that stand still."""
CLAIMS = ("nnunet-raw", "nnunet-preprocessed", "nnunet-results")


class Lab:
    """The cluster, the installed operator and a namespace with claims and data."""

    OPERATOR_NAMESPACE = "nnunet-system"
    RELEASE = "nnunet-operator"

    def __init__(self, cluster: Cluster, references: dict[str, str]) -> None:
        self.cluster = cluster
        self.references = references
        self.kube = Kube(cluster.kubectl, cluster.kubeconfig)
        self.namespace = "e2e"
        self.monitoring: Monitoring  # runs as long as the tests do
        self._volumes: dict[tuple[str, str], Path] = {}

    # --- trainings that stand still

    def held_training(self, name: str, namespace: str = "", yields: bool = False, **spec: Any) -> Object:
        """Return a training for `held`: one that was begun in the background gets there before it is waited for, and
        `yields` to those that are waited for now."""
        body = held(name, namespace or self.namespace, self.references["dishonest"], **spec)
        return yielding(body) if yields else body

    @contextlib.contextmanager
    def held(self, name: str, namespace: str = "", **spec: Any) -> Iterator[None]:
        """Begin a training that stands still before epoch `before` until `hold` says otherwise; delete it at the end,
        so that it keeps no GPU from others whatever has failed."""
        namespace = namespace or self.namespace
        self.kube.apply(self.held_training(name, namespace, **spec))
        try:
            yield
        finally:
            self.kube.run("delete", "nnt", name, "-n", namespace, "--wait=false", "--ignore-not-found", check=False)

    def hold(self, name: str, before: int | None, namespace: str = "") -> None:
        """Let a training of `held` stand still before another epoch (1 = first) from now on, or before none."""
        namespace = namespace or self.namespace
        run = self.volume("nnunet-results", namespace) / self.kube.status(namespace, name)["runPath"]
        file, text = run / "hold", f"{before or 0:6d}"
        if not file.exists():
            (run / "hold.new").write_text(text)
            (run / "hold.new").replace(file)  # nobody reads a part of it
            return
        with file.open("r+") as known:  # on a full volume there is no room for another
            known.write(text)

    # --- operator

    def helm(self, *args: str, check: bool = True) -> str:
        """Run helm on the chart with the values of the tests; return its output."""
        operator, operator_tag = self.references["operator"].rsplit(":", 1)
        trainer, trainer_tag = self.references["trainer"].rsplit(":", 1)
        values = {
            "image.repository": operator,
            "image.tag": operator_tag,
            "trainer.image.repository": trainer,
            "trainer.image.tag": trainer_tag,
        }
        command = [str(self.cluster.helm), *args[:1], *args[1:2]]
        if args[0] != "uninstall":
            command += [str(CHART), *(f"--set-string={key}={value}" for key, value in values.items())]
            # A frozen trainer is waited for so long; the others end within a second.
            command += ["--set=settings.progressPollSeconds=2", "--set=trainer.terminationGracePeriodSeconds=20"]
        command += [*args[2:], f"--namespace={self.OPERATOR_NAMESPACE}"]
        env = {**os.environ, "KUBECONFIG": str(self.cluster.kubeconfig)}
        done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=180, check=False)
        output = done.stdout + done.stderr
        if check and done.returncode != 0:
            raise AssertionError(f"helm {' '.join(args)}: {output}\n{self._operator_state()}")
        return output

    def install(self, *args: str) -> None:
        """Install or upgrade the operator and wait until it is ready."""
        self.helm("upgrade", self.RELEASE, "--install", "--create-namespace", "--wait", "--timeout=120s", *args)
        self.wait_admission()

    def admission(self, body: Object) -> str:
        """Return what kubectl would say to a new training, without making it."""
        return self.kube.run("create", "--dry-run=server", "-f", "-", stdin=json.dumps(body), check=False)

    def wait_admission(self) -> None:
        """Wait until trainings are admitted: an API server that has just started, or just got the definitions, may not
        know the kind of the policies for 30 s, and refuses each training meanwhile."""
        trial = training("trial", "default")
        self.kube.wait("trainings to be admitted", lambda: "trial created" in self.admission(trial), timeout=90)

    def uninstall(self) -> None:
        """Uninstall the operator and wait until its pod is gone."""
        self.helm("uninstall", self.RELEASE, "--wait", "--timeout=120s")
        self.kube.wait("the operator's pod to be gone", lambda: not self._operator_pods(), timeout=60)

    def _operator_pods(self) -> list[Object]:
        return self.kube.list("pods", self.OPERATOR_NAMESPACE, "app.kubernetes.io/name=nnunet-operator")

    def _operator_state(self) -> str:
        parts = [self.kube.run("get", "pods", "-n", self.OPERATOR_NAMESPACE, "-o", "wide", check=False)]
        selector = "--selector=app.kubernetes.io/name=nnunet-operator"
        parts.append(self.kube.run("describe", "pods", "-n", self.OPERATOR_NAMESPACE, selector, check=False)[-3000:])
        parts.append(self.kube.run("logs", "-n", self.OPERATOR_NAMESPACE, selector, "--tail=20", check=False))
        return "\n".join(parts)

    def operator_pod(self) -> Object:
        """Return the one ready operator pod, waiting for it."""
        self.wait_operator_ready()
        return next(pod for pod in self._operator_pods() if _ready(pod))

    def wait_operator_ready(self) -> None:
        """Wait until exactly one operator pod exists and is ready."""

        def ready() -> bool:
            pods = [pod for pod in self._operator_pods() if "deletionTimestamp" not in pod["metadata"]]
            return len(pods) == 1 and _ready(pods[0])

        try:
            self.kube.wait("the operator to be ready", ready, timeout=120)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self._operator_state()}") from None

    # --- the command line

    def first_command(self, alert: str, namespace: str, name: str) -> str:
        """Run the first command of an alert's runbook on a training and return what it prints."""
        page = (ROOT / "docs" / "runbooks" / f"{alert}.md").read_text()
        command = page.split("```sh\n", 1)[1].splitlines()[0]
        words = command.replace("NAMESPACE", namespace).replace("NAME", name).split(" #")[0].split()
        program = [PROGRAM] if words[:2] == ["kubectl", "nnunet"] else [str(self.cluster.kubectl)]
        arguments = words[2:] if words[:2] == ["kubectl", "nnunet"] else words[1:]
        env = {**os.environ, "KUBECONFIG": str(self.cluster.kubeconfig), "COLUMNS": "200"}
        done = subprocess.run([*program, *arguments], capture_output=True, text=True, env=env, timeout=60, check=False)
        return done.stdout + done.stderr

    # --- namespaces and volumes

    def volume(self, claim: str, namespace: str = "") -> Path:
        """Return the folder on this machine that backs a claim."""
        return self._volumes[namespace or self.namespace, claim]

    def make_namespace(self, name: str, small_results: bool = False) -> None:
        """Make a namespace under the restricted Pod Security Standard, with claims and the demo dataset."""
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        self.kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
        for claim in CLAIMS:
            size = "96Mi" if small_results and claim == "nnunet-results" else "10Gi"
            limited = small_results and claim == "nnunet-results"
            self._volumes[name, claim] = self.cluster.make_volume(claim, namespace=name, size=size, limited=limited)
        write_dataset(self.volume("nnunet-raw", name))

    def filling(self, namespace: str) -> Callable[..., Callable[[], None]]:
        """Return a function that fills the small results volume of a namespace up, save for `leave` bytes, and returns
        the function that makes room again."""
        folder = self.volume("nnunet-results", namespace)

        def fill(leave: int = 0) -> Callable[[], None]:
            ballast = folder / "ballast"
            # Unbuffered: what is left in a buffer would be written, and fail, when the file is closed.
            with ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):  # full, as it should be
                while shutil.disk_usage(folder).free > leave or not leave:
                    file.write(b"\0" * 65536)
            return ballast.unlink

        return fill


def _ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the pictures be kept."""
    parser.addoption("--pictures", type=Path, help="folder for the dashboards as they are drawn of a real training")


PLACES = {"test_cluster": 0, "test_cli": 1, "test_control_plane": 2, "test_comparison": 4, "test_recipe": 5}
"""Where modules come that do not stand in the middle: first what has to have the machine for itself, then what needs no
training, while those of the background are planned, and last what is judged of those that train longest."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the modules, so that waits fall together."""
    items.sort(key=lambda item: PLACES.get(item.path.stem, 3))


@pytest.fixture(scope="session")
def pictures(request: pytest.FixtureRequest) -> Path | None:
    """Where the dashboards are to be drawn for the docs; None where nobody wants to keep them."""
    chosen: Path | None = request.config.getoption("--pictures")
    return chosen


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The cluster with the operator and namespace `e2e`; taken down at the end unless KEEP=1.

    What the modules of this run name in `in_the_background` trains from the beginning, and fills the waits of others.
    """
    built = images.ensure(["operator", "trainer", "dishonest"])
    # Under a name of its own, so that it never takes down a demo that somebody keeps.
    cluster = Cluster("e2e", gpus=GPUS, hurried_jobs=not SOAK)
    cluster.up()
    try:
        # The largest first: what it is made from has no layer besides.
        names = ("operator", "dishonest", "trainer")
        references = {name: cluster.load_image(built[name]) for name in names}
        laboratory = Lab(cluster, references)
        laboratory.install()
        laboratory.make_namespace(laboratory.namespace)
        _dataset_without_labels(laboratory.volume("nnunet-raw"))
        with monitoring(laboratory.kube, cluster.kubeconfig, tmp_path_factory.mktemp("prometheus")) as watching:
            laboratory.monitoring = watching
            modules = dict.fromkeys(item.module for item in request.session.items if isinstance(item, pytest.Function))
            for begun in filter(None, (getattr(module, "in_the_background", None) for module in modules)):
                laboratory.kube.apply(*begun(laboratory))
            yield laboratory
    finally:
        if not os.environ.get("KEEP"):
            cluster.down()


def _dataset_without_labels(raw: Path) -> None:
    """Write Dataset502_NoLabels beside the demo dataset: its first label is missing."""
    broken = raw / "Dataset502_NoLabels"
    shutil.copytree(raw / DATASET, broken, dirs_exist_ok=True)
    next(iter(sorted((broken / "labelsTr").iterdir()))).unlink()
