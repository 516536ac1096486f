"""What a fold loads from its volumes runs nothing: neither its own checkpoint nor what is kept of preprocessed data."""

import pickle
from functools import cached_property
from pathlib import Path
from typing import Any

from nnunetv2.training.dataloading import nnunet_dataset
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.process.failures import TrainerError, said_by_torch, wrong_configuration
from nnunet_trainer.run.properties import Properties
from nnunet_trainer.run.restricted import load_restricted, only_known_loads, unknown_names, weighed

_PLAIN = "numbers, text, tensors and arrays of numbers or text"
_REFUSED = (pickle.UnpicklingError, TypeError, ValueError, AttributeError, LookupError)
"""What torch raises for what it refuses, and types of a class's own where they can't be made again."""
_OWN_TYPES = (
    "or name their types in its module by torch.serialization.add_safe_globals, if no more than data is in them"
)


class Guarded(nnUNetTrainer):  # type: ignore[misc]
    """Goes before a trainer class in the method resolution order, as `Control` does."""

    _weighing_due = 0
    """Bytes of the pickle in a checkpoint from which on its keys are weighed."""

    @cached_property
    def _properties(self) -> Properties:
        return Properties()

    def initialize(self, *args: Any, **kwargs: Any) -> Any:
        """Have the properties of cases read as data, before there are workers that do."""
        self._properties.read_by(nnunet_dataset)
        return super().initialize(*args, **kwargs)

    def run_training(self) -> None:
        """Train; where workers have ended because they refused a file, say so."""
        try:
            super().run_training()
        except Exception as error:
            if refused := self._properties.refused():
                raise refused from error
            raise

    def load_checkpoint(self, filename_or_checkpoint: Any) -> None:
        """Load all that is in a checkpoint. Raises TrainerError where there is what nobody vouches for.

        What is left out would be missing in the training, and nothing would tell.
        """
        if isinstance(filename_or_checkpoint, str) and (unknown := unknown_names(Path(filename_or_checkpoint))):
            raise TrainerError(
                ExitCode.CHECKPOINT_UNUSABLE,
                f"{filename_or_checkpoint} names {unknown}: a fold goes on from {_PLAIN} alone, as all else could run "
                "code. If somebody has changed the file, restore it from a backup or delete it, then suspend and "
                f"resume the training. If trainer class {type(self).__name__} keeps such objects in its checkpoints, "
                f"let it keep plain data, {_OWN_TYPES}",
            )
        with only_known_loads():
            super().load_checkpoint(filename_or_checkpoint)

    def save_checkpoint(self, filename: str) -> None:
        """Save; raise TrainerError for a checkpoint that can't be gone on from, and not days later.

        Each is asked for what it names, as a class may begin to keep something in the middle of a training, and its
        keys are weighed as they grow, while there is room yet. The first is loaded as well: a type may be known, and
        what is made of it refused.
        """
        super().save_checkpoint(filename)
        path = Path(filename)
        if not path.is_file():
            return
        try:
            kept = unknown_names(path)
            if not kept:
                if not self._weighing_due:
                    load_restricted(path)
                self._weighing_due = weighed(path, self._weighing_due)
        except _REFUSED as error:
            kept = f"what can't be loaded ({said_by_torch(error)})"
        if kept:
            raise wrong_configuration(
                f"trainer class {type(self).__name__} keeps {kept} in its checkpoints, and a fold goes on from "
                f"{_PLAIN} alone. Let it keep plain data, {_OWN_TYPES}"
            )
