"""Measures where the time of an epoch goes, by a few looks at the clock between nnU-Net's own steps.

Nothing of the training is touched: no batch is drawn, no step is made and no random number taken for it. A step ends
with the loss on the CPU, so the GPU has done all its work by then. What passes until the next step begins is time in
which it has nothing to do, and the step itself is how long an iteration takes on data that is there.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from batchgenerators.dataloading.single_threaded_augmenter import SingleThreadedAugmenter
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_trainer.process import compiling
from nnunet_trainer.process.processes import cpu_seconds
from nnunet_trainer.run.epoch_clock import EpochClock
from nnunet_trainer.run.epoch_times import EpochTime
from nnunet_trainer.run.metrics import never_fail


class Paced(nnUNetTrainer):  # type: ignore[misc]
    """Goes before a trainer class in the method resolution order, as `Control` does, and only looks at the clock."""

    dataloader_train: Any
    _cpu_before: float | None = None
    _computing = 0.0

    @cached_property
    def _clock(self) -> EpochClock:
        return EpochClock()

    def on_train_epoch_start(self, *args: Any, **kwargs: Any) -> Any:
        """Note that the training iterations begin."""
        result = super().on_train_epoch_start(*args, **kwargs)
        self._cpu_before = self._cpu_of_workers()
        self._clock.trains(True)
        self._clock.free(busy=self._device_is_busy())
        return result

    def train_step(self, *args: Any, **kwargs: Any) -> Any:
        """Note how long its batch was waited for."""
        return self._fed(super().train_step, *args, **kwargs)

    def on_train_epoch_end(self, *args: Any, **kwargs: Any) -> Any:
        """Note that the training iterations have ended."""
        self._clock.trains(False)
        before, after = self._cpu_before, self._cpu_of_workers()
        self._computing = max(0.0, after - before) if before is not None and after is not None else 0.0
        return super().on_train_epoch_end(*args, **kwargs)

    def on_validation_epoch_start(self, *args: Any, **kwargs: Any) -> Any:
        """Note that the first batch of the validation is waited for."""
        result = super().on_validation_epoch_start(*args, **kwargs)
        self._clock.free(busy=self._device_is_busy())
        return result

    def validation_step(self, *args: Any, **kwargs: Any) -> Any:
        """Note how long its batch was waited for."""
        return self._fed(super().validation_step, *args, **kwargs)

    def _fed(self, step: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Make a step that has its batch, and note that the next one is waited for then."""
        self._clock.fed()
        result = step(*args, **kwargs)
        self._clock.free(busy=self._device_is_busy())
        return result

    def _end_of_epoch(self) -> EpochTime:
        return replace(self._clock.end(self._workers(), self._computing), compiling=compiling.seconds())

    def _device_is_busy(self) -> bool:
        """Tell whether a step has come back before its GPU was done. nnU-Net's own does not, that of a class might.

        What is waited for then is not counted: too little is told rather than too much.
        """
        return self.device.type == "cuda" and not torch.cuda.current_stream(self.device).query()

    def _workers(self) -> int | None:
        """Return the processes that augment training batches; None where a class draws them in a way of its own."""
        if isinstance(self.dataloader_train, SingleThreadedAugmenter):
            return 0
        return getattr(self.dataloader_train, "num_processes", None)

    def _cpu_of_workers(self) -> float | None:
        with never_fail("reading the CPU time of the workers"):
            processes = getattr(self.dataloader_train, "_processes", None) or ()
            return cpu_seconds(process.pid for process in processes)
        return None
