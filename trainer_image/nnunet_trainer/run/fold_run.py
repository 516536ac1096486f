"""One attempt at one fold, as seen from outside: journal, metrics, report. No torch in here."""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from nnunet_api.contract import RunContract, TerminationReport
from nnunet_api.facts import OF_ATTEMPT, FoldFacts, FoldProvenance, ServedFacts
from nnunet_api.local_copy import CopyFacts
from nnunet_api.words import counted
from nnunet_trainer.run.epoch_times import EpochTime, stated
from nnunet_trainer.run.fence import Fence
from nnunet_trainer.run.journal import LEARNT_KEY, read_journal, write_journal
from nnunet_trainer.run.metrics import FoldMetrics
from nnunet_trainer.run.pulse import Pulse


class FoldRun:
    """Keeps journal, metrics and the fold's facts in step."""

    def __init__(
        self,
        contract: RunContract,
        fold: str,
        folder: Path,
        metrics: FoldMetrics,
        *,
        replicate: int = 1,
        follows: Fence | None = None,
    ) -> None:
        """`fold` is nnU-Net's name of it.

        Of several processes that train one fold, one leads: it alone writes, save for the segmentations of the
        validation. The others follow it, by its right to do so.
        """
        self.contract = contract
        self.fold = fold
        self.replicate = replicate
        self.name = contract.fold_key(fold, replicate).name
        self.folder = folder
        self.metrics = metrics
        self.leads = follows is None
        self.learnt_from: str | None = None
        """Of a cascade: hash of the checkpoints of its previous stage, on whose predictions it learns."""
        self.passed_over: list[str] = []
        """Checkpoints that this attempt found damaged."""
        self.provenance: FoldProvenance | None = None
        self.torch_compile: str | None = None
        """Whether the network is compiled, in words; unknown until it is made."""
        self.local_copy: CopyFacts | None = None
        """How far this attempt's copy of the preprocessed data is, where one is asked for."""
        self.data_read_from: str | None = None
        """Where nnU-Net reads from, where a copy is asked for."""
        self.split: Mapping[str, Sequence[str]] | None = None
        """train and val, where the run has splits of its own; None where nnU-Net finds them itself."""
        self._times: list[EpochTime] = []
        self._fence = follows
        self._pulse = Pulse(folder)
        self._journal = read_journal(folder)
        blank = FoldFacts(fold=self.name, epoch=0, epochs_target=contract.schedule.epochs)
        self.copy_before = self._journal.facts.local_copy if self._journal.facts else None
        """How far the copy of the attempt before was."""
        # These are of this attempt: those of the one before would look as if nothing had been done since.
        of_attempt = dict.fromkeys(("last_epoch_time", "local_copy", *OF_ATTEMPT))
        self.facts = (self._journal.facts or blank).model_copy(update=of_attempt)
        metrics.set_facts(self.facts)

    def served(self) -> ServedFacts:
        """Return what the operator reads while the attempt runs."""
        return ServedFacts(uid=self.contract.uid, facts=self.facts)

    @property
    def owner(self) -> dict[str, str]:
        """Whose checkpoints they are, as they say themselves."""
        learnt = {LEARNT_KEY: self.learnt_from} if self.learnt_from else {}
        return {"uid": self.contract.uid, "fold": self.name, **learnt}

    @property
    def seed(self) -> int | None:
        """Seed of this fold's run, if there is one."""
        return self.contract.seed_of(self.replicate)

    @property
    def floor(self) -> int:
        """Finished epochs before which the early-stopping rule does not act, by the policies."""
        return self._journal.floor

    def set_min_epochs(self, finished: int) -> None:
        """Take over what the policies ask for; the checkpoint that was loaded has so many epochs, 0 without any."""
        self._journal = self._journal.with_floor(self.contract.min_epochs, finished)

    def start_attempt(self) -> None:
        """Count this attempt and take the right to write over from the one before."""
        self._fence = Fence(self.folder)
        begun = self._journal.attempt_started(time.time(), self._pulse.last())
        self._journal = begun.model_copy(update={"uid": self.contract.uid})
        self._publish(self.facts)
        self._pulse.start()

    @property
    def fence(self) -> Fence:
        """The right of this attempt to write, once it is started."""
        assert self._fence is not None, "the attempt is not started"
        return self._fence

    def check_fence(self) -> None:
        """Raise TrainerError with PREEMPTED when another attempt has taken over."""
        if self._fence is not None:
            self._fence.check()

    def tell_copy(self, copy: CopyFacts, *, durable: bool = False) -> None:
        """Tell how far the copy of the preprocessed data is; `durable` so that the next attempt knows it, too."""
        self.local_copy = copy
        if durable:
            self._publish(self.facts)
        else:
            self.facts = self.facts.model_copy(update={"local_copy": copy})
            self.metrics.set_facts(self.facts)

    def resume(self, facts: FoldFacts) -> None:
        """Note the state that the loaded checkpoint holds; what was begun beyond it is lost."""
        self._journal = self._journal.resumed(facts.epoch)
        self._publish(facts)

    def begin_epoch(self, epoch: int) -> None:
        """Note that an epoch (0 = first) is under way."""
        self._journal = self._journal.epoch_started(epoch)
        if self.leads:
            self.check_fence()
            # Not flushed: should the node die, at worst one lost epoch goes uncounted.
            write_journal(self.folder, self._journal, durable=False, fence=self._fence)

    def finish_epoch(self, facts: FoldFacts, time_of: EpochTime) -> None:
        """Note a finished epoch whose checkpoint is on disk."""
        self._times.append(time_of)
        self._journal = self._journal.durable(time.time())
        self._publish(facts.model_copy(update={"last_epoch_time": datetime.now(UTC)}))
        self.metrics.observe_epoch(time_of.seconds)

    def complete(self, mean_validation_dice: float | None) -> None:
        """Note the result of the full-volume validation."""
        self._journal = self._journal.durable(time.time())
        self._publish(self.facts.model_copy(update={"mean_validation_dice": mean_validation_dice}))

    def preempted_report(self) -> TerminationReport:
        """Return the report for an attempt that SIGTERM ended."""
        self._pulse.beat()
        facts = self.facts
        done = facts.checkpoint_epoch or 0
        return TerminationReport(
            message=f"stopped on request; {done} of {counted(facts.planned_end, 'epoch')} of fold {self.name} are in "
            "the checkpoint and the next attempt goes on from there",
            fold=facts,
        )

    def _publish(self, facts: FoldFacts) -> None:
        numbers = {
            **stated(self._times),
            "passed_over": ", ".join(self.passed_over)[:300] or None,
            "provenance": self.provenance or facts.provenance,
            "local_copy": self.local_copy,
        }
        self._journal = self._journal.with_facts(facts.model_copy(update=numbers))
        assert self._journal.facts is not None
        self.facts = self._journal.facts
        if self.leads:
            self.check_fence()
            write_journal(self.folder, self._journal, fence=self._fence)
            self.metrics.set_volume("results", self.folder)
        self.metrics.set_facts(self.facts)
