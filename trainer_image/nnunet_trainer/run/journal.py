"""What has to outlive an attempt at a fold and is not in a checkpoint: attempts, lost epochs, time, the last facts."""

import logging
from pathlib import Path

from nnunet_api.base import StatusModel
from nnunet_api.facts import FoldFacts
from nnunet_trainer.process.files import read_text, write_atomically
from nnunet_trainer.run.fence import Fence

OWNER_KEY = "nnunet_training"
"""Among the arguments of the trainer that a checkpoint holds: UID of its training, and its fold's run by name."""
ITERATIONS_KEY = "iterations"
"""Beside them: training iterations of the epoch that had the fewest."""
LEARNT_KEY = "learntFrom"
"""Beside them, of a cascade: hash of the checkpoints of its previous stage."""

log = logging.getLogger(__name__)

JOURNAL_FILE = "attempts.json"


class Journal(StatusModel):
    """The journal of a fold. Immutable: each event returns the next one. Times are Unix times of the node's clock."""

    uid: str = ""
    """UID of the training whose fold this is."""
    attempts: int = 0
    """Times the trainer of the fold was started."""
    begun: int = 0
    """Epochs that are done or under way."""
    lost_epochs: int = 0
    """Epochs that were begun and had to be trained again."""
    floor: int = 0
    """Finished epochs before which the early-stopping rule does not act, by the policies."""
    earlier_seconds: float = 0
    """Running time of all attempts before this one."""
    lost_seconds: float = 0
    """Part of it whose work was lost."""
    began: float | None = None
    """When this attempt was started."""
    saved: float | None = None
    """When this attempt last made its work durable; its start, as long as it has not."""
    facts: FoldFacts | None = None
    """State at the last finished epoch."""

    def attempt_started(self, now: float, last_sign: float | None = None) -> "Journal":
        """Count an attempt, and the time of the one before, of which `last_sign` is the last sign of life."""
        update = {"attempts": self.attempts + 1, "began": now, "saved": now}
        if self.began is None or self.saved is None:
            return self.model_copy(update=update)
        end = max(self.began, self.saved, last_sign or 0)
        lost = 0.0 if self._was_validating else end - self.saved
        return self.model_copy(
            update=update
            | {
                "earlier_seconds": self.earlier_seconds + end - self.began,
                "lost_seconds": self.lost_seconds + lost,
            }
        )

    @property
    def _was_validating(self) -> bool:
        """Tell whether all epochs were trained: what came then is the validation, whose predictions are kept."""
        return self.facts is not None and self.begun == self.facts.epoch >= self.facts.planned_end

    def resumed(self, epoch: int) -> "Journal":
        """Count as lost what was begun beyond the `epoch` finished epochs of the checkpoint that was loaded."""
        lost = max(0, self.begun - epoch)
        return self.model_copy(update={"lost_epochs": self.lost_epochs + lost, "begun": epoch})

    def with_floor(self, asked: int, finished: int) -> "Journal":
        """Take over what the policies ask for now, with the `finished` epochs of the checkpoint that was loaded.

        It may be less than before. What the rule was kept from until now can't be made up for: a plateau that lies
        behind ended nothing, and no learning rate went down from there. So the rule acts from now on.
        """
        return self.model_copy(update={"floor": max(asked, min(self.floor, finished))})

    def epoch_started(self, epoch: int) -> "Journal":
        """Note that the epoch (0 = first) is under way."""
        return self.model_copy(update={"begun": epoch + 1})

    def durable(self, now: float) -> "Journal":
        """Note that all work so far is on disk."""
        return self.model_copy(update={"saved": now})

    @property
    def held_seconds(self) -> float:
        """Running time of all attempts, of this one up to where its work was last made durable."""
        held = self.earlier_seconds
        if self.began is not None and self.saved is not None:
            held += max(0.0, self.saved - self.began)
        return round(held, 1)

    def with_facts(self, facts: FoldFacts) -> "Journal":
        """Keep the state of the fold, with this journal's counts and times."""
        counts = {
            "attempts": self.attempts,
            "lost_epochs": self.lost_epochs,
            "held_seconds": self.held_seconds,
            "lost_seconds": round(self.lost_seconds, 1),
        }
        return self.model_copy(update={"facts": facts.model_copy(update=counts)})


def read_journal(folder: Path) -> Journal:
    """Return the journal of a fold's folder; an empty one where there is none or it can't be read."""
    path = folder / JOURNAL_FILE
    try:
        return Journal.model_validate_json(read_text(path))
    except FileNotFoundError:
        return Journal()
    except ValueError as error:
        log.warning("%s can't be read, attempts are counted from 0: %s", path, error)
        return Journal()


def write_journal(folder: Path, journal: Journal, durable: bool = True, fence: Fence | None = None) -> None:
    """Replace the journal of a folder, by the right of an attempt where several may want to."""
    path = folder / JOURNAL_FILE
    text = journal.model_dump_json(by_alias=True, exclude_none=True, indent=2) + "\n"
    if fence is None:
        write_atomically(path, text, durable=durable)
    else:
        fence.write(path, text, durable)
