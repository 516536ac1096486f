"""Trainings of the check: plain nnU-Net's and the trainer's, with the same network, data and schedule."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from hack.benchmarks.gpu.report import Run
from hack.benchmarks.trainer.logs import LAST_LINE, between_seconds, epoch_seconds, rss_mib, training_losses
from nnunet_api.contract import CONTRACT_ENV
from nnunet_trainer.process.processes import descendants
from nnunet_trainer.run.paths import ROOT_ENV
from nnunet_trainer.run.report import TERMINATION_LOG_ENV
from nnunet_trainer.run.serving import METRICS_PORT_ENV
from tests.support.networks import small_network
from tests.trainer import tiny_dataset
from tests.trainer.world import World, make_contract

CLASS = "nnUNetTrainerChecked"
CLASS_SOURCE = f"""
import os
import random
import time

import numpy
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


class {CLASS}(nnUNetTrainer):
    def __init__(self, plans, configuration, fold, dataset_json, device=torch.device("cuda")):
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.num_epochs = int(os.environ["CHECK_EPOCHS"])
        self.num_iterations_per_epoch = int(os.environ["CHECK_ITERATIONS"])
        self.num_val_iterations_per_epoch = 2
        for seed in (random.seed, numpy.random.seed, torch.manual_seed):
            seed(0)

    def on_train_epoch_start(self):
        super().on_train_epoch_start()
        self.data_wait, self.step_ended = 0.0, time.perf_counter()

    def train_step(self, batch):
        self.data_wait += time.perf_counter() - self.step_ended
        result = super().train_step(batch)
        self.step_ended = time.perf_counter()
        return result

    def on_train_epoch_end(self, train_outputs):
        self.print_to_log_file(f"waited for data: {{self.data_wait}} s")
        super().on_train_epoch_end(train_outputs)
