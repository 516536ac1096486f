"""`make demo`: from nothing to a trained and scored model on a real Kubernetes, and down again.

`python -m hack.demo recipe`, which is `make demo-recipe`, trains nnU-Net's whole recipe in the place of a single model.
KEEP=1 leaves the cluster up. CLUSTER=current takes the cluster of the kubeconfig's current context in place of the
local one, with images pushed to the registry $IMAGE_REGISTRY; what the demo made there is removed at the end.
"""

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import yaml
from rich.console import Console

from hack import images
from hack.demo import follow, storage, trouble, view
from hack.demo.beside import Beside
from hack.demo.steps import Steps
from hack.demo.story import SAMPLES, STORIES, Story
from hack.localcluster import ClusterError, CurrentCluster, cluster_from_environment
from nnunet_api.base import GROUP
from nnunet_api.training import PLURAL
from nnunet_cli.kube.watched import Watched, message

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "nnunet-operator"
NAMESPACE = "nnunet-demo"
OPERATOR_NAMESPACE = "nnunet-system"
RELEASE = "nnunet-operator"
PATIENCE_SECONDS = 600.0
"""How long nothing new may be seen of the training. All of it takes 3 minutes on 2 free cores, on a busy machine many
times that, and as long as it gets on it is waited for."""
IMAGES = ("operator", "trainer")
POLL_SECONDS = 2
"""How often the operator looks at the trainers' metrics; its default is 15 s, epochs of the demo take 2."""


class DemoError(Exception):
    """The demo can't go on; the message says why."""


