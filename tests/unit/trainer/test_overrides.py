"""What a trainer class may take into its own hands, and what not. The classes are read, never run."""

from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from nnunet_trainer.training.overrides import IMPOSED, PARTS, overrides_of, own_epochs, problems, reserved_names


class Base:
    """Stands for nnUNetTrainer."""

    def __init__(self) -> None:
        self.current_epoch, self.num_epochs, self.initial_lr = 0, 1000, 0.01
        self.logger: Any = None
        self.optimizer: Any = None
        self.lr_scheduler: Any = None
        self.output_folder = ""

    def run_training(self) -> None: ...
    def on_train_start(self) -> None: ...
    def on_train_end(self) -> None: ...
    def on_epoch_start(self) -> None: ...
    def on_epoch_end(self) -> None: ...
    def on_train_epoch_start(self) -> None: ...
    def on_train_epoch_end(self, outputs: Any) -> None: ...
    def on_validation_epoch_end(self, outputs: Any) -> None: ...
    def save_checkpoint(self, filename: str) -> None: ...
    def load_checkpoint(self, filename: str) -> None: ...
    def configure_optimizers(self) -> Any: ...
    def perform_actual_validation(self, save_probabilities: bool = False) -> None: ...


class Paced(Base):
    """Stands for what control is built on."""

    _cpu_before: float | None = None

    @cached_property
    def _clock(self) -> object: ...

    def on_train_epoch_end(self, outputs: Any) -> None:
        self._computing = 0.0


class Control(Paced):
    """Stands for control."""

    _fold_run: Any

    def take_control(self) -> None:
        self._began = 0.0
        self.num_epochs = 3

    def on_epoch_end(self) -> None: ...


class Plain(Base):
    """Overrides nothing that matters."""

    def _build_loss(self) -> None: ...
    def train_step(self, batch: Any) -> None: ...


class Polite(Base):
    """Calls super() everywhere, in one way or another."""

    def __init__(self) -> None:
        super().__init__()
        self.num_epochs = 5 * 50

    def on_epoch_end(self) -> None:
        if self.current_epoch > 0:
            super().on_epoch_end()

    def on_train_end(self) -> None:
        Base.on_train_end(self)

    def save_checkpoint(self, filename: str) -> None:
        self._save_with_extras(filename)

    def _save_with_extras(self, filename: str) -> None:
        super().save_checkpoint(filename)

    def configure_optimizers(self) -> Any:
        def schedule() -> dict[str, int]:
            return {}

        return self.optimizer, schedule

    def run_training(self) -> None:
        try:
            super().run_training()
        except RuntimeError:
            self.on_train_end()
        except Exception:
            raise


class Thorough(Base):
    """Does everything itself, as nnU-Net would."""

    def on_epoch_end(self) -> None:
        self.logger.log("epoch_end_timestamps", 1.0, self.current_epoch)
        self.current_epoch += 1

    def on_train_epoch_start(self) -> None:
        self.lr_scheduler.step(self.current_epoch)
        self.logger.log("lrs", 1.0, self.current_epoch)

    def on_train_end(self) -> None:
        self.save_checkpoint(f"{self.output_folder}/checkpoint_final.pth")

    def load_checkpoint(self, filename: str) -> None:
        content: Any = {}
        self.current_epoch = content["current_epoch"]
        self.logger.load_checkpoint(content["logging"])


class Uncounted(Base):
    def on_epoch_end(self) -> None:
        self.logger.log("epoch_end_timestamps", 1.0, self.current_epoch)


class Unsaved(Base):
    def save_checkpoint(self, filename: str) -> None:
        pass


class ChildOfUnsaved(Unsaved):
    """Its own method is in order and hands over to one that is not."""

    def save_checkpoint(self, filename: str) -> None:
        super().save_checkpoint(filename)


class Mended(Unsaved):
    """Passes over the method that is not in order."""

    def save_checkpoint(self, filename: str) -> None:
        Base.save_checkpoint(self, filename)


class OwnLoop(Base):
    def run_training(self) -> None:
        self.on_train_start()
        for _ in range(self.num_epochs):
            self.on_epoch_start()
            self.on_train_epoch_start()
            self.on_train_epoch_end([])
            self.on_epoch_end()
        self.on_train_end()


