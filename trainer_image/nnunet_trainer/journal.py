"""What has to outlive an attempt at a fold and is not in a checkpoint: attempts, lost epochs, the last facts."""

import logging
from pathlib import Path

from nnunet_operator.api.base import StatusModel
from nnunet_operator.api.contract import FoldFacts
from nnunet_trainer.files import write_atomically

log = logging.getLogger(__name__)

JOURNAL_FILE = "attempts.json"


class Journal(StatusModel):
    """The journal of a fold. Immutable: each event returns the next one."""

    attempts: int = 0
    """Times the trainer of the fold was started."""
    begun: int = 0
    """Epochs that are done or under way."""
    lost_epochs: int = 0
    """Epochs that were begun and had to be trained again."""
    facts: FoldFacts | None = None
    """State at the last finished epoch."""

    def attempt_started(self) -> "Journal":
        """Count an attempt."""
        return self.model_copy(update={"attempts": self.attempts + 1})

    def resumed(self, epoch: int) -> "Journal":
        """Count as lost what was begun beyond the `epoch` finished epochs of the checkpoint that was loaded."""
        lost = max(0, self.begun - epoch)
        return self.model_copy(update={"lost_epochs": self.lost_epochs + lost, "begun": epoch})

    def epoch_started(self, epoch: int) -> "Journal":
        """Note that the epoch (0 = first) is under way."""
        return self.model_copy(update={"begun": epoch + 1})

    def with_facts(self, facts: FoldFacts) -> "Journal":
        """Keep the state of the fold, with this journal's counts."""
        counts = {"attempts": self.attempts, "lost_epochs": self.lost_epochs}
        return self.model_copy(update={"facts": facts.model_copy(update=counts)})


def read_journal(folder: Path) -> Journal:
    """Return the journal of a fold's folder; an empty one where there is none or it can't be read."""
    path = folder / JOURNAL_FILE
    try:
        return Journal.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Journal()
    except ValueError as error:
        log.warning("%s can't be read, attempts are counted from 0: %s", path, error)
        return Journal()


def write_journal(folder: Path, journal: Journal, durable: bool = True) -> None:
    """Replace the journal of a fold's folder."""
    text = journal.model_dump_json(by_alias=True, exclude_none=True, indent=2)
    write_atomically(folder / JOURNAL_FILE, text + "\n", durable=durable)