"""
"""Both sides train with it. nnU-Net takes the loss from the GPU in each step, so what is between steps is the wait."""
CONFIGURATION = "3d_checked"
CUDA, CPU = "cuda", "cpu"
LOOK_SECONDS = 0.25
_WAITED = re.compile(r"waited for data: ([\d.e-]+) s")


@dataclass(frozen=True)
class Size:
    """How large everything is."""

    shape: tuple[int, int, int]
    """Voxels of a case."""
    patch: tuple[int, int, int]
    features: tuple[int, ...]
    convolutions: int
    iterations: int
    epochs: int = 3


SIZES = {
    # What nnU-Net plans for 3d_fullres with 8 GB: 31 M parameters.
    CUDA: Size((144, 144, 144), (128, 128, 128), (32, 64, 128, 256, 320, 320), 2, iterations=25),
    CPU: Size(tiny_dataset.SHAPE, (16, 16, 16), (4, 8, 8), 1, iterations=5, epochs=2),
}


class Late(Exception):
    """No time is left."""


class Process(Protocol):
    """A training that runs: the part of `subprocess.Popen` that the check needs."""

    pid: int

    def poll(self) -> int | None:
        """Return its exit code, None while it runs."""

    def wait(self) -> int:
        """Return its exit code when it has ended."""


Start = Callable[[Sequence[str], Mapping[str, str], Path], Process]
"""Starts a command in an environment, in a session of its own, with a file for what it prints."""


def start_anew(command: Sequence[str], env: Mapping[str, str], log: Path) -> Process:
    """Start a program as people start it."""
    with log.open("wb") as output:
        return subprocess.Popen(command, env=env, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)


class Trainings:
    """A planned dataset to train on."""

    def __init__(self, root: Path, device: str, size: Size, deadline: float, start: Start = start_anew) -> None:
        """Write the dataset. `deadline` is the moment on the monotonic clock at which `Late` is raised."""
        self._start_by = start
        classes = root / "classes"
        classes.mkdir()
        (classes / "checked.py").write_text(CLASS_SOURCE)
        self._root, self._device, self._size, self._deadline = root, device, size, deadline
        self._env = {
            "nnUNet_extTrainer": str(classes),
            "CHECK_EPOCHS": str(size.epochs),
            "CHECK_ITERATIONS": str(size.iterations),
        }
        world = root / "world"
        tiny_dataset.write_dataset(world / "nnunet/raw", test=0, shape=size.shape)
        for mount in ("preprocessed", "results"):
            (world / "nnunet" / mount).mkdir()
        network = small_network("3d_fullres", size.patch, size.features, size.convolutions)
        processes = os.cpu_count() or 1
        self._world = World(
            world,
            make_contract(
                planning={"configurations": {CONFIGURATION: network}},
                configuration=CONFIGURATION,
                folds=["0"],
                schedule={
                    "epochs": size.epochs,
                    "iterationsPerEpoch": size.iterations,
                    "validationIterationsPerEpoch": 2,
                },
                trainerClass=CLASS,
                testSet=None,
                device=device,
                processes=min(processes, 8) if device == CUDA else 1,
            ),
        )

    @property
    def same_batches(self) -> bool:
        """Tell whether trainings without a seed have the same batches in the same order: no worker makes them."""
        return self._workers() == "0"

    def plan(self) -> None:
        """Plan and preprocess, by the trainer."""
        self._ended("plan", [sys.executable, "-m", "nnunet_trainer", "plan"], self._ours(self._world))

    def plain(self, compiled: bool = False) -> Run:
        """Train by `nnUNetv2_train`."""
        (data,) = (path.parent.parent for path in self._world.root.glob("nnunet/preprocessed/*/*/splits_final.json"))
        results = self._root / "plain"
        shutil.rmtree(results, ignore_errors=True)
        env = {
            "nnUNet_raw": str(self._world.root / "nnunet/raw"),
            "nnUNet_preprocessed": str(data),
            "nnUNet_results": str(results),
            "nnUNet_n_proc_DA": self._workers(),
            "OMP_NUM_THREADS": "1",
        }
        command = [str(Path(sys.prefix, "bin", "nnUNetv2_train")), self._world.contract.dataset, CONFIGURATION, "0"]
        command += ["-tr", CLASS, "-device", self._device]
        return self._followed("plain", [sys.executable, *command], env | _compile(compiled))

    def trainer(self, compiled: bool = False, **contract: Any) -> Run:
        """Train by the trainer, under a contract with these changes."""
        world = self._fresh(**contract)
        command = [sys.executable, "-m", "nnunet_trainer", "train", "--fold", "0"]
        return self._followed("trainer", command, self._ours(world) | _compile(compiled))

    def killed(self, **contract: Any) -> Run:
        """Train by the trainer, which is killed in its last epoch and goes on; the losses are those of all epochs."""
        world = self._fresh(**contract)
        command = [sys.executable, "-m", "nnunet_trainer", "train", "--fold", "0"]
        env = self._ours(world) | _compile(False)
        last = f"Epoch {self._size.epochs - 1}"
        before = self._followed("killed", command, env, until=lambda log: bool(re.search(rf": {last}\s*$", log, re.M)))
        after = self._followed("resumed", command, env)
        # Where an epoch is short, its loss may be told before it is killed. It is trained again all the same.
        losses = [*before.losses[: self._size.epochs - 1], *after.losses]
        return Run(after.epoch_seconds, after.after_seconds, after.wait_seconds, losses, after.peak_mib)

    def _workers(self) -> str:
        """Return the workers for augmentation that the trainer takes by itself."""
        from nnunet_api.data_feed import augmentation_workers

        return str(augmentation_workers(self._world.contract.processes))

    def _fresh(self, **contract: Any) -> World:
        world = self._world.but(**contract)
        shutil.rmtree(world.fold(), ignore_errors=True)
        return world

    def _ours(self, world: World) -> dict[str, str]:
        return {
            CONTRACT_ENV: world.contract.to_text(),
            ROOT_ENV: str(world.root),
            TERMINATION_LOG_ENV: str(self._root / "termination"),
            METRICS_PORT_ENV: str(world.metrics_port),
        }

    def _ended(self, name: str, command: Sequence[str], env: Mapping[str, str]) -> None:
        log = self._root / f"{name}.log"
        process = self._start(log, command, env)
        while (code := process.poll()) is None:
            self._require_time(process)
            time.sleep(LOOK_SECONDS)
        if code != 0:
            raise RuntimeError(f"{name} ended with exit code {code}:\n{_end_of(log)}")

    def _followed(
        self,
        name: str,
        command: Sequence[str],
        env: Mapping[str, str],
        until: Callable[[str], bool] = lambda log: LAST_LINE in log,
    ) -> Run:
        """Run a training to the end of its last epoch or to what `until` finds in its log, and kill it there."""
        log = self._root / f"{name}.log"
        idle = gpu_mib() if self._device == CUDA else 0.0
        process = self._start(log, command, env)
        peak = 0.0
        while not until(text := log.read_text(errors="replace")):
            if (code := process.poll()) is not None:
                raise RuntimeError(f"{name} ended with exit code {code}:\n{_end_of(log)}")
            self._require_time(process)
            peak = max(peak, gpu_mib() - idle if self._device == CUDA else rss_mib(process.pid))
            time.sleep(LOOK_SECONDS)
        _kill(process)
        losses = [float(loss) for loss in training_losses(text)]
        waited = [float(found) for found in _WAITED.findall(text)]
        whole = epoch_seconds(text) if LAST_LINE in text else []
        # Of several processes each prints its own epoch time.
        after = between_seconds(text) if len(whole) == len(losses) == text.count("Epoch time:") else []
        return Run(whole, after, waited, losses, peak)

    def _start(self, log: Path, command: Sequence[str], env: Mapping[str, str]) -> Process:
        return self._start_by(command, {**os.environ, **self._env, **env}, log)

    def _require_time(self, process: Process) -> None:
        if time.monotonic() > self._deadline:
            _kill(process)
            raise Late


def _compile(on: bool) -> dict[str, str]:
    return {"nnUNet_compile": "t" if on else "f"}


def _end_of(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])


def _kill(process: Process) -> None:
    for pid in (*descendants(process.pid), process.pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.wait()


def gpu_mib() -> float:
    """Return the memory in use on all GPUs."""
    command = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return sum(float(line) for line in done.stdout.split())
