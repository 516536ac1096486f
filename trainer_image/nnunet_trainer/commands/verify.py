"""`nnunet-trainer verify`: read the final checkpoints of all folds and write down what they prove.

Runs in the operator's own image and takes nothing on trust that the image of the training wrote: a checkpoint is data
here, never code.
"""

import hashlib
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nnunet_api.contract import EVIDENCE_FILE, EvidenceFacts, PlanFacts, RunContract, TerminationReport
from nnunet_api.exit_codes import ExitCode
from nnunet_api.schedule import short_of_iterations
from nnunet_api.words import counted
from nnunet_trainer.commands.train import read_plan
from nnunet_trainer.dataset.identity import file_hashes
from nnunet_trainer.evidence.proven import FinalCheckpoint, checkpoint_of, prove
from nnunet_trainer.process.failures import TrainerError, is_missing_or_damaged, one_line
from nnunet_trainer.process.files import to_json, write_atomically
from nnunet_trainer.process.installed import nnunet_version, torch_version
from nnunet_trainer.run.journal import read_journal
from nnunet_trainer.run.paths import FINAL, RunPaths
from nnunet_trainer.run.plain import load_plain
from nnunet_trainer.scoring.stage_predictions import doubts

log = logging.getLogger(__name__)

_NAMED = 5
"""How many folds a message tells about."""
_TRAIN_ON = (
    "If a checkpoint was lost, replaced or restored from an older copy, suspend and resume the training: the fold then "
    "goes on from its newest checkpoint that loads"
)
_NOT_REACHED = (
    "A trainer class that ends the training or an epoch by itself, or that keeps its own count or history, has to "
    f"leave them to nnUNetTrainer: mend it and create the training anew. {_TRAIN_ON}"
)


def verify(
    contract: RunContract, paths: RunPaths, report_on_failure: Callable[[Callable[[], TerminationReport]], None]
) -> TerminationReport:
    """Read every fold's final checkpoint, write evidence.json and return the report.

    Raises TrainerError with CHECKPOINT_UNUSABLE where one is missing or damaged, with EPOCHS_NOT_REACHED where one does
    not prove the epochs that were asked for. evidence.json then says what was found, and so does the report.
    """
    plan = read_plan(paths)
    folders = paths.folds(contract, plan.plans_name)
    files = {run: folder / FINAL for run, folder in folders.items()}
    log.info("verifying the final checkpoints of %s", counted(len(files), "fold"))
    require_own(contract, folders)
    read, unusable = _read_all(paths, files)
    final = {fold: files[fold] for fold in read}
    hashes = file_hashes(f"hashing {counted(len(final), 'checkpoint')}", final, contract.processes, "checkpoints")
    for fold, reason in _copies(hashes).items():
        unusable[fold] = reason
        del read[fold]
    learnt = {fold: checkpoint.learnt_from for fold, checkpoint in read.items()}
    for fold, reason in doubts(contract, paths, plan.plans_name, hashes, learnt).items():
        unusable.setdefault(fold, reason)
        read.pop(fold, None)
    findings = [prove(fold, checkpoint, hashes[fold], contract) for fold, checkpoint in read.items()]
    evidence = EvidenceFacts(folds=[finding.evidence for finding in findings])
    for proof in evidence.folds:
        log.info("fold %s: %s, SHA-256 %s", proof.fold, counted(proof.epochs, "epoch"), proof.checkpoint_hash)
        if few := short_of_iterations(proof.iterations_per_epoch, contract.schedule):
            log.warning("fold %s: %s", proof.fold, few)
    short = {finding.evidence.fold: finding.trouble for finding in findings if finding.trouble}
    chain = {fold: known for fold, known in learnt.items() if known and fold in read}
    content = to_json(_evidence_file(contract, plan, evidence, unusable | short, chain))
    write_atomically(paths.run / EVIDENCE_FILE, content)
    # Not of the file: others can write to the claim.
    evidence = evidence.model_copy(update={"evidence_hash": hashlib.sha256(content.encode()).hexdigest()})
    report_on_failure(lambda: TerminationReport(message="stopped when all was verified", evidence=evidence))
    if unusable:
        raise TrainerError(ExitCode.CHECKPOINT_UNUSABLE, f"{_first(unusable)}. {_TRAIN_ON}")
    if short:
        raise TrainerError(ExitCode.EPOCHS_NOT_REACHED, f"{_first(short)}. {_NOT_REACHED}")
    return TerminationReport(message=_message(evidence, contract.schedule.epochs), evidence=evidence)


