"""The termination message always fits and is always JSON."""

from pathlib import Path
from typing import Any

import pytest

from nnunet_api.contract import EvidenceFacts, FoldEvidence, TerminationReport
from nnunet_api.evaluation_facts import EvaluationFacts, ReplicateScores
from nnunet_api.facts import EarlyStopFacts, FoldFacts
from nnunet_api.reasons import EarlyStoppingState
from nnunet_trainer.run.report import TERMINATION_LOG_ENV, encode, write

CLASSES = {f"a class with a long name, number {index:02d}": index / 64 for index in range(64)}


def evaluation(message: str, classes: dict[str, float]) -> TerminationReport:
    facts = EvaluationFacts(test_mean=0.5, test_per_class=classes, fold_dice={"0": 0.4}, model_path="x" * 200)
    return TerminationReport(message=message, evaluation=facts)


@pytest.mark.parametrize(
    "report",
    [
        pytest.param(TerminationReport(message="short"), id="short"),
        pytest.param(TerminationReport(message="long " * 5000), id="long message"),
        pytest.param(TerminationReport(message="ü€😀" * 5000), id="long message, many bytes a character"),
        pytest.param(TerminationReport(message='"\n\\' * 5000), id="long message, everything escaped"),
        pytest.param(evaluation("short", CLASSES), id="many classes"),
        pytest.param(evaluation("long " * 5000, CLASSES), id="both"),
    ],
)
def test_fits(report: TerminationReport) -> None:
    line = encode(report)
    assert len(line) <= 4096
    assert b"\n" not in line
    again = TerminationReport.model_validate_json(line)
    assert again.message
    assert again.message.rstrip("…") == report.message[: len(again.message.rstrip("…"))]
    if report.evaluation is not None:
        assert again.evaluation is not None
        assert again.evaluation.test_mean == 0.5
        assert again.evaluation.fold_dice == {"0": 0.4}


def test_uses_the_room_there_is() -> None:
    assert len(encode(TerminationReport(message="x" * 10_000))) > 4000
    again = TerminationReport.model_validate_json(encode(evaluation("m", CLASSES)))
    assert again.evaluation is not None and 40 < len(again.evaluation.test_per_class) <= 64


def test_facts_stay_when_the_message_is_cut() -> None:
    facts = FoldFacts(fold="3", epoch=5, epochs_target=9)
    again = TerminationReport.model_validate_json(encode(TerminationReport(message="y" * 9000, fold=facts)))
    assert again.fold == facts


def test_a_termination_log_that_cannot_be_written_is_noted_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(TERMINATION_LOG_ENV, str(tmp_path / "missing" / "log"))
    write(TerminationReport(message="done"))
    assert "could not be written" in capfd.readouterr().err


def everything(message: str, classes: dict[str, float]) -> TerminationReport:
    """The scores of five folds in ten replicates, with names as long as they may be and all digits that a float has."""
    score = 0.8123456789012345
    names = [f"{index % 5}-r{1 + index // 5}" for index in range(50)]
    facts = EvaluationFacts(
        mean_validation_dice=score,
        fold_dice=dict.fromkeys(names, score),
        test_mean=score,
        test_cases=1000,
        test_per_class=classes,
        model_path="x" * 600,
        test_nsd=score,
        test_hd95_mm=123.45678901234567,
        best_checkpoint_test_mean=score,
        replicates=[
            ReplicateScores(replicate=number, seed=2**31 - 1, mean_validation_dice=score, test_mean=score)
            for number in range(1, 11)
        ],
    )
    return TerminationReport(message=message, evaluation=facts)


