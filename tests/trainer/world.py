"""A root folder with the three mounts, and the trainer run in it as the pod would run it."""

import contextlib
import functools
import json
import os
import pkgutil
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import nnunet_api
from nnunet_api.contract import CONTRACT_ENV, RunContract, TerminationReport
from nnunet_api.facts import FoldFacts
from nnunet_api.local_copy import LOCAL_COPY_ENV, LOCAL_COPY_FIELD
from nnunet_trainer.process.processes import descendants
from nnunet_trainer.run.journal import JOURNAL_FILE, Journal, read_journal
from nnunet_trainer.run.paths import ROOT_ENV
from nnunet_trainer.run.report import TERMINATION_LOG_ENV
from nnunet_trainer.run.serving import METRICS_PORT_ENV
from tests.support.networks import small_network
from tests.support.trainers import HELD
from tests.support.zygote import Forked, Zygote
from tests.trainer import tiny_dataset
from tests.trainer.held import HELD_FILE, HOLD_AT, LET_GO

LIBRARIES = """
    torch torch._dynamo torch.distributed torchvision timm monai SimpleITK nibabel tifffile imagecodecs cc3d pandas
    scipy.ndimage scipy.stats skimage.io skimage.measure skimage.transform sklearn seaborn matplotlib.pyplot pydantic
    jinja2 prometheus_client batchgenerators batchgeneratorsv2 acvl_utils
    dynamic_network_architectures.architectures.unet
    httpx rich.console blosc2 sklearn.model_selection skimage.morphology acvl_utils.cropping_and_padding.bounding_boxes
"""
"""What a trainer and its workers import from others. Nothing of nnU-Net, which reads its folders from the environment
when it is imported, nor of the trainer, which imports it."""
READ_WHEN_LOADED = {
    # As the trainer sets it before it imports torch.
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
    # Else numexpr, which blosc2 imports and nothing here computes with, starts threads, and a fork would be without.
    "NUMEXPR_MAX_THREADS": "1",
    "MATPLOTLIBRC": str(Path(__file__).with_name("matplotlibrc")),
}
"""What libraries read from the environment when they are loaded: they can't be told any more."""
OURS = [module.name for module in pkgutil.walk_packages(nnunet_api.__path__, "nnunet_api.")]
"""Pure code, and a third of a second of a core in each command: its models are made when it is imported."""
PRELOADED = [*LIBRARIES.split(), *OURS]
"""What the process imports that trainers are forked from. The tests add to it before the first of them is."""
TINY_NETWORK = small_network("3d_fullres", [16, 16, 16], [4, 8, 8])


def make_contract(**changes: Any) -> RunContract:
    """Return a contract for the tiny dataset on the CPU: two folds, three short epochs."""
    settings = {
        "namespace": "tests",
        "name": "tiny",
        "uid": "0123456789abcdef",
        "dataset": tiny_dataset.NAME,
        "planning": {"configurations": {"3d_tiny": TINY_NETWORK}},
        "configuration": "3d_tiny",
        "folds": ["0", "1"],
        "schedule": {"epochs": 3, "iterationsPerEpoch": 5, "validationIterationsPerEpoch": 2},
        "trainerClass": "nnUNetTrainer",
        "device": "cpu",
        "processes": 1,
        "testSet": {},
    }
    return RunContract.model_validate(settings | changes)


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    report: TerminationReport
    log: str

    @property
    def fold(self) -> FoldFacts:
        """The state of the fold in the report."""
        assert self.report.fold is not None, self.report
        return self.report.fold


