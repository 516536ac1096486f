"""The termination message always fits and is always JSON."""

from pathlib import Path

import pytest

from nnunet_operator.api.contract import EvaluationFacts, FoldFacts, TerminationReport
from nnunet_trainer.report import TERMINATION_LOG_ENV, encode, write

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
