"""One local cluster for all end-to-end tests, with the operator installed by Helm as a user would."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import zip_longest
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import pytest

from hack import images
from hack.demo.dataset import write_dataset
from hack.localcluster import Cluster
from tests.e2e.monitoring import Monitoring, monitoring
from tests.support.api import UNANSWERED
from tests.support.kube import Kube, Object, Over, condition
from tests.support.sizes import SOAK
from tests.support.small_training import DATASET, PRIORITY, held, training, yielding

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "nnunet-operator"
PROGRAM = str(Path(sys.executable).parent / "nnunetctl")
GPUS = 8
"""Half of them are held for long by trainings that stand still."""
MOST_STORIES, MOST_PLANNED = 16, 4
T = TypeVar("T")
CLAIMS = ("nnunet-raw", "nnunet-preprocessed", "nnunet-results")


class Lab:
    """The cluster, the installed operator and a namespace with claims and data."""

    OPERATOR_NAMESPACE = "nnunet-system"
    RELEASE = "nnunet-operator"

    def __init__(self, cluster: Cluster, references: dict[str, str], folder: Path) -> None:
        self.cluster = cluster
        self.references = references
        self.kube = Kube(cluster.kubectl, cluster.kubeconfig)
        self.namespace = "e2e"
        self.monitoring: Monitoring  # runs as long as the tests do
        self.loading: Future[None]  # of the images that trainings run by
        self.feeding: Future[None]  # of what trains in the background
        self.pictures: Path | None = None
        self.stories: list[Callable[[Lab], Any]] = []
        self._folder = folder
        self._volumes: dict[tuple[str, str], Path] = {}
        self._told: dict[Callable[[Lab], Any], Future[Any]] = {}
        self._heard: set[Callable[[Lab], Any]] = set()
        self._beside = ThreadPoolExecutor(MOST_STORIES, "beside")

    # --- what happens beside the tests

    def begin(self) -> None:
        """Let the stories of this run happen from now on, beside the tests and each other."""
        for story in self.stories:
            self._begin(story)

    def told(self, story: Callable[["Lab"], T]) -> T:
        """Return what a story tells when it is over, or raise what it raised: it happens once."""
        self._heard.add(story)
        found: T = self._begin(story).result()
        return found

    def _begin(self, story: Callable[["Lab"], T]) -> "Future[T]":
        if story not in self._told:
            self._told[story] = self._beside.submit(story, self)
        return self._told[story]

    def feed(self, trainings: list[Object]) -> None:
        """Let trainings be planned from now on, a few at a time."""
        self.feeding = self._beside.submit(_feed, self, trainings)

    def end(self) -> None:
        """End all that happens beside the tests; raise what a story has raised that no test has asked for."""
        self.kube.over.set()
        self._beside.shutdown(cancel_futures=True)
        for story, future in self._told.items():
            error = None if future.cancelled() or story in self._heard else future.exception()
            if error and not isinstance(error, Over):
                raise error

    def new_folder(self, name: str) -> Path:
        """Make a folder that lasts as long as the tests do."""
        folder = self._folder / name
        folder.mkdir()
        return folder

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
            self.drop(name, namespace)

    def drop(self, name: str, namespace: str = "") -> None:
        """Delete a training, where it is still there, and wait for nothing."""
        there = ("nnt", name, "-n", namespace or self.namespace)
        self.kube.run("delete", *there, "--wait=false", "--ignore-not-found", check=False)

    def hold(self, name: str, before: int | None, namespace: str = "", results: str = "nnunet-results") -> None:
        """Let a training of `held` stand still before another epoch (1 = first) from now on, or before none."""
        namespace = namespace or self.namespace
        run = self.volume(results, namespace) / self.kube.status(namespace, name)["runPath"]
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
            command += ["--set=settings.progressPollSeconds=2", "--set=trainer.terminationGracePeriodSeconds=10"]
        command += [*args[2:], f"--namespace={self.OPERATOR_NAMESPACE}"]
        env = {**os.environ, "KUBECONFIG": str(self.cluster.kubeconfig)}
        done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=360, check=False)
        output = done.stdout + done.stderr
        if check and done.returncode != 0:
            raise AssertionError(f"helm {' '.join(args)}: {output}\n{self._operator_state()}")
        return output

    def install(self, *args: str) -> None:
        """Install or upgrade the operator and wait until it is ready."""
        self.helm("upgrade", self.RELEASE, "--install", "--create-namespace", "--wait", "--timeout=300s", *args)
        self.wait_admission()

    def admission(self, body: Object) -> str:
        """Return what kubectl would say to a new training, without making it."""
        return self.kube.run("create", "--dry-run=server", "-f", "-", stdin=json.dumps(body), check=False)

    def wait_admission(self) -> None:
        """Wait until trainings are admitted: an API server that has just started, or just got the definitions, may not
        know the kind of the policies for 30 s, and refuses each training meanwhile."""
        trial = training("trial", "default")
        self.kube.wait("trainings to be admitted", lambda: "trial created" in self.admission(trial), timeout=180)

    def uninstall(self) -> None:
        """Uninstall the operator and wait until its pod is gone."""
        self.helm("uninstall", self.RELEASE, "--wait", "--timeout=300s")
        self.kube.wait("the operator's pod to be gone", lambda: not self._operator_pods(), timeout=180)

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

    def make_namespace(self, name: str) -> None:
        """Make a namespace under the restricted Pod Security Standard, with claims and the demo dataset."""
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        self.kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
        for claim in CLAIMS:
            self._volumes[name, claim] = self.cluster.make_volume(claim, namespace=name)
        write_dataset(self.volume("nnunet-raw", name))

    def make_small_volume(self, claim: str) -> None:
        """Make one more claim, which can be filled up."""
        folder = self.cluster.make_volume(claim, namespace=self.namespace, size="96Mi", limited=True)
        self._volumes[self.namespace, claim] = folder

    def filling(self, claim: str) -> Callable[..., Callable[[], None]]:
        """Return a function that fills a small volume up, save for `leave` bytes, and returns the function that makes
        room again."""
        folder = self.volume(claim)

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


PLACES = {
    "test_cluster": 0,
    "test_cli": 1,
    "test_control_plane": 2,
    "test_bystander": 3,
    "test_training": 5,
    "test_comparison": 6,
    "test_recipe": 7,
    "test_training_end": 8,
}
"""Where modules come that do not stand in the middle (4): first what has to have the machine for itself, then what
needs no training, while those of the background are planned, then what ends the operator, and last what is judged of
those that train longest."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the modules, so that waits fall together."""
    items.sort(key=lambda item: PLACES.get(item.path.stem, 4))


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The cluster with the operator and namespace `e2e`; taken down at the end unless KEEP=1.

    Two things of a module fill the waits of others. What it names in `in_the_background` trains from the beginning.
    What its STORIES do is done beside other tests, after the modules of this run that say ENDS_THE_OPERATOR.
    """
    built = images.ensure(["operator", "trainer", "dishonest"])
    # Under a name of its own, so that it never takes down a demo that somebody keeps.
    cluster = Cluster("e2e", gpus=GPUS, hurried=not SOAK)
    cluster.up()
    laboratory = Lab(cluster, built, tmp_path_factory.mktemp("laboratory"))
    laboratory.pictures = request.config.getoption("--pictures")
    modules = list(dict.fromkeys(item.module for item in _functions(request.session.items)))
    laboratory.stories = [story for module in modules for story in getattr(module, "STORIES", ())]
    try:
        cluster.load_image(built["operator"])
        with monitoring(laboratory.kube, cluster.kubeconfig, tmp_path_factory.mktemp("prometheus")) as watching:
            laboratory.monitoring = watching
            laboratory.feed(_furnish(laboratory, modules))
            yield laboratory
    finally:
        try:
            laboratory.end()
        finally:
            if not os.environ.get("KEEP"):
                cluster.down()


@pytest.fixture(autouse=True)
def beside(request: pytest.FixtureRequest) -> None:
    """Begin the stories where no later test ends the operator; tell at once what failed of the background."""
    if "lab" not in request.fixturenames:
        return
    lab: Lab = request.getfixturevalue("lab")
    place = request.session.items.index(request.node)
    if not any(getattr(item.module, "ENDS_THE_OPERATOR", False) for item in _functions(request.session.items[place:])):
        lab.begin()
    if lab.feeding.done():
        lab.feeding.result()


def _functions(items: Sequence[pytest.Item]) -> list[pytest.Function]:
    return [item for item in items if isinstance(item, pytest.Function)]


def _furnish(lab: Lab, modules: list[ModuleType]) -> list[Object]:
    """Install the operator, make what there is to be in the cluster, and return what is to be planned and trained.

    The images for that come to the node meanwhile: API servers and helm wait for clocks, too.
    """

    def load() -> None:
        # The largest first: what it is made from has no layer besides.
        for name in ("dishonest", "trainer"):
            lab.cluster.load_image(lab.references[name])

    with ThreadPoolExecutor(1) as beside:
        lab.loading = beside.submit(load)
        lab.kube.apply(PRIORITY)
        lab.install()
        lab.make_namespace(lab.namespace)
        _dataset_without_labels(lab.volume("nnunet-raw"))
        hooks = [module.in_the_background for module in modules if hasattr(module, "in_the_background")]
        bodies = [hook(lab) for hook in hooks]
        lab.loading.result()
    if rest := [body for each in bodies for body in each if not _is_planned(body)]:
        lab.kube.apply(*rest)
    # In turns, so that those that train longest are not all among the last.
    turns = zip_longest(*(filter(_is_planned, each) for each in bodies))
    return [body for turn in turns for body in turn if body]


def _is_planned(body: Object) -> bool:
    return body["kind"] == "NnunetTraining" and not body["spec"].get("suspend")


def _feed(lab: Lab, trainings: list[Object]) -> None:
    """Apply trainings one after the other, so that no more than MOST_PLANNED are planned at a time.

    Planning asks for much memory, and where all of them do, pods that tests wait for find no room.
    """
    planning: list[Object] = []

    def room() -> bool:
        try:
            planning[:] = [body for body in planning if not _planned(lab, body)]
        except UNANSWERED:  # the API server is away
            return False
        return len(planning) < MOST_PLANNED

    for body in trainings:
        lab.kube.wait("room to plan one more training", room, timeout=1200)
        lab.kube.wait("a training to be applied", partial(_applied, lab, body), timeout=180)
        planning.append(body)


def _planned(lab: Lab, body: Object) -> bool:
    """Tell whether a training that was applied is planned, or is no more."""
    found = lab.kube.get("nnt", body["metadata"]["name"], body["metadata"]["namespace"])
    done = (condition(found.get("status", {}), kind).get("status") for kind in ("DatasetReady", "Failed"))
    return not found or "True" in done


def _applied(lab: Lab, body: Object) -> bool:
    said = lab.kube.run("apply", "-f", "-", stdin=json.dumps(body), check=False)
    return said.strip().endswith(("created", "configured", "unchanged"))


def _dataset_without_labels(raw: Path) -> None:
    """Write Dataset502_NoLabels beside the demo dataset: its first label is missing."""
    broken = raw / "Dataset502_NoLabels"
    shutil.copytree(raw / DATASET, broken, dirs_exist_ok=True)
    next(iter(sorted((broken / "labelsTr").iterdir()))).unlink()
