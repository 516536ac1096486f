"""Plain nnU-Net and the trainer by turns, on the same data with the same network, seed and settings.

Runs inside the trainer image: `python3 -m hack.benchmarks.trainer.sides --help`. Prints a line of JSON for each run.
"""

import argparse
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from nnunet_api.contract import CONTRACT_ENV
from nnunet_trainer.process.processes import descendants
from nnunet_trainer.run.paths import ROOT_ENV
from nnunet_trainer.run.report import TERMINATION_LOG_ENV
from tests.trainer.tiny_dataset import BENCHED
from tests.trainer.world import TINY_NETWORK, World, make_world

CLASS = "nnUNetTrainerBench"
CLASS_SOURCE = f"""
import os
import random

import numpy
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


class {CLASS}(nnUNetTrainer):
    def __init__(self, plans, configuration, fold, dataset_json, device=torch.device("cpu")):
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.num_epochs = int(os.environ["BENCH_EPOCHS"])
        self.num_iterations_per_epoch = int(os.environ["BENCH_ITERATIONS"])
        self.num_val_iterations_per_epoch = int(os.environ["BENCH_VALIDATION_ITERATIONS"])
        for seed in (random.seed, numpy.random.seed, torch.manual_seed):
            seed(0)
"""
"""nnU-Net's trainer with a schedule and a seed from outside. The trainer imposes the same schedule on it again."""
CONFIGURATION = "3d_bench"
FEATURES = [8, 16, 32]
"""With them and a patch of 32 x 32 x 32 an epoch of standard length takes some tens of seconds on a CPU."""
LAST_LINE = "Training done."
"""nnU-Net's line after the last epoch; what follows is the validation on full volumes."""
RUN_SECONDS = 3600.0
"""No run takes that long."""
LOOK_SECONDS = 0.25
_LOG_LINE = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+): (.*?)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Run:
    """What one run of one side came to."""

    side: str
    epoch_seconds: list[float]
    """From the beginning of each epoch to that of the next one: with everything, also its checkpoint."""
    between_seconds: list[float]
    """The part of it after the last batch: checkpoint, plot, journal."""
    peak_mib: float
    """Largest resident memory of the process and all below it while it trained."""
    losses: list[str]
    """Training losses as nnU-Net prints them."""


