"""Nothing is scored but what was verified: the final checkpoints have to be those that evidence.json tells about.

evidence.json lies beside them, where whoever can replace one can replace the other. So the operator says itself which
hashes its verification has found.
"""

import json
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from nnunet_api.contract import EVIDENCE_FILE, PROVEN_ENV, EvidenceFacts, FoldEvidence
from nnunet_api.exit_codes import ExitCode
from nnunet_api.words import counted
from nnunet_trainer.dataset.identity import file_hash
from nnunet_trainer.process.failures import FINISH_AGAIN, TrainerError, is_missing_or_damaged, one_line
from nnunet_trainer.process.files import read_text
from nnunet_trainer.process.heartbeat import heartbeat
from nnunet_trainer.run.paths import FINAL, RunPaths


def read_evidence(paths: RunPaths) -> dict[str, FoldEvidence]:
    """Return what was verified, by the name of the fold's run. Raises TrainerError with CHECKPOINT_UNUSABLE."""
    path = paths.run / EVIDENCE_FILE
    try:
        facts = EvidenceFacts.model_validate_json(read_text(path))
    except (OSError, ValueError) as error:
        if not is_missing_or_damaged(error):
            raise
        missing = isinstance(error, FileNotFoundError)
        reason = "is missing" if missing else f"can't be read ({one_line(str(error))[:300]})"
        raise TrainerError(
            ExitCode.CHECKPOINT_UNUSABLE,
            f"{path} {reason}, so it is not known whether the folds were trained to their end. Run `nnunet-trainer "
            "verify` first; the operator does so when the training is suspended and resumed",
        ) from error
    evidence = {fold.fold: fold for fold in facts.folds}
    for fold, told in _told().items():
        if fold in evidence and not evidence[fold].checkpoint_hash.startswith(told):
            raise incomplete(
                fold, f"{EVIDENCE_FILE} was replaced after the verification, which found SHA-256 {told[:12]}…"
            )
    return evidence


def _told() -> dict[str, str]:
    """Return the beginnings of the hashes that the operator knows of; none where it is older or there is none."""
    return {str(fold): str(told) for fold, told in json.loads(os.environ.get(PROVEN_ENV) or "{}").items()}


def incomplete(fold: str, reason: str) -> TrainerError:
    """Return the error for a fold that can't be scored as it is."""
    return TrainerError(ExitCode.CHECKPOINT_UNUSABLE, f"fold {fold} is not complete: {reason}. {FINISH_AGAIN}")


def require_complete(folds: Iterable[str], evidence: Mapping[str, FoldEvidence], epochs: int) -> None:
    """Raise TrainerError with CHECKPOINT_UNUSABLE unless each of the folds was verified to have trained to its end.

    `epochs` is the length of the schedule; a fold that early stopping ended has an end of its own.
    """
    for fold in folds:
        if fold not in evidence:
            raise incomplete(fold, f"{EVIDENCE_FILE} says nothing about it, it was not verified")
        stopping = evidence[fold].early_stopping
        end = stopping.end_epoch if stopping and stopping.end_epoch is not None else epochs
        if evidence[fold].epochs != end:
            raise incomplete(fold, f"by {EVIDENCE_FILE} it has {evidence[fold].epochs} of {counted(end, 'epoch')}")


def require_proven(folders: Mapping[str, Path], evidence: Mapping[str, FoldEvidence], workers: int) -> None:
    """Raise TrainerError with CHECKPOINT_UNUSABLE unless every final checkpoint is the one that was verified.

    `folders` has the folder of each fold by the name of its run. Nothing is loaded; hashing takes a second for 250 MB.
    """

    def hash_of(fold: str) -> str:
        try:
            return file_hash(folders[fold] / FINAL)
        except OSError as error:
            if not is_missing_or_damaged(error):
                raise
            raise incomplete(fold, f"its {FINAL} can't be read ({error})") from error

    done = 0
    with (
        heartbeat(f"hashing {counted(len(folders), 'checkpoint')}", lambda: f"{done}/{len(folders)} checkpoints"),
        ThreadPoolExecutor(max(1, workers)) as pool,
    ):
        for fold, found in zip(folders, pool.map(hash_of, folders), strict=True):
            if found != evidence[fold].checkpoint_hash:
                raise incomplete(
                    fold,
                    f"its {FINAL} was replaced after it was verified (SHA-256 {found[:12]}…, {EVIDENCE_FILE} has "
                    f"{evidence[fold].checkpoint_hash[:12]}…)",
                )
            done += 1
