"""The cells of the table: one task, one way to spend the budget, one seed."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hack.benchmarks.hardness.tasks import Task
from nnunet_api.schedule import EarlyStopping
from tests.support.networks import small_network

STANDARD_EPOCHS = 1000
"""The schedule that the defaults of early stopping are made for."""

NETWORK = small_network("2d", [48, 48], [8, 16, 32], convolutions=2, batch_size=4)
"""A network for a CPU: 15 ms for an iteration with nnU-Net's augmentation."""


@dataclass(frozen=True)
class Budget:
    """The full schedule of the table."""

    epochs: int = 200
    iterations: int = 40
    validation_iterations: int = 8


@dataclass(frozen=True)
class Arm:
    """A way to spend the budget."""

    name: str
    title: str
    share: float = 1.0
    """Length of the schedule as a share of the full one."""
    early_stopping: str = "Disabled"
    """Mode of the early-stopping rule."""
    as_long_as: str = ""
    """Arm whose trainings it is as long as, on average, in the place of a share: an arm is one way of training."""


ARMS = (
    Arm("full", "full budget"),
    Arm("half", "half of it, schedule scaled", share=0.5),
    Arm("quarter", "a quarter of it, schedule scaled", share=0.25),
    Arm("stop", "full, cut off at the plateau (Stop)", early_stopping="Stop"),
    Arm("matched", "as long as Stop was, schedule scaled", as_long_as="stop"),
    Arm("anneal", "full, annealed from the plateau (Anneal)", early_stopping="Anneal"),
)


FULL = "full"
"""The arm that the others are compared with."""


@dataclass(frozen=True)
class Cell:
    """One training of the table, and its evaluation."""

    task: Task
    arm: Arm
    seed: int
    budget: Budget
    length: int = 0
    """Epochs of the schedule where another arm decides them; 0: the arm's share of the budget."""

    @property
    def epochs(self) -> int:
        """Epochs of its schedule."""
        return self.length or max(1, round(self.budget.epochs * self.arm.share))

    @property
    def folder(self) -> str:
        """Folder of the task inside the table's: all that its cells share."""
        return f"{self.task.name}-{content_key(self.task)}"

    @property
    def name(self) -> str:
        """Name of the training."""
        return f"{self.arm.name}-{self.seed}"

    @property
    def uid(self) -> str:
        """Stands for the training's UID: other settings are another training."""
        return hashlib.sha256(json.dumps(self._settings(), sort_keys=True).encode()).hexdigest()

    @property
    def result(self) -> str:
        """File of the result inside the task's folder."""
        return f"results/{self.name}-{self.uid[:8]}.json"

    def rule(self) -> dict[str, Any]:
        """The early-stopping rule, its defaults scaled from the standard schedule to the table's."""
        scale = self.budget.epochs / STANDARD_EPOCHS
        defaults = EarlyStopping()
        return {
            "mode": self.arm.early_stopping,
            "patienceEpochs": max(1, round(defaults.patience_epochs * scale)),
            "minEpochs": max(1, round(defaults.min_epochs * scale)),
            "annealEpochs": max(1, round(defaults.anneal_epochs * scale)),
            "minDelta": defaults.min_delta,
        }

    def contract(self) -> dict[str, Any]:
        """The run contract, as far as it differs from that of the trainer's tests."""
        return {**self._settings(), "uid": self.uid}

    def _settings(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "dataset": self.task.dataset,
            "planning": {"configurations": {"2d_small": NETWORK}},
            "configuration": "2d_small",
            "folds": ["0"],
            "schedule": {
                "epochs": self.epochs,
                "iterationsPerEpoch": self.budget.iterations,
                "validationIterationsPerEpoch": self.budget.validation_iterations,
            },
            "earlyStopping": self.rule(),
            "seed": self.seed,
        }


def content_key(task: Task) -> str:
    """Return a hash of what a task's data follow from: its settings and the generator."""
    digest = hashlib.sha256(json.dumps(asdict(task), sort_keys=True).encode())
    for name in ("shapes.py", "tasks.py", "dataset.py"):
        digest.update(Path(__file__).with_name(name).read_bytes())
    return digest.hexdigest()[:8]