class Swallows(Base):
    def run_training(self) -> None:
        try:
            super().run_training()
        except (KeyError, Exception) as error:
            print(error)


class NoScheduler(Base):
    def configure_optimizers(self) -> Any:
        return {"optimizer": self.optimizer}


class ReturnsNothing(Base):
    def configure_optimizers(self) -> Any:
        self.optimizer = 1


class LateEpochs(Base):
    def on_train_start(self) -> None:
        super().on_train_start()
        self.num_epochs = 500


class NoInit(Base):
    def __init__(self) -> None:
        self.num_epochs = 3


class Computed(Base):
    num_epochs = property(lambda self: 3)


class TakenName(Base):
    def train_step(self, batch: Any) -> None:
        self._began = 3


class TakenMethod(Base):
    def take_control(self) -> None: ...


class TakenClock(Base):
    def on_train_epoch_start(self) -> None:
        super().on_train_epoch_start()
        self._clock = 1.0


class NoValidation(Base):
    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        pass


RESERVED = reserved_names(Control, Base)


def test_names_that_control_needs() -> None:
    assert {"_fold_run", "_began", "take_control", "_cpu_before", "_clock", "_computing"} == RESERVED


@pytest.mark.parametrize("trainer", [Base, Plain, Polite, Thorough, Mended])
def test_classes_that_leave_control_its_part(trainer: type) -> None:
    assert problems(overrides_of(trainer, Base), RESERVED) == []


@pytest.mark.parametrize(
    ("trainer", "says"),
    [
        (Uncounted, ["Uncounted.on_epoch_end (", "self.current_epoch = ...", "epochs are not counted"]),
        (Unsaved, ["Unsaved.save_checkpoint (", '"network_weights"', "can't go on", "Call super().save_checkpoint()"]),
        (ChildOfUnsaved, ["Unsaved.save_checkpoint ("]),
        (OwnLoop, ["OwnLoop.run_training (", "self.on_validation_epoch_end()"]),
        (Swallows, ["Swallows.run_training (", "catches every exception"]),
        (NoScheduler, ["NoScheduler.configure_optimizers (", "returns {'optimizer': self.optimizer}"]),
        (ReturnsNothing, ["returns nothing and must return an optimizer and"]),
        (LateEpochs, ["LateEpochs.on_train_start (", "sets num_epochs", "in __init__"]),
        (NoInit, ["NoInit.__init__ (", "does not call super().__init__(): nothing"]),
        (Computed, ["Computed makes a property of num_epochs"]),
        (TakenName, ["TakenName uses the name _began"]),
        (TakenClock, ["TakenClock uses the name _clock"]),
        (TakenMethod, ["TakenMethod uses the name take_control"]),
        (NoValidation, ["NoValidation.perform_actual_validation (", '"summary.json"']),
    ],
)
def test_classes_that_do_not(trainer: type, says: list[str]) -> None:
    (found,) = problems(overrides_of(trainer, Base), RESERVED)
    for text in says:
        assert text in found, found
    assert "test_overrides.py:" in found or "(" not in says[0]


def test_what_has_no_source_is_told() -> None:
    hidden: dict[str, Any] = {}
    exec("def on_epoch_end(self): pass\ndef train_step(self): pass", hidden)  # noqa: S102 - has no file
    trainer = type("Hidden", (Base,), {name: hidden[name] for name in ("on_epoch_end", "train_step")})
    found = overrides_of(trainer, Base)
    assert found.hidden == ["Hidden.on_epoch_end"]
    assert problems(found, RESERVED) == []


@pytest.mark.parametrize(("trainer", "epochs"), [(Plain, None), (Polite, "5 * 50"), (LateEpochs, None)])
def test_epochs_of_the_class_itself(trainer: type, epochs: str | None) -> None:
    assert own_epochs(overrides_of(trainer, Base)) == epochs


def test_the_guide_names_every_part() -> None:
    page = (Path(__file__).parents[3] / "docs/user-guide/custom-trainers.md").read_text()
    for name, part in PARTS.items():
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{name}` |")]
        for word in part.calls | part.assigns | (part.texts if len(part.texts) < 4 else set()):
            assert word in row, (name, word)
    assert all(f"`{name}`" in page for name in IMPOSED)