def require_own(contract: RunContract, folders: Mapping[str, Path]) -> None:
    """Raise TrainerError with CHECKPOINT_UNUSABLE where a fold's folder is another training's."""
    for fold, folder in folders.items():
        uid = read_journal(folder).uid
        if uid not in ("", contract.uid):
            raise TrainerError(
                ExitCode.CHECKPOINT_UNUSABLE,
                f"the folder of fold {fold} belongs to the training with UID {uid[:64]}, not to this one "
                f"({contract.uid}): nothing in it is proven. Create the training anew",
            )


def _read_all(paths: RunPaths, files: Mapping[str, Path]) -> tuple[dict[str, FinalCheckpoint], dict[str, str]]:
    """Return what the checkpoints hold, and for the others why they can't be read."""
    read: dict[str, FinalCheckpoint] = {}
    unusable: dict[str, str] = {}
    for fold, path in files.items():
        try:
            read[fold] = _read(paths, path)
        except Exception as error:
            if not is_missing_or_damaged(error):
                raise
            missing = isinstance(error, FileNotFoundError)
            reason = "is missing" if missing else f"can't be read ({one_line(str(error))[:300]})"
            unusable[fold] = f"nothing is proven: {path.name} {reason}"
    return read, unusable


def _copies(hashes: Mapping[str, str]) -> dict[str, str]:
    """Return which folds have the checkpoint of another one: an ensemble of one network would pass for several."""
    first: dict[str, str] = {}
    return {
        fold: f"nothing is proven: its {FINAL} is that of fold {first[found]}"
        for fold, found in hashes.items()
        if first.setdefault(found, fold) != fold
    }


def _read(paths: RunPaths, path: Path) -> FinalCheckpoint:
    """Return what a checkpoint holds. Raises OSError or ValueError."""
    # The names come from plan.json and the folders from the training's image.
    return checkpoint_of(load_plain(paths.own_file(path)))


def _evidence_file(
    contract: RunContract,
    plan: PlanFacts,
    evidence: EvidenceFacts,
    problems: Mapping[str, str],
    learnt: Mapping[str, str],
) -> dict[str, Any]:
    """Return evidence.json: what was found, what it was held against, by what and when.

    `learnt` has for each fold of a cascade the hash of the verified checkpoints on whose predictions it has learnt.
    """
    return {
        **evidence.to_json_dict(),
        "proven": not problems,
        "problems": dict(problems),
        **({"learntFrom": dict(learnt)} if learnt else {}),
        "asked": {
            "training": f"{contract.namespace}/{contract.name}",
            "uid": contract.uid,
            "dataset": contract.dataset,
            **configurations_of(contract),
            "trainerClass": contract.trainer_class,
            "folds": contract.folds,
            "replicates": contract.replicates,
            "seed": contract.seed,
            "schedule": contract.schedule.to_json_dict(),
            "earlyStopping": contract.early_stopping.to_json_dict(),
            **({"policy": contract.policy.to_json_dict()} if contract.policy else {}),
        },
        "plan": plan.to_json_dict(),
        "verifiedBy": {"nnunetVersion": nnunet_version(), "torchVersion": torch_version()},
        "verifiedAt": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def configurations_of(contract: RunContract) -> dict[str, Any]:
    """Return what was trained under the key that says whether it is one configuration or several."""
    if contract.has_several:
        return {"configurations": contract.configuration_names}
    return {"configuration": contract.configuration}


def _first(problems: Mapping[str, str]) -> str:
    told = [f"fold {fold}: {problem}" for fold, problem in list(problems.items())[:_NAMED]]
    more = len(problems) - len(told)
    return "; ".join(told) + (f"; and {counted(more, 'fold')} more, see {EVIDENCE_FILE}" if more else "")


def _message(evidence: EvidenceFacts, epochs: int) -> str:
    early = sum(proof.epochs < epochs for proof in evidence.folds)
    stopped = f", {early} of them ended before by early stopping" if early else ""
    return f"the final checkpoints prove the epochs of {counted(len(evidence.folds), 'fold')}: {epochs}{stopped}"