class Demo:
    """The steps of the demo, on one cluster."""

    def __init__(self, console: Console, story: Story) -> None:
        """Nothing happens before `run`."""
        self._console = console
        self._story = story
        self._training = story.training
        self._steps = Steps(console, total=6)
        self._cluster = cluster_from_environment()
        self._installed = False
        self._own_namespaces: list[str] = []
        self._results = ""

    def run(self) -> None:
        """Run all steps. Raises DemoError, ClusterError, ImageError or StandsStill."""
        images.ensure_tools(IMAGES)  # first, for Kubernetes needs packages, too
        built = Beside(lambda: images.ensure(IMAGES))
        own = "Start Kubernetes (built from source the first time: 5-15 min), and build the images beside it"
        with self._steps.step("Look at your cluster, and build the images" if self._is_current else own):
            self._cluster.up()
            self._refuse_to_disturb()
        with self._steps.step("Wait for the operator and trainer images (the first time: about 5 min)"):
            references = built.result()
        with self._steps.step("Load the images into the cluster"):
            loaded = {name: self._cluster.load_image(reference) for name, reference in references.items()}
        with self._steps.step("Install the operator with Helm"):
            self._install(loaded["operator"], loaded["trainer"])
        with self._steps.step("Make a namespace, volumes and a dataset: 18 blocks of the MNI152 brain"):
            self._cluster.client().run("apply", f"--filename={SAMPLES / 'namespace.yaml'}")
            self._results = storage.provide(self._cluster, NAMESPACE, loaded["trainer"])
        with self._steps.step(f"Train: kubectl apply -f {self._story.path.relative_to(ROOT)}"):
            done = self._train()
        self._report(done)

    def explain(self) -> None:
        """Print what the cluster says about why it does not go on."""
        if self._cluster.kubeconfig.exists():
            trouble.explain(self._cluster.client(), self._console, NAMESPACE, OPERATOR_NAMESPACE)

    def down(self) -> None:
        """Take everything down, or with KEEP=1 say how to look around."""
        if os.environ.get("KEEP"):
            self._look_around()
            return
        self._console.print("[bold]Take everything down[/] (KEEP=1 leaves it up to look around)", highlight=False)
        if self._is_current and self._installed:
            kubectl = self._cluster.client()
            kubectl.run("delete", "nnt", self._training, f"--namespace={NAMESPACE}", "--ignore-not-found", seconds=200)
            self._helm("uninstall", RELEASE, "--wait", "--ignore-not-found")
            if self._own_namespaces:
                kubectl.run("delete", "namespace", *self._own_namespaces, "--ignore-not-found", seconds=200)
        self._cluster.down()

    @property
    def _is_current(self) -> bool:
        return isinstance(self._cluster, CurrentCluster)

    def _refuse_to_disturb(self) -> None:
        """Keep away from an operator that people use: the demo would put its own in the place of it."""
        client = self._cluster.client()
        spaces = (NAMESPACE, OPERATOR_NAMESPACE)
        self._own_namespaces = [name for name in spaces if not client.succeeds("get", "namespace", name)]
        if self._is_current and client.succeeds("get", "crd", f"{PLURAL}.{GROUP}"):
            raise DemoError(
                f"your cluster has an nnU-Net operator already (CustomResourceDefinition {PLURAL}.{GROUP}). The demo "
                f"would replace it. To try the sample with it: kubectl apply -f {SAMPLES.relative_to(ROOT)}"
            )

    def _install(self, operator: str, trainer: str) -> None:
        operator_name, operator_tag = operator.rsplit(":", 1)
        trainer_name, trainer_tag = trainer.rsplit(":", 1)
        values = {
            "image.repository": operator_name,
            "image.tag": operator_tag,
            "trainer.image.repository": trainer_name,
            "trainer.image.tag": trainer_tag,
            "settings.progressPollSeconds": str(POLL_SECONDS),
        }
        if self._is_current:
            values["crds.keep"] = "false"  # the cluster had no such definition before: it goes with the demo
        self._installed = True
        settings = [f"--set={key}={value}" for key, value in values.items()]
        self._helm("upgrade", "--install", RELEASE, str(CHART), "--create-namespace", "--wait", *settings)

    def _helm(self, *arguments: str) -> None:
        command = [str(self._cluster.helm), *arguments, f"--namespace={OPERATOR_NAMESPACE}", "--timeout=120s"]
        env = {**os.environ, "KUBECONFIG": str(self._cluster.kubeconfig)}
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=180, check=False)
        if done.returncode != 0:
            raise DemoError(f"helm {arguments[0]} failed: {(done.stderr or done.stdout).strip()}")

    def _train(self) -> Watched:
        kubectl = self._cluster.client()
        # A training of an earlier run with KEEP=1 would be complete already.
        kubectl.run("delete", "nnt", self._training, f"--namespace={NAMESPACE}", "--ignore-not-found", "--timeout=50s")
        training = yaml.safe_load(self._story.path.read_text())
        if self._is_current:
            training["spec"]["resources"]["gpus"] = 0  # it computes on the CPU: no real GPU is to be held for that
        kubectl.run("apply", "--filename=-", stdin=json.dumps(training))
        patience = follow.Patience(PATIENCE_SECONDS, lambda: follow.last_words(kubectl, NAMESPACE, self._training))
        done = follow.follow(lambda: follow.read(kubectl, NAMESPACE, self._training), self._console, patience)
        if done.failed:
            raise DemoError(f"the training failed: {message(done.status)}")
        return done

    def _report(self, done: Watched) -> None:
        self._console.print()
        self._console.print(view.results(done, [self._results]))
        self._console.print(self._story.moral, style="dim", highlight=False)
        self._console.print(f"[bold green]The demo took {self._steps.elapsed}.[/]", highlight=False)

    def _look_around(self) -> None:
        if not self._cluster.kubeconfig.exists():
            return
        kubectl = f"{_shown(self._cluster.kubectl)} -n {NAMESPACE}"
        lines = [
            f"export KUBECONFIG={shlex.quote(str(self._cluster.kubeconfig))}",
            f"{kubectl} get nnt -o wide",
            f"{kubectl} describe nnt {self._training}",
            f"{kubectl} get jobs,pods",
            f"{kubectl} logs --prefix --selector=nnunet.dev/training={self._training},nnunet.dev/stage=fold",
            f"{self._ending()}    # when you are done",
        ]
        self._console.print("\nIt is all still up (KEEP=1). To look around:\n", highlight=False)
        for line in lines:
            self._console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)

    def _ending(self) -> str:
        if not self._is_current:
            return f"{_shown(Path(sys.executable))} -m hack.localcluster down"
        helm = f"helm uninstall {RELEASE} --namespace={OPERATOR_NAMESPACE} --wait"
        return f"{_shown(self._cluster.kubectl)} delete namespace {NAMESPACE} && {helm}"


def _shown(path: Path) -> str:
    """Return a path as one would type it in the repository's folder."""
    return shlex.quote(str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path))


def _terminated(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let a second Ctrl-C not leave half a cluster behind."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main(arguments: Sequence[str] = ()) -> int:
    """Run the demo and return the exit code: 0 done, 1 failed, 130 interrupted."""
    parser = argparse.ArgumentParser(prog="python -m hack.demo", description=__doc__)
    parser.add_argument("story", nargs="?", choices=STORIES, default="training", help="what is trained")
    story = STORIES[parser.parse_args(arguments).story]
    signal.signal(signal.SIGTERM, _terminated)
    console = Console()
    code, reason = 1, ""
    try:
        demo = Demo(console, story)
    except ClusterError as error:
        console.print(str(error), markup=False, highlight=False, soft_wrap=True)
        return code
    try:
        demo.run()
        code = 0
    except KeyboardInterrupt:
        console.print("\n[yellow]Interrupted.[/]")
        code = 130
    except (DemoError, ClusterError, images.ImageError, follow.StandsStill, subprocess.TimeoutExpired) as error:
        reason = str(error)
        demo.explain()
    finally:
        try:
            with _uninterrupted():
                demo.down()
        finally:
            if reason:  # last, where it is found
                console.print("\n[bold red]The demo failed[/]", highlight=False)
                console.print(reason, markup=False, highlight=False, soft_wrap=True)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
