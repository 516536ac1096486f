"""The learning rate of each epoch, in the place of a trainer class's own scheduler where the contract asks for it."""

from collections.abc import Callable
from typing import Any

STANDARD_LEARNING_RATE = 1e-2
"""What nnUNetTrainer.__init__ sets."""


class RateSchedule:
    """Sets the learning rate that `rate` gives for an epoch; where it gives none, the class's own scheduler does."""

    def __init__(self, optimizer: Any, own: Any, rate: Callable[[int], float | None]) -> None:
        self._optimizer, self._own, self._rate = optimizer, own, rate

    def step(self, current_step: int) -> None:
        """Set the learning rate of an epoch (0 = first). nnU-Net calls nothing else."""
        rate = self._rate(current_step)
        if rate is None:
            self._own.step(current_step)
            return
        for group in self._optimizer.param_groups:
            group["lr"] = rate

    def __getattr__(self, name: str) -> Any:
        """Hand everything else that a trainer class may ask for on to its own scheduler."""
        return getattr(self._own, name)
