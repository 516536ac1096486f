"""The trainer class of the benchmark: it splits each epoch into parts by looks at two clocks, on both sides alike.

It is handed to nnU-Net as the text of this file, and imports nothing of this project.
"""

import json
import os
import random
import time
from pathlib import Path
from typing import Any

import numpy
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

FOLDER, ITERATIONS, VALIDATION_ITERATIONS = "BENCH_FOLDER", "BENCH_ITERATIONS", "BENCH_VALIDATION_ITERATIONS"
LOOK_SECONDS = 0.02


class Watch:
    """Adds what passed since the last look to the part of the epoch that ends: time by the clock, and of the CPU."""

    def __init__(self, trainer: Any, folder: Path) -> None:
        self._trainer, self._folder = trainer, folder
        self._epoch = 0
        self._validates = True
        self._looked: tuple[float, float] | None = None
        self._parts: dict[str, list[float]] = {}

    def ends(self, part: str) -> None:
        """A part ends, another begins."""
        now = time.perf_counter(), time.process_time()
        if self._looked is not None:
            known = self._parts.setdefault(part, [0.0, 0.0])
            for number in (0, 1):
                known[number] += now[number] - self._looked[number]
        self._looked = now

    def asked(self, trains: bool) -> None:
        """A batch is asked for; the first one after a validation is that of the next epoch."""
        if trains and self._validates:
            self.ends("between")
            self._hand_over()
            # It waits for its turn, which is nobody's time.
            self._looked = None
        self.ends("hooks")
        self._validates = not trains

    def _hand_over(self) -> None:
        """Tell what the epoch before took, and wait until this side may go on."""
        if "steps" in self._parts:
            loss = repr(float(self._trainer.logger.get_value("train_losses", step=None)[-1]))
            done = self._folder / f"done-{self._epoch}"
            done.with_name("part").write_text(json.dumps({"parts": self._parts, "loss": loss}))
            done.with_name("part").rename(done)
            self._epoch += 1
        self._parts = {}
        while not (self._folder / f"go-{self._epoch}").exists():
            time.sleep(LOOK_SECONDS)


def watched(loader: Any, watch: Watch, trains: bool) -> None:
    """Let a source of batches look at the clocks. It stays of its type, which nnU-Net and others ask for."""
    kind = type(loader)

    def following(self: Any) -> Any:
        watch.asked(trains)
        batch = kind.__next__(self)
        watch.ends("batches")
        return batch

    loader.__class__ = type(kind.__name__, (kind,), {"__next__": following})


class nnUNetTrainerBench(nnUNetTrainer):  # type: ignore[misc]
    """nnU-Net's trainer with a seed, and lengths of an epoch, from outside."""

    def __init__(self, plans: Any, configuration: Any, fold: Any, dataset_json: Any, device: Any) -> None:
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.num_iterations_per_epoch = int(os.environ[ITERATIONS])
        self.num_val_iterations_per_epoch = int(os.environ[VALIDATION_ITERATIONS])
        for seed in (random.seed, numpy.random.seed, torch.manual_seed):
            seed(0)

    def on_train_start(self) -> None:
        """Begin to watch."""
        super().on_train_start()
        # Threads that wait for one another compute meanwhile, by what else the machine does.
        torch.set_num_threads(1)
        self.bench_watch = Watch(self, Path(os.environ[FOLDER]))
        watched(self.dataloader_train, self.bench_watch, trains=True)
        watched(self.dataloader_val, self.bench_watch, trains=False)

    def train_step(self, batch: Any) -> Any:
        """Make a step."""
        self.bench_watch.ends("hooks")
        result = super().train_step(batch)
        self.bench_watch.ends("steps")
        return result

    def validation_step(self, batch: Any) -> Any:
        """Make a step."""
        self.bench_watch.ends("hooks")
        result = super().validation_step(batch)
        self.bench_watch.ends("steps")
        return result
