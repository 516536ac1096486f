"""Nothing is scored but what was verified."""

from pathlib import Path

import pytest

from nnunet_api.contract import EVIDENCE_FILE, PROVEN_ENV, EvidenceFacts, FoldEvidence
from nnunet_api.exit_codes import ExitCode
from nnunet_api.facts import EarlyStopFacts
from nnunet_api.reasons import EarlyStoppingState
from nnunet_trainer.dataset.identity import file_hash
from nnunet_trainer.evidence.proof import read_evidence, require_complete, require_proven
from nnunet_trainer.process.failures import TrainerError
from nnunet_trainer.run.paths import FINAL
from tests.support.made_contracts import contract, paths_of

STOPPED = EarlyStopFacts(state=EarlyStoppingState.STOPPED, epoch=500, end_epoch=550, epochs_saved=450)
OBSERVED = EarlyStopFacts(state=EarlyStoppingState.OBSERVED, epoch=500, epochs_saved=500)


def evidence(fold: str, epochs: int, stopping: EarlyStopFacts | None = None) -> FoldEvidence:
    return FoldEvidence(fold=fold, epochs=epochs, checkpoint_hash="0" * 64, early_stopping=stopping)


@pytest.mark.parametrize("content", [None, "", "[]", '{"folds": [{"fold": "0"}]}'])
def test_without_evidence_nothing_is_scored(tmp_path: Path, content: str | None) -> None:
    paths = paths_of(contract(), tmp_path)
    paths.run.mkdir(parents=True)
    if content is not None:
        (paths.run / EVIDENCE_FILE).write_text(content)
    with pytest.raises(TrainerError, match=r"evidence\.json.*nnunet-trainer verify") as caught:
        read_evidence(paths)
    assert caught.value.code == ExitCode.CHECKPOINT_UNUSABLE


def test_evidence_by_the_name_of_the_run(tmp_path: Path) -> None:
    paths = paths_of(contract(), tmp_path)
    paths.run.mkdir(parents=True)
    facts = EvidenceFacts(folds=[evidence("0-r1", 1000), evidence("0-r2", 550, STOPPED)])
    (paths.run / EVIDENCE_FILE).write_text(facts.model_dump_json(by_alias=True))
    assert read_evidence(paths) == {fold.fold: fold for fold in facts.folds}


@pytest.mark.parametrize(
    ("told", "complaint"),
    [
        ("", None),
        ("{}", None),
        ('{"0": "' + "0" * 64 + '"}', None),
        ('{"0": "' + "0" * 12 + '"}', None),
        ('{"0": "' + "0" * 11 + '1"}', "was replaced after the verification, which found SHA-256 000000000001"),
    ],
    ids=["older operator", "nothing", "whole", "shortened", "another"],
)
def test_the_evidence_has_to_be_the_operators(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str, complaint: str | None
) -> None:
    """Who can replace a checkpoint on the volume can replace evidence.json beside it."""
    paths = paths_of(contract(), tmp_path)
    paths.run.mkdir(parents=True)
    (paths.run / EVIDENCE_FILE).write_text(EvidenceFacts(folds=[evidence("0", 1000)]).model_dump_json(by_alias=True))
    monkeypatch.setenv(PROVEN_ENV, told)
    if complaint is None:
        assert set(read_evidence(paths)) == {"0"}
        return
    with pytest.raises(TrainerError, match=complaint) as caught:
        read_evidence(paths)
    assert caught.value.code == ExitCode.CHECKPOINT_UNUSABLE


def test_a_replaced_checkpoint_is_told_by_its_hash_and_never_loaded(tmp_path: Path) -> None:
    """There is no torch here: who would load it first would fail for that."""
    (tmp_path / FINAL).write_bytes(b"verified")
    proven = {"0": evidence("0", 1000).model_copy(update={"checkpoint_hash": file_hash(tmp_path / FINAL)})}
    require_proven({"0": tmp_path}, proven, 2)
    (tmp_path / FINAL).write_bytes(b"replaced")
    with pytest.raises(TrainerError, match="was replaced after it was verified"):
        require_proven({"0": tmp_path}, proven, 2)
    (tmp_path / FINAL).unlink()
    with pytest.raises(TrainerError, match="can't be read") as caught:
        require_proven({"0": tmp_path}, proven, 2)
    assert caught.value.code == ExitCode.CHECKPOINT_UNUSABLE


@pytest.mark.parametrize(
    ("found", "complaint"),
    [
        ([evidence("0", 1000), evidence("1", 1000)], None),
        ([evidence("0", 1000, OBSERVED), evidence("1", 550, STOPPED)], None),
        ([evidence("0", 1000)], "fold 1 is not complete: .* says nothing about it"),
        ([evidence("0", 40), evidence("1", 1000)], "fold 0 is not complete: .* has 40 of 1000 epochs"),
        ([evidence("0", 1000), evidence("1", 549, STOPPED)], "fold 1 is not complete: .* has 549 of 550 epochs"),
        ([evidence("0", 500, OBSERVED), evidence("1", 1000)], "fold 0 is not complete: .* has 500 of 1000 epochs"),
    ],
    ids=["whole schedule", "stopped early", "not verified", "cut off", "before its end", "only observed"],
)
def test_every_fold_has_to_have_reached_its_end(found: list[FoldEvidence], complaint: str | None) -> None:
    proven = {fold.fold: fold for fold in found}
    if complaint is None:
        require_complete(["0", "1"], proven, 1000)
        return
    with pytest.raises(TrainerError, match=f"{complaint}.*[Ss]uspend and resume") as caught:
        require_complete(["0", "1"], proven, 1000)
    assert caught.value.code == ExitCode.CHECKPOINT_UNUSABLE