class Command:
    """A running command of the trainer."""

    def __init__(
        self, arguments: Sequence[str], env: dict[str, str], log: Path, anew: bool, user: int | None = None
    ) -> None:
        # What is held imports itself in its workers, too.
        program = "tests.trainer.held" if HOLD_AT in env else "nnunet_trainer"
        self.arguments = list(arguments)
        self._log = log
        self._report = Path(env[TERMINATION_LOG_ENV])
        self._report.unlink(missing_ok=True)
        self.held_file = Path(env.get(HELD_FILE, ""))
        self._process: Forked | subprocess.Popen[bytes]
        with log.open("wb") as output:
            if anew:
                command = [sys.executable, "-m", program, *arguments]
                as_whom: dict[str, Any] = {} if user is None else {"user": user, "group": 0, "extra_groups": []}
                self._process = subprocess.Popen(command, env=env, stdout=output, stderr=subprocess.STDOUT, **as_whom)
            else:
                self._process = zygote().start(["-m", program, *arguments], env, output.fileno(), pools=True)

    @property
    def pid(self) -> int:
        """Process ID of the trainer."""
        return self._process.pid

    def log(self) -> str:
        """What the command printed so far."""
        return self._log.read_text(errors="replace")

    def has_ended(self) -> bool:
        """Tell whether the command has ended by itself or by a signal."""
        return self._process.poll() is not None

    def wait_until(self, condition: Callable[[], bool], what: str, seconds: float = 300) -> None:
        """Wait for something to be true while the command runs."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert self._process.poll() is None, f"{self.arguments} ended before {what}:\n{self.log()}"
            assert time.monotonic() < deadline, f"waited {seconds} s for {what}:\n{self.log()}"
            time.sleep(0.02)

    def kill_where_held(self) -> None:
        """Wait until it stands where `World.held_at` has it stand, and end it by SIGKILL."""
        self.wait_where_held()
        self.kill(signal.SIGKILL)

    def wait_where_held(self) -> None:
        """Wait until it stands where `World.held_at` has it stand."""
        self.wait_until(self.held_file.exists, "the place where it is held")

    def let_go(self) -> None:
        """Let it go on from where it was held."""
        self.held_file.rename(self.held_file.with_name(self.held_file.name + LET_GO))

    def wait_for_log(self, text: str, seconds: float = 300) -> None:
        """Wait until the command has printed a text."""
        self.wait_until(lambda: text in self.log(), f"{text!r} in the log", seconds)

    def kill_a_worker(self) -> None:
        """Kill a worker of a pool that nnU-Net started, as the kernel does when memory runs out."""
        workers: list[int] = []

        def found() -> bool:
            workers.extend(_pool_workers(self.pid))
            return bool(workers)

        self.wait_until(found, "a pool of workers")
        # Stopped, it can't end by itself before the trainer notices that there is one.
        os.kill(workers[0], signal.SIGSTOP)
        time.sleep(2)
        os.kill(workers[0], signal.SIGKILL)

    def kill(self, number: signal.Signals = signal.SIGTERM) -> Ended:
        """Send a signal and return how the command ended; nothing that it started may be left."""
        children = descendants(self.pid)
        self._process.send_signal(number)
        ended = self.end(seconds=60)
        if number == signal.SIGKILL:
            # In the pod they die with PID 1.
            for pid in filter(_alive, children):
                with contextlib.suppress(ProcessLookupError):  # it ended by itself in between
                    os.kill(pid, signal.SIGKILL)
        else:
            assert not [pid for pid in children if _alive(pid)], "worker processes outlive the trainer"
        return ended

    def end(self, seconds: float = 900) -> Ended:
        """Wait for the command and return how it ended."""
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise AssertionError(f"{self.arguments} did not end in {seconds} s:\n{self.log()}") from None
        text = self._report.read_text() if self._report.exists() else '{"message": ""}'
        return Ended(code, TerminationReport.model_validate_json(text), self.log())


@functools.cache
def zygote() -> Zygote:
    """Return the process that trainers are forked from."""
    return Zygote(PRELOADED, READ_WHEN_LOADED)


def _pool_workers(pid: int) -> list[int]:
    """Return the processes that were spawned, and those that were forked by a child of the trainer for its pools."""
    found = []
    for child in descendants(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            command = Path(f"/proc/{child}/cmdline").read_bytes()
            parent = int(Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()[1])
            if b"multiprocessing.spawn" in command or (parent != pid and b"multiprocessing.resource" not in command):
                found.append(child)
    return found


def _alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@dataclass(frozen=True)
class World:
    """The mounts of a pod and the contract of a run."""

    root: Path
    contract: RunContract
    env: dict[str, str] = field(default_factory=dict)
    starts_anew: bool = False
    """Commands are started by exec, as in the pod, and not forked from a process with their libraries."""
    user: int | None = None
    """User, of group 0, as whom such commands run; None for the user of the tests."""

    def unvalidated(self) -> "World":
        """Return the same folders for the fold "all", which no validation follows: its pools take longer to start than
        a short training takes."""
        return self.but(folds=["all"])

    def anew(self) -> "World":
        """Return the same folders, whose commands are started as in the pod."""
        return replace(self, starts_anew=True)

    def copy(self, root: Path) -> "World":
        """Return the same world in another folder."""
        shutil.copytree(self.root, root, symlinks=True)
        return replace(self, root=root)

    def but(self, **changes: Any) -> "World":
        """Return the same folders with another contract."""
        content = json.loads(self.contract.model_dump_json(by_alias=True, exclude_none=True))
        return replace(self, contract=RunContract.model_validate(content | changes))

    def held_in(self, epoch: int | None) -> "World":
        """Return the same folders with a trainer class that stands still in an epoch (1 = first), or in none."""
        classes = self.root / "classes"
        classes.mkdir(exist_ok=True)
        (classes / "held.py").write_text(HELD)
        if not list(self.model.parent.glob("HeldTrainer__*")):
            # As if planned for that class.
            shutil.copytree(self.model, self.model.with_name("HeldTrainer__" + self.model.name.split("__", 1)[1]))
        world = self.with_env(nnUNet_extTrainer=str(classes), HELD_IN_EPOCH=str(epoch or ""))
        return world.but(trainerClass="HeldTrainer")

    def held_at(self, place: str) -> "World":
        """Return the same folders with a trainer that stands still at a file, see `tests.trainer.held`."""
        marker = self.root / "held"
        for file in (marker, marker.with_name(marker.name + LET_GO)):
            file.unlink(missing_ok=True)
        return self.with_env(**{HOLD_AT: place, HELD_FILE: str(marker)})

    def with_env(self, **variables: str) -> "World":
        """Return the same folders with more environment variables."""
        return replace(self, env=self.env | variables)

    def copying(self, **changes: Any) -> "World":
        """Return the same folders with a volume to which folds copy their data; `changes` of what is told of it."""
        (self.root / "nnunet/local").mkdir(exist_ok=True)
        order = {"medium": "Disk", "sizeLimit": 1 << 30, "limitedBy": f"{LOCAL_COPY_FIELD}.sizeLimit", **changes}
        return self.with_env(**{LOCAL_COPY_ENV: json.dumps(order)})

    @property
    def metrics_port(self) -> int:
        """The port of the metrics: one of its own, because tests share a network and may run side by side."""
        return _free_port(self.root)

    def start(self, *arguments: str) -> Command:
        """Start a command."""
        name = "-".join(arguments).strip("-")
        env = os.environ | self.env
        env |= {
            CONTRACT_ENV: self.contract.to_text(),
            ROOT_ENV: str(self.root),
            METRICS_PORT_ENV: str(self.metrics_port),
            TERMINATION_LOG_ENV: str(self.root / f"{name}-{self.contract.uid[:8]}.termination"),
        }
        return Command(arguments, env, self.root / f"{name}-{self.contract.uid[:8]}.log", self.starts_anew, self.user)

    def finish(self, *arguments: str, seconds: float = 900) -> Ended:
        """Run a command to its end."""
        return self.start(*arguments).end(seconds)

    def processes(self) -> list[int]:
        """Return the running processes that commands of this world started, also those whose parent is gone.

        The commands themselves, and what they fork, are among them only if they were started anew: in /proc a fork of
        the zygote has the zygote's environment.
        """
        mark = f"{ROOT_ENV}={self.root}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            # It may end any moment; the environment of a zombie is empty.
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
        return found

    @property
    def run(self) -> Path:
        """The run's folder."""
        return self.root / "nnunet/results" / self.contract.run_folder

    @property
    def model(self) -> Path:
        """The model folder."""
        (folder,) = (self.run / self.contract.dataset).glob(f"{self.contract.trainer_class}__*")
        return folder

    @property
    def first_fold(self) -> str:
        """The first of the contract's folds."""
        return self.contract.folds[0]

    def fold(self, fold: str | None = None) -> Path:
        """The folder of a fold, by default of the first."""
        return self.model / f"fold_{fold or self.first_fold}"

    def journal(self, fold: str | None = None) -> Journal:
        """The journal of a fold."""
        return read_journal(self.fold(fold)) if (self.fold(fold) / JOURNAL_FILE).exists() else Journal()

    def begun(self, epochs: int, fold: str | None = None) -> Callable[[], bool]:
        """Return a condition: so many epochs are begun."""
        return lambda: self.journal(fold).begun >= epochs


def make_world(root: Path, shape: tuple[int, int, int] = tiny_dataset.SHAPE, **contract: Any) -> World:
    """Return a world with the tiny dataset, not planned."""
    tiny_dataset.write_dataset(root / "nnunet/raw", shape=shape)
    for mount in ("preprocessed", "results"):
        (root / "nnunet" / mount).mkdir()
    return World(root, make_contract(**contract))


@functools.cache
def _free_port(root: Path) -> int:
    """Return a port for a world that is free now.

    It is neither one that the kernel hands out to connections, of which one may be taken before it is used, nor one of
    control planes (hack/localcluster/state.py), nor one that a test process beside this one takes meanwhile.
    """
    beside = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8
    for port in random.SystemRandom().sample(range(10_000 + beside, 20_000, 16), k=200):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("of 200 ports between 10000 and 20000 none is free")


def scrape(world: World, path: str = "/metrics") -> str:
    """Return the metrics of the trainer that runs, or what else it serves."""
    with urllib.request.urlopen(f"http://127.0.0.1:{world.metrics_port}{path}", timeout=10) as answer:
        text: str = answer.read().decode()
        return text


def truncate(path: Path) -> None:
    """Cut a file in half, as an interrupted write to it would."""
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
