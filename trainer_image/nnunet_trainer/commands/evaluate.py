"""`nnunet-trainer evaluate`: cross-validation Dice of the folds, and scores of their ensemble on the test set."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from nnunet_api.contract import PlanFacts, RunContract, TerminationReport
from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.commands.train import LOCK_TIMEOUT_SECONDS, VALIDATION_SUMMARY, read_plan
from nnunet_trainer.dataset.checked_plans import read_checked_plans
from nnunet_trainer.dataset.identity import file_hash
from nnunet_trainer.dataset.raw import check_test_set, check_test_set_whole, load_dataset
from nnunet_trainer.evidence.proof import incomplete, read_evidence, require_complete, require_proven
from nnunet_trainer.process.failures import TrainerError, is_missing_or_damaged, one_line
from nnunet_trainer.process.files import Locked, lock, read_json, write_json
from nnunet_trainer.process.heartbeat import heartbeat
from nnunet_trainer.report.html_report import write_report
from nnunet_trainer.run import environment
from nnunet_trainer.run.journal import read_journal, write_journal
from nnunet_trainer.run.paths import BEST, FINAL, RunPaths
from nnunet_trainer.run.pulse import Pulse
from nnunet_trainer.scoring import scores
from nnunet_trainer.scoring.conditions import held_out_hashes, stated_conditions
from nnunet_trainer.scoring.ensemble import Ensemble, HeldOut, score_ensemble
from nnunet_trainer.scoring.results import Replicate, Results, evaluation_facts, message, notes, summary

log = logging.getLogger(__name__)

LOCK_FILE = ".evaluate.lock"


def evaluate(contract: RunContract, paths: RunPaths) -> TerminationReport:
    """Score the training and return the report. What an earlier attempt predicted is not predicted again."""
    plan = read_plan(paths)
    try:
        with lock(paths.run / LOCK_FILE, "evaluation", LOCK_TIMEOUT_SECONDS):
            return _timed(paths, lambda: _evaluate(contract, paths, plan))
    except Locked as error:
        # Another attempt is alive: not a failure of this one, and none to be counted.
        raise TrainerError(
            ExitCode.PREEMPTED, f"another pod evaluates this training ({error}); trying again later"
        ) from error


def _timed(paths: RunPaths, work: Callable[[], TerminationReport]) -> TerminationReport:
    """Return the report of the work with the time that all attempts at it took: they may have held a GPU."""
    pulse = Pulse(paths.run)
    journal = read_journal(paths.run).attempt_started(time.time(), pulse.last())
    write_journal(paths.run, journal)
    pulse.start()
    report = work()
    assert report.evaluation is not None
    held = journal.durable(time.time()).held_seconds
    return report.model_copy(update={"evaluation": report.evaluation.model_copy(update={"held_seconds": held})})


def _evaluate(contract: RunContract, paths: RunPaths, plan: PlanFacts) -> TerminationReport:
    # Everything that is cheap comes before torch is loaded.
    folders = paths.folds(contract, plan.plans_name)
    evidence = read_evidence(paths)
    require_complete(folders, evidence, contract.schedule.epochs)
    description = _dataset_json(paths.model(contract, plan.plans_name))
    ending = str(description["file_ending"])
    validation = {
        fold: _validation_scores(folder, fold, ending)
        for fold, folder in folders.items()
        if folder.name != "fold_all"  # every case was trained on
    }
    test_set = _test_set(contract, paths)
    environment.prepare(contract, paths, paths.preprocessed / plan.preprocessed_key)
    require_proven(folders, evidence, contract.processes)
    proven = {folder / FINAL: evidence[fold].checkpoint_hash for fold, folder in folders.items()}
    replicates = [
        _replicate(contract, paths, plan, number, validation, test_set, proven)
        for number in range(1, contract.replicates + 1)
    ]
    hashes = held_out_hashes(test_set, contract.processes) if test_set else None
    inference = replicates[0].test.inference if replicates[0].test else {}
    tolerance = contract.evaluation.surface_tolerance_mm
    results = Results(
        replicates, description["labels"], stated_conditions(description["labels"], tolerance, inference, hashes)
    )
    for note in notes(results):
        log.warning("%s", note)
    write_json(paths.summary, summary(contract, results))
    write_report(contract, paths, plan, results, evidence, folders)
    facts = evaluation_facts(results).model_copy(update={"summary_hash": file_hash(paths.summary)})
    return TerminationReport(message=message(contract, results), evaluation=facts)


def _dataset_json(model: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = read_json(model / "dataset.json")
    except (OSError, ValueError) as error:
        if not is_missing_or_damaged(error):
            raise
        raise TrainerError(
            ExitCode.CHECKPOINT_UNUSABLE, f"the model folder {model} is incomplete: {error}. Train the folds first"
        ) from error
    return content


def _validation_scores(folder: Path, fold: str, ending: str) -> scores.CaseScores:
    try:
        return scores.read_scores(folder / VALIDATION_SUMMARY, ending)
    except (OSError, ValueError) as error:
        if not is_missing_or_damaged(error):
            raise
        raise incomplete(fold, f"its validation/summary.json can't be read ({error})") from error


def _test_set(contract: RunContract, paths: RunPaths) -> HeldOut | None:
    if contract.test_set is None:
        return None
    dataset = load_dataset(paths.raw, contract.dataset, contract.folds)
    cases = check_test_set(dataset, contract.test_set)
    with heartbeat("looking for files of the test set that are cut short"):
        check_test_set_whole(dataset, cases)
    return HeldOut(cases, dataset.ending)


def _replicate(
    contract: RunContract,
    paths: RunPaths,
    plan: PlanFacts,
    number: int,
    validation: dict[str, scores.CaseScores],
    test_set: HeldOut | None,
    proven: dict[Path, str],
) -> Replicate:
    """Return the scores of a replicate (1 = first)."""
    model, results = paths.model(contract, plan.plans_name, number), paths.results_of(contract, number)
    names = [key.name for key in contract.fold_keys_of(number)]
    test = best = None
    without_best: tuple[str, ...] = ()
    if test_set:
        read_checked_plans(model / "plans.json")
        final = Ensemble(model, tuple(contract.folds), FINAL, results, proven)
        test = score_ensemble(contract, final, test_set)
        if contract.evaluation.best_checkpoint:
            chosen = replace(final, checkpoint=BEST)
            without_best = _unusable(chosen, names)
            best = None if without_best else score_ensemble(contract, chosen, test_set)
    return Replicate(
        replicate=number,
        seed=contract.seed_of(number),
        model_path=str(model.relative_to(paths.results)),
        validation={fold: validation[fold] for fold in names if fold in validation},
        test=test,
        best=best,
        without_best=without_best,
    )


def _unusable(ensemble: Ensemble, names: list[str]) -> tuple[str, ...]:
    """Return the folds whose checkpoint can't be read. The best ones are no result, so that is no failure."""
    from nnunet_trainer.training.checkpoints import finished_epochs

    unusable = []
    for path, fold in zip(ensemble.checkpoints, names, strict=True):
        try:
            finished_epochs(path)
        except Exception as error:
            if not is_missing_or_damaged(error):
                raise
            log.warning("%s of fold %s: %s", path.name, fold, one_line(str(error))[:300])
            unusable.append(fold)
    return tuple(unusable)
