"""A trainer that tests hold where they want it, so that what they do to it always meets the epoch that they mean."""

import os
import time
from pathlib import Path

from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


class HeldTrainer(nnUNetTrainer):  # type: ignore[misc]
    """Stands still before the epoch (1 = first) that the file `hold` in the run's folder names; at 0 before none.

    Until there is such a file, HOLD_BEFORE_EPOCH says it: the folder is known only when the training is.
    """

    def on_train_epoch_start(self) -> None:
        super().on_train_epoch_start()
        file = Path(self.output_folder).parents[2] / "hold"
        while 0 < self._held_before(file) <= self.current_epoch + 1:
            time.sleep(0.05)

    @staticmethod
    def _held_before(file: Path) -> int:
        try:
            return int(file.read_text())
        except FileNotFoundError:
            return int(os.environ.get("HOLD_BEFORE_EPOCH") or 0)
