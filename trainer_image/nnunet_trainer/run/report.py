"""The termination message: one line of JSON that Kubernetes keeps and the operator reads."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nnunet_api.comparison.contract import CandidateFacts, ComparisonFacts
from nnunet_api.contract import TERMINATION_LOG, TERMINATION_LOG_LIMIT, EvidenceFacts, FoldEvidence, TerminationReport
from nnunet_api.evaluation_facts import EvaluationFacts, SelectionFacts
from nnunet_api.facts import EarlyStopFacts

TERMINATION_LOG_ENV = "NNUNET_RUN_TERMINATION_LOG"
"""Another path for the termination message, where there is no container runtime."""

DECIMALS = 5
"""Decimals of a score in a report that would be too long otherwise."""
HASH_DIGITS = 12
"""Digits of a checkpoint's hash in a report that would be too long otherwise."""
_STEPS = 8
"""Steps of a postprocessing in a report that would be too long otherwise; selection.json has all."""
_NAME_LENGTH = 32
"""Characters of their names there."""
_MORE = re.compile(r"and (\d+) more")
"""The last entry of a list that was shortened."""


def encode(report: TerminationReport, limit: int = TERMINATION_LOG_LIMIT) -> bytes:
    """Return the report as one line of at most `limit` bytes.

    What does not fit goes in this order: of the evidence, which evidence.json holds in full, what nobody decides by;
    digits of the scores, which summary.json holds in full, and with several configurations their paths; steps of
    the postprocessing, which selection.json holds in full; classes of the test Dice from the end; the end of the
    message. The scores of all folds and replicates are never left out.
    """
    for shorter in _shorter_and_shorter(report):
        report, line = shorter, _line(shorter)
        if len(line) <= limit:
            return line
    if report.evaluation is not None and report.evaluation.test_per_class:
        # A class costs at least 8 bytes, so this drops no more than needed plus a few.
        keep = max(0, len(report.evaluation.test_per_class) - max(1, (len(line) - limit) // 64))
        classes = dict(list(report.evaluation.test_per_class.items())[:keep])
        evaluation = report.evaluation.model_copy(update={"test_per_class": classes})
        return encode(report.model_copy(update={"evaluation": evaluation}), limit)
    if report.message:
        # Every character costs at least one byte; the loop ends because the message gets shorter.
        excess = max(2, (len(line) - limit) // 4)
        message = report.message[: max(0, len(report.message) - excess)].rstrip("…")
        return encode(report.model_copy(update={"message": message + "…" if message else ""}), limit)
    raise ValueError(f"the report does not fit into {limit} bytes even without a message")


def _shorter_and_shorter(report: TerminationReport) -> Iterator[TerminationReport]:
    """Yield the report as it is, then with less and less said about each fold; the epochs are never left out."""
    yield report
    if report.evaluation is not None:
        report = _with_shorter_scores(report, report.evaluation)
        yield report
    if report.evaluation is not None and report.evaluation.configurations:
        each = [one.model_copy(update={"model_path": None}) for one in report.evaluation.configurations]
        report = report.model_copy(update={"evaluation": report.evaluation.model_copy(update={"configurations": each})})
        yield report
    if report.evaluation is not None and report.evaluation.selection is not None:
        selection = _shorter_selection(report.evaluation.selection)
        report = report.model_copy(update={"evaluation": report.evaluation.model_copy(update={"selection": selection})})
        yield report
    if report.comparison is not None:
        for comparison in (_shorter_comparison(report.comparison), _shortest_comparison(report.comparison)):
            report = report.model_copy(update={"comparison": comparison})
            yield report
    if report.evidence is None:
        return
    evidence = report.evidence
    for shorten in (_without_manner, _without_numbers, _with_short_hash):
        evidence = evidence.model_copy(update={"folds": [shorten(fold) for fold in evidence.folds]})
        yield (report := report.model_copy(update={"evidence": evidence}))
    bare = [_without_verdict(fold) for fold in evidence.folds]
    # Operators go by verdicts, and by the hash of evidence.json who takes a model away.
    for folds, proof in ((evidence.folds, None), (bare, evidence.evidence_hash), (bare, None)):
        yield report.model_copy(update={"evidence": EvidenceFacts(folds=folds, evidence_hash=proof)})


def shortened(names: Sequence[str], most: int) -> list[str]:
    """Return the first names of a list, at most so many, and as one more how many there are besides.

    What was shortened already may be shortened further: the last entry is never taken for a name.
    """
    left_out = _MORE.fullmatch(names[-1]) if names else None
    told = list(names[:-1] if left_out else names)
    more = max(0, len(told) - most) + (int(left_out[1]) if left_out else 0)
    return told[:most] + ([f"and {more} more"] if more else [])


def _shorter_selection(selection: SelectionFacts) -> SelectionFacts:
    """Return the choice with the first steps of a long postprocessing, and how many there are more."""
    told = [name[:_NAME_LENGTH] for name in shortened(selection.postprocessing, _STEPS)]
    return selection.model_copy(update={"postprocessing": told})


def _shorter_comparison(comparison: ComparisonFacts) -> ComparisonFacts:
    """Return what a verdict rests on: nine arms with all their numbers have no room."""
    kept = {"arm", "verdict", "difference", "low", "high", "level", "worst_class", "worst_class_difference"}
    candidates = [CandidateFacts(**one.model_dump(include=kept)) for one in comparison.candidates]
    return comparison.model_copy(update={"candidates": candidates})


def _shortest_comparison(comparison: ComparisonFacts) -> ComparisonFacts:
    """Return the verdicts, and what differs in a few words: names and values of users may be long."""
    shorter = _shorter_comparison(comparison)
    nothing = {"worst_class": None, "worst_class_difference": None}
    told = [one.model_copy(update={"path": one.path[:80], "matter": one.matter[:80]}) for one in comparison.differences]
    return shorter.model_copy(
        update={
            "candidates": [one.model_copy(update=nothing) for one in shorter.candidates],
            "differences": told[:5],
            "notes": comparison.notes[:3],
        }
    )


def _with_shorter_scores(report: TerminationReport, scores: EvaluationFacts) -> TerminationReport:
    """Return the report with the digits of its scores that mean something: 50 folds have as many numbers."""
    content = _rounded(scores.model_dump(by_alias=True))
    return report.model_copy(update={"evaluation": EvaluationFacts.model_validate(content)})


def _rounded(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _rounded(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_rounded(value) for value in content]
    return round(content, DECIMALS) if isinstance(content, float) else content


def _without_manner(fold: FoldEvidence) -> FoldEvidence:
    """Leave out how the epochs were trained."""
    manner = ("iterations_per_epoch", "highest_learning_rate", "trainer_class", "network_weights")
    return fold.model_copy(update=dict.fromkeys(manner))


def _without_numbers(fold: FoldEvidence) -> FoldEvidence:
    """Leave of the verdict what shows that the rule ended the training where it did."""
    verdict = fold.early_stopping
    if verdict is None:
        return fold
    # A rule without an effect needs no proof.
    kept = None
    if verdict.end_epoch is not None:
        kept = EarlyStopFacts(state=verdict.state, epoch=verdict.epoch, end_epoch=verdict.end_epoch)
    return fold.model_copy(update={"early_stopping": kept})


def _with_short_hash(fold: FoldEvidence) -> FoldEvidence:
    return fold.model_copy(update={"checkpoint_hash": fold.checkpoint_hash[:HASH_DIGITS]})


def _without_verdict(fold: FoldEvidence) -> FoldEvidence:
    return fold.model_copy(update={"early_stopping": None})


def write(report: TerminationReport) -> None:
    """Write the termination message. Failing to do so must not hide the exit code: it is only noted on stderr."""
    path = Path(os.environ.get(TERMINATION_LOG_ENV, TERMINATION_LOG))
    try:
        path.write_bytes(encode(report))
    except (OSError, ValueError) as error:
        os.write(2, f"the termination message could not be written to {path}: {error}\n".encode())


def _line(report: TerminationReport) -> bytes:
    return report.model_dump_json(by_alias=True, exclude_none=True).encode()