@pytest.mark.parametrize("message", ["short", "long " * 5000])
@pytest.mark.parametrize("classes", [{}, CLASSES], ids=["no test set", "many classes"])
def test_the_scores_of_fifty_folds_fit_and_none_is_left_out(message: str, classes: dict[str, float]) -> None:
    line = encode(everything(message, classes))
    assert len(line) <= 4096
    again = TerminationReport.model_validate_json(line)
    facts = again.evaluation
    assert facts is not None and again.message
    assert list(facts.fold_dice.values()) == pytest.approx([0.81235] * 50, abs=1e-5)
    assert [run.replicate for run in facts.replicates] == list(range(1, 11))
    assert [run.test_mean for run in facts.replicates] == pytest.approx([0.81235] * 10, abs=1e-5)
    assert facts.test_hd95_mm == pytest.approx(123.45679, abs=1e-5)


def test_digits_go_only_where_they_have_to() -> None:
    report = evaluation("short", {"liver": 0.8123456789012345})
    again = TerminationReport.model_validate_json(encode(report))
    assert again == report


def evidence(folds: int, verdict: EarlyStopFacts | None, message: str = "done") -> TerminationReport:
    names = [f"{index % 5}-r{1 + index // 5}" for index in range(folds)]
    proofs = [
        FoldEvidence(fold=name, epochs=1000, checkpoint_hash="0123456789abcdef" * 4, early_stopping=verdict)
        for name in names
    ]
    return TerminationReport(message=message, evidence=EvidenceFacts(folds=proofs, evidence_hash="e" * 64))


WATCHING = EarlyStopFacts(state=EarlyStoppingState.WATCHING)
STOPPED = EarlyStopFacts(
    state=EarlyStoppingState.STOPPED, epoch=950, end_epoch=1000, ema_pseudo_dice=0.8123456789, epochs_saved=0
)
BARE = EarlyStopFacts(state=EarlyStoppingState.STOPPED, epoch=950, end_epoch=1000)


@pytest.mark.parametrize(
    ("folds", "verdict", "digits", "told"),
    [
        pytest.param(5, None, 64, None, id="five folds"),
        pytest.param(5, STOPPED, 64, STOPPED, id="five folds that were stopped"),
        pytest.param(25, None, 64, None, id="five replicates"),
        pytest.param(20, STOPPED, 64, BARE, id="four replicates that were stopped"),
        pytest.param(25, STOPPED, 12, BARE, id="five replicates that were stopped"),
        pytest.param(50, None, 12, None, id="ten replicates"),
        pytest.param(50, WATCHING, 12, None, id="ten replicates whose rule never fired"),
        pytest.param(50, STOPPED, 12, None, id="ten replicates that were stopped"),
    ],
)
def test_evidence_of_many_folds_fits(folds: int, verdict: EarlyStopFacts | None, digits: int, told: Any) -> None:
    line = encode(evidence(folds, verdict))
    assert len(line) <= 4096
    again = TerminationReport.model_validate_json(line)
    assert again.message == "done" and again.evidence is not None
    assert {(proof.epochs, len(proof.checkpoint_hash)) for proof in again.evidence.folds} == {(1000, digits)}
    assert [proof.early_stopping for proof in again.evidence.folds] == [told] * folds
    assert again.evidence.evidence_hash == "e" * 64, "short hashes alone tell no file from another"


SUPPRESSED = STOPPED.model_copy(update={"suppressed_epoch": 300})


def test_a_suppressed_stop_is_told_where_there_is_room() -> None:
    facts = FoldFacts(fold="3", epoch=5, epochs_target=9, early_stopping=SUPPRESSED)
    again = TerminationReport.model_validate_json(encode(TerminationReport(message="y" * 9000, fold=facts)))
    assert again.fold == facts
    for folds, told in ((5, SUPPRESSED), (20, BARE)):
        again = TerminationReport.model_validate_json(encode(evidence(folds, SUPPRESSED)))
        assert again.evidence is not None and {fold.early_stopping for fold in again.evidence.folds} == {told}


def test_evidence_of_many_folds_leaves_room_for_a_message() -> None:
    again = TerminationReport.model_validate_json(encode(evidence(50, STOPPED, "fold 3: nothing is proven. " * 99)))
    assert again.evidence is not None and len(again.evidence.folds) == 50
    assert again.message.startswith("fold 3: nothing is proven. fold 3")
