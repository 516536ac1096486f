"""One attempt at one fold, as seen from outside: journal, metrics, report. No torch in here."""

import time
from pathlib import Path

from nnunet_operator.api.contract import FoldFacts, Metric, RunContract, TerminationReport
from nnunet_trainer.journal import read_journal, write_journal
from nnunet_trainer.metrics import FoldMetrics


class FoldRun:
    """Keeps journal, metrics and the fold's facts in step."""

    def __init__(self, contract: RunContract, fold: str, folder: Path, metrics: FoldMetrics) -> None:
        self.contract = contract
        self.fold = fold
        self.folder = folder
        self.metrics = metrics
        self._journal = read_journal(folder)
        blank = FoldFacts(fold=fold, epoch=0, epochs_target=contract.schedule.epochs)
        self.facts = self._journal.facts or blank
        metrics.set_facts(self.facts)

    def start_attempt(self) -> None:
        """Count this attempt."""
        self._journal = self._journal.attempt_started()
        self._publish(self.facts)

    def resume(self, facts: FoldFacts) -> None:
        """Note the state that the loaded checkpoint holds; what was begun beyond it is lost."""
        self._journal = self._journal.resumed(facts.epoch)
        self._publish(facts)

    def begin_epoch(self, epoch: int) -> None:
        """Note that an epoch (0 = first) is under way."""
        self._journal = self._journal.epoch_started(epoch)
        # Not flushed: should the node die, at worst one lost epoch goes uncounted.
        write_journal(self.folder, self._journal, durable=False)

    def finish_epoch(self, facts: FoldFacts, seconds: float) -> None:
        """Note a finished epoch whose checkpoint is on disk."""
        self._publish(facts)
        self.metrics.observe_epoch(seconds)
        self.metrics.set(Metric.LAST_EPOCH_TIMESTAMP, time.time())

    def complete(self, mean_validation_dice: float | None) -> None:
        """Note the result of the full-volume validation."""
        self._publish(self.facts.model_copy(update={"mean_validation_dice": mean_validation_dice}))

    def preempted_report(self) -> TerminationReport:
        """Return the report for an attempt that SIGTERM ended."""
        facts = self.facts
        done = facts.checkpoint_epoch or 0
        return TerminationReport(
            message=f"stopped on request; {done} of {facts.epochs_target} epochs of fold {self.fold} are in the "
            "checkpoint and the next attempt goes on from there",
            fold=facts,
        )

    def _publish(self, facts: FoldFacts) -> None:
        self._journal = self._journal.with_facts(facts)
        assert self._journal.facts is not None
        self.facts = self._journal.facts
        write_journal(self.folder, self._journal)
        self.metrics.set_facts(self.facts)
