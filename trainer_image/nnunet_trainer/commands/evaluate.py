"""`nnunet-trainer evaluate`: cross-validation Dice of the folds, and scores of their ensemble on the test set."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nnunet_api.contract import (
    PROVENANCE_FILE,
    SUBGROUPS_FILE,
    FoldEvidence,
    PlanFacts,
    RunContract,
    TerminationReport,
)
from nnunet_api.dataset.layout import named
from nnunet_api.exit_codes import ExitCode
from nnunet_api.fold_key import FoldKey
from nnunet_trainer.commands.train import LOCK_TIMEOUT_SECONDS, read_plan, require_preprocessed_data
from nnunet_trainer.dataset.identity import file_hash
from nnunet_trainer.dataset.raw import check_test_set, check_test_set_whole, load_dataset
from nnunet_trainer.dataset.run_splits import RunCases, read_run_cases, read_splits
from nnunet_trainer.evidence.proof import incomplete, read_evidence, require_complete, require_proven
from nnunet_trainer.process.failures import TrainerError, is_missing_or_damaged, one_line, wrong_configuration
from nnunet_trainer.process.files import Locked, lock, to_json
from nnunet_trainer.process.pools import SURFACES, share_also
from nnunet_trainer.report.html_report import write_report
from nnunet_trainer.run import environment
from nnunet_trainer.run.fence import Fence
from nnunet_trainer.run.journal import read_journal, write_journal
from nnunet_trainer.run.paths import BEST, FINAL, VALIDATION_SUMMARY, RunPaths
from nnunet_trainer.run.pulse import Pulse
from nnunet_trainer.scoring import scores
from nnunet_trainer.scoring.conditions import TestSetHashes, held_out_hashes, stated_conditions
from nnunet_trainer.scoring.ensemble import Ensemble, HeldOut, description_of, ensemble_of, score_ensemble
from nnunet_trainer.scoring.patients import told_patients
from nnunet_trainer.scoring.results import Replicate, Results, evaluation_facts, message, notes, summary
from nnunet_trainer.scoring.several import facts_of_several, message_of_several, notes_on_several, summary_of_several
from nnunet_trainer.scoring.subgroups import TEST, VALIDATION, subgroup_csv, subgroup_notes, subgroups
from nnunet_trainer.selection.chosen import score_chosen
from nnunet_trainer.selection.record import NoChoiceError, SelectionRecord
from nnunet_trainer.selection.scorings import note_scoring, other_scorings
from nnunet_trainer.selection.selected import Selected, message_with_selection, summary_with_selection, with_selection

log = logging.getLogger(__name__)

LOCK_FILE = ".evaluate.lock"


def evaluate(contract: RunContract, paths: RunPaths) -> TerminationReport:
    """Score the training and return the report. What an earlier attempt predicted is not predicted again."""
    plan = read_plan(paths)
    try:
        with lock(paths.run / LOCK_FILE, "evaluation", LOCK_TIMEOUT_SECONDS):
            # A lock may be lost, see `fence`. Two evaluations at once would score a mixture of predictions.
            own = replace(paths, fence=Fence(paths.run))
            return _timed(own, lambda: _evaluate(contract, own, plan))
    except Locked as error:
        # Another attempt is alive: not a failure of this one, and none to be counted.
        raise TrainerError(
            ExitCode.PREEMPTED, f"another pod evaluates this training ({error}); trying again later"
        ) from error


def _timed(paths: RunPaths, work: Callable[[], TerminationReport]) -> TerminationReport:
    """Return the report of the work with the time that all attempts at it took: they may have held a GPU."""
    pulse = Pulse(paths.run)
    journal = read_journal(paths.run).attempt_started(time.time(), pulse.last())
    write_journal(paths.run, journal, fence=paths.fence)
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
    each = contract.by_configuration
    model = paths.model(each[0], plan.plans_name)
    description = description_of(model, f"the model folder {model} is incomplete", "Train the folds first")
    ending = str(description["file_ending"])
    validation = {
        fold: _validation_scores(folder, fold, ending)
        for fold, folder in folders.items()
        if folder.name != "fold_all"  # every case was trained on
    }
    _require_own_splits(contract, paths, plan, validation)
    known = read_run_cases(paths, required=bool(contract.evaluation.subgroups))
    test_set = _test_set(contract, paths)
    environment.prepare(contract, paths, paths.preprocessed / plan.preprocessed_key)
    require_proven(folders, evidence, contract.processes)
    proven = {folder / FINAL: evidence[fold].checkpoint_hash for fold, folder in folders.items()}
    hashes = held_out_hashes(test_set, contract.processes) if test_set else None
    if test_set and min(contract.processes, len(test_set.cases)) > 1:
        # For the measurement; the first pool is that of the choice or of the prediction.
        share_also(SURFACES)
    labels = description["labels"]
    checkpoints = {fold: evidence[fold].checkpoint_hash for fold in folders}
    record = no_choice = None
    try:
        record = _choice(contract, paths, plan, labels, checkpoints, validation, ending)
    except NoChoiceError as error:
        no_choice = error
    found = {}
    for one in each:
        replicates = [
            _replicate(one, paths, plan, number, validation, None if contract.selection else test_set, proven)
            for number in range(1, contract.replicates + 1)
        ]
        mine = {name: folders[name] for run in replicates for name in _names(one, run.replicate)}
        stated = _stated(contract, labels, replicates[0], hashes)
        found[one.configuration] = Results(replicates, labels, stated, _provenance_hashes(mine))
    selected = None
    if record:
        tested = _chosen(contract, paths, plan, record, test_set, proven, labels, hashes)
        if tested and not contract.has_several:
            found[contract.configuration] = _with_tests(found[contract.configuration], tested)
        others = other_scorings(paths.run, contract, record)
        selected = Selected(record, tested and _with_cases(contract, tested, known), others)
    found = {name: _with_cases(contract, one, known) for name, one in found.items()}
    report = _reported(contract, paths, plan, found, evidence, folders, test_set, hashes, selected, no_choice)
    if no_choice:
        # Only now: the folds are scored whatever becomes of the choice.
        raise no_choice
    return report


def _stated(
    contract: RunContract, labels: Mapping[str, Any], run: Replicate, hashes: TestSetHashes | None
) -> dict[str, Any]:
    inference = run.test.inference if run.test else {}
    # Those of a test set belong to what was scored on it.
    return stated_conditions(labels, contract.evaluation.surface_tolerance_mm, inference, hashes if run.test else None)


def _choice(
    contract: RunContract,
    paths: RunPaths,
    plan: PlanFacts,
    labels: Mapping[str, Any],
    checkpoints: Mapping[str, str],
    validation: Mapping[str, scores.CaseScores],
    ending: str,
) -> SelectionRecord | None:
    """Return what is chosen among the configurations, None where the training does not ask for that."""
    if contract.selection is None:
        return None
    from nnunet_trainer.selection.selecting import select

    cases = {name: list(scored) for name, scored in validation.items()}

    def require_labels() -> None:
        require_preprocessed_data(contract, paths, plan)

    return select(contract, paths, plan, labels, checkpoints, cases, ending, require_labels)


def _chosen(
    contract: RunContract,
    paths: RunPaths,
    plan: PlanFacts,
    record: SelectionRecord,
    test_set: HeldOut | None,
    proven: dict[Path, str],
    labels: Mapping[str, Any],
    hashes: TestSetHashes | None,
) -> Results | None:
    """Return the scores of what was chosen on the test set; nothing else is scored on it."""
    if test_set is None:
        return None
    each = [contract.of_configuration(name) for name in record.configurations]
    members = [ensemble_of(one, paths, plan.plans_name, 1, FINAL, proven) for one in each]
    paths.check_fence()
    note_scoring(paths.run, contract, record, FINAL)
    test = score_chosen(contract, members, record.postprocessing, test_set)
    best = None
    without_best: tuple[str, ...] = ()
    if contract.evaluation.best_checkpoint:
        others = [replace(member, checkpoint=BEST) for member in members]
        without_best = tuple(
            fold for one, other in zip(each, others, strict=True) for fold in _unusable(other, _names(one, 1))
        )
        if not without_best:
            note_scoring(paths.run, contract, record, BEST)
            best = score_chosen(contract, others, record.postprocessing, test_set)
    run = Replicate(
        replicate=1,
        seed=contract.seed_of(1),
        model_path=record.chosen[0].model_path,
        validation={},
        test=test,
        best=best,
        without_best=without_best,
    )
    return Results([run], labels, _stated(contract, labels, run, hashes))


def _with_tests(found: Results, tested: Results) -> Results:
    """Return the results of the only configuration, with the scores on the test set."""
    (run,), (scored,) = found.replicates, tested.replicates
    both = replace(run, test=scored.test, best=scored.best, without_best=scored.without_best)
    return replace(found, replicates=[both], conditions=tested.conditions)


def _reported(
    contract: RunContract,
    paths: RunPaths,
    plan: PlanFacts,
    found: Mapping[str, Results],
    evidence: Mapping[str, FoldEvidence],
    folders: Mapping[str, Path],
    test_set: HeldOut | None,
    hashes: TestSetHashes | None,
    selected: Selected | None,
    no_choice: NoChoiceError | None,
) -> TerminationReport:
    """Write summary.json and the report of the results of each configuration, and return what the operator is told."""
    if contract.has_several:
        told, content = notes_on_several(contract, found), summary_of_several(contract, found)
        facts, words = facts_of_several(found), message_of_several(contract, found)
    else:
        only = found[contract.configuration]
        told, content = notes(only), summary(contract, only)
        facts, words = evaluation_facts(only), message(contract, only)
    if selected:
        facts = with_selection(facts, selected)
        content = summary_with_selection(contract, content, facts, selected)
        told, words = content["notes"], message_with_selection(contract, words, selected)
    if no_choice:
        content = content | {"notes": [*content["notes"], no_choice.message]}
    for note in told:
        log.warning("%s", note)
    paths.write(paths.summary, to_json(content))
    if contract.evaluation.subgroups:
        chosen = {selected.name: selected.results} if selected and selected.results and contract.has_several else {}
        paths.write(paths.run / SUBGROUPS_FILE, _subgroup_csv({**found, **chosen}))
    write_report(contract, paths, plan, found, evidence, folders, test_set, selected)
    paths.check_fence()
    known = {"summary_hash": file_hash(paths.summary), "test_set_hash": hashes.contents if hashes else None}
    return TerminationReport(message=words, evaluation=facts.model_copy(update=known))


def _names(contract: RunContract, replicate: int) -> list[str]:
    return [key.name for key in contract.fold_keys_of(replicate)]


def _require_own_splits(
    contract: RunContract, paths: RunPaths, plan: PlanFacts, validation: Mapping[str, scores.CaseScores]
) -> None:
    """Raise TrainerError where a fold was validated on other cases than those that its split holds back."""
    if not contract.splits.are_asked_for:
        return  # those beside the preprocessed data, which may be gone by now
    splits = read_splits(contract, paths, plan)
    if splits is None:
        return
    for name, cases in validation.items():
        wanted, found = set(splits[int(FoldKey.parse(name).fold)]["val"]), set(cases)
        if wanted != found:
            raise wrong_configuration(
                f"fold {name} was validated on other cases than its split has: {named(wanted ^ found)}. Is "
                f"{contract.trainer_class} a class with splits or a validation of its own?"
            )


def _subgroup_csv(found: Mapping[str, Results]) -> str:
    classes = list(scores.class_names(next(iter(found.values())).labels).values())
    return subgroup_csv({name: results.subgroups for name, results in found.items()}, classes)


def _with_cases(contract: RunContract, results: Results, known: RunCases) -> Results:
    """Return the results with what cases.csv says of the cases: whose they are, and of which subgroup."""
    scored = {case for run in results.replicates for case in (*(run.test.dice if run.test else ()), *_validated(run))}
    return replace(_with_subgroups(contract, results, known), patients=told_patients(known, scored))


def _validated(run: Replicate) -> dict[str, dict[str, float]]:
    return {case: dice for fold in run.validation.values() for case, dice in fold.items()}


def _with_subgroups(contract: RunContract, results: Results, known: RunCases) -> Results:
    columns = contract.evaluation.subgroups
    if not columns:
        return results
    runs = results.replicates
    scored = {
        TEST: [run.test.dice for run in runs if run.test],
        VALIDATION: [_validated(run) for run in runs],
    }
    found = subgroups(columns, known.cases, results.labels, scored)
    has_patients = any(case.patient is not None for case in known.cases.values())
    told = subgroup_notes(found, columns, has_patients)
    if any(
        sum(map(len, run.validation.values())) != len(merged)
        for run, merged in zip(runs, scored[VALIDATION], strict=True)
    ):
        told.append("several folds validate the same case: subgroups count it once, as its last fold has scored it")
    return replace(results, subgroups=found, subgroup_notes=told)


def _provenance_hashes(folders: Mapping[str, Path]) -> dict[str, str]:
    # A fold from before there were such files has none.
    files = {fold: folder / PROVENANCE_FILE for fold, folder in folders.items()}
    return {fold: file_hash(path) for fold, path in files.items() if path.is_file()}


def _validation_scores(folder: Path, fold: str, ending: str) -> scores.CaseScores:
    try:
        return scores.read_scores(folder / VALIDATION_SUMMARY, ending)
    except (OSError, ValueError) as error:
        if not is_missing_or_damaged(error):
            raise
        raise incomplete(fold, f"its {VALIDATION_SUMMARY} can't be read ({error})") from error


def _test_set(contract: RunContract, paths: RunPaths) -> HeldOut | None:
    if contract.test_set is None or (contract.has_several and contract.selection is None):  # see `several`
        return None
    dataset = load_dataset(paths.raw, contract.dataset, contract.folds, contract.splits)
    cases = check_test_set(dataset, contract.test_set)
    check_test_set_whole(dataset, cases, contract.processes)
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
    model = paths.model(contract, plan.plans_name, number)
    names = _names(contract, number)
    test = best = None
    without_best: tuple[str, ...] = ()
    if test_set:
        final = ensemble_of(contract, paths, plan.plans_name, number, FINAL, proven)
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