class Bench:
    """A planned dataset, and the two ways to train on it."""

    def __init__(self, root: Path, epochs: int, iterations: int, validation_iterations: int) -> None:
        schedule = {
            "epochs": epochs,
            "iterationsPerEpoch": iterations,
            "validationIterationsPerEpoch": validation_iterations,
        }
        architecture: Any = TINY_NETWORK["architecture"]
        arguments = architecture["arch_kwargs"] | {"features_per_stage": FEATURES}
        network = TINY_NETWORK | {
            "patch_size": [32, 32, 32],
            "architecture": architecture | {"arch_kwargs": arguments},
        }
        classes = root / "classes"
        classes.mkdir()
        (classes / "bench.py").write_text(CLASS_SOURCE)
        # The same for both: what is compared is the code, not who guesses a better number of workers.
        self._env = {
            "nnUNet_extTrainer": str(classes),
            "nnUNet_n_proc_DA": "0",
            "BENCH_EPOCHS": str(epochs),
            "BENCH_ITERATIONS": str(iterations),
            "BENCH_VALIDATION_ITERATIONS": str(validation_iterations),
        }
        self._world: World = make_world(
            root / "world",
            BENCHED,
            planning={"configurations": {CONFIGURATION: network}},
            configuration=CONFIGURATION,
            schedule=schedule,
            trainerClass=CLASS,
            processes=os.cpu_count() or 1,
        ).with_env(**self._env)
        self._root = root
        planned = self._world.finish("plan")
        assert planned.code == 0, planned.log

    def plain(self) -> Run:
        """Train as `nnUNetv2_train` does."""
        (data,) = (path.parent.parent for path in self._world.root.glob("nnunet/preprocessed/*/*/splits_final.json"))
        results = self._root / "plain"
        shutil.rmtree(results, ignore_errors=True)
        env = {"nnUNet_raw": str(self._world.root / "nnunet/raw"), "nnUNet_compile": "f"}
        env |= {"nnUNet_preprocessed": str(data), "nnUNet_results": str(results)}
        arguments = [self._world.contract.dataset, CONFIGURATION, "0", "-tr", CLASS, "-device", "cpu"]
        return self._follow("plain", ["nnunetv2.run.run_training", *arguments], env)

    def ours(self) -> Run:
        """Train as the operator's pods do."""
        shutil.rmtree(self._world.model / "fold_0", ignore_errors=True)
        env = {
            CONTRACT_ENV: self._world.contract.to_text(),
            ROOT_ENV: str(self._world.root),
            TERMINATION_LOG_ENV: str(self._root / "termination"),
        }
        return self._follow("ours", ["nnunet_trainer", "train", "--fold", "0"], env)

    def _follow(self, side: str, module: list[str], env: dict[str, str]) -> Run:
        """Run a module to the end of its last epoch, and end it there."""
        log = self._root / f"{side}.log"
        with log.open("wb") as output:
            command = [sys.executable, "-u", "-m", *module]
            process = subprocess.Popen(
                command, env=os.environ | self._env | env, stdout=output, stderr=subprocess.STDOUT
            )
        peak, deadline = 0.0, time.monotonic() + RUN_SECONDS
        while LAST_LINE not in (text := log.read_text(errors="replace")):
            assert process.poll() is None and time.monotonic() < deadline, f"{side} did not finish:\n{text}"
            peak = max(peak, rss_mib(process.pid))
            time.sleep(LOOK_SECONDS)
        for pid in (process.pid, *descendants(process.pid)):
            os.kill(pid, signal.SIGKILL)
        process.wait()
        return Run(side, epoch_seconds(text), between_seconds(text), peak, training_losses(text))


def epoch_seconds(log: str) -> list[float]:
    """Return how long each epoch took by nnU-Net's log, up to the beginning of the next one."""
    marks = [
        datetime.fromisoformat(moment)
        for moment, words in _LOG_LINE.findall(log)
        if re.fullmatch(r"Epoch \d+", words) or words.startswith(LAST_LINE)
    ]
    return [(after - before).total_seconds() for before, after in itertools.pairwise(marks)]


def between_seconds(log: str) -> list[float]:
    """Return the part of each epoch that nnU-Net's own "Epoch time" leaves out: what follows its last batch."""
    batches = [float(words.split()[2]) for _, words in _LOG_LINE.findall(log) if words.startswith("Epoch time:")]
    return [whole - part for whole, part in zip(epoch_seconds(log), batches, strict=True)]


def training_losses(log: str) -> list[str]:
    """Return the training loss of each epoch by nnU-Net's log."""
    return [words.split()[-1] for _, words in _LOG_LINE.findall(log) if words.startswith("train_loss")]


def rss_mib(pid: int) -> float:
    """Return the resident memory of a process and all below it."""
    pages = 0
    for process in (pid, *descendants(pid)):
        try:
            pages += int(Path(f"/proc/{process}/statm").read_text().split()[1])
        except OSError:
            # It has just ended.
            continue
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    """Run both sides by turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--iterations", type=int, required=True)
    parser.add_argument("--validation-iterations", type=int, required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), options.epochs, options.iterations, options.validation_iterations)
        for turn in range(options.rounds):
            sides: list[Callable[[], Run]] = [bench.plain, bench.ours]
            # A B, B A, ...: a machine that gets slower or faster favours nobody.
            for side in sides if turn % 2 == 0 else reversed(sides):
                print(json.dumps(asdict(side())), flush=True)


if __name__ == "__main__":
    main()
