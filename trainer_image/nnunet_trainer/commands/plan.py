"""`nnunet-trainer plan`: check the dataset, then fingerprint, plan and preprocess it, or share what is there.

The result is keyed by content. It is built in a temporary folder and renamed, under a lock: a killed attempt
leaves a folder that the next one removes, and a second training that agrees on everything waits and reuses.
"""

import logging
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from nnunet_api.contract import PlanFacts, RunContract, TerminationReport
from nnunet_api.dataset.layout import named
from nnunet_api.dataset.splits import SPLITS_FILE
from nnunet_api.exit_codes import ExitCode
from nnunet_api.words import counted
from nnunet_trainer.commands.building import Classes, build, five_folds, require_stages_of
from nnunet_trainer.dataset.cascades import available, require_every_fold
from nnunet_trainer.dataset.checked_plans import read_checked_plans
from nnunet_trainer.dataset.configurations import normalizes_by_names, without
from nnunet_trainer.dataset.contents import (
    Contents,
    notes_on,
    read_contents,
    require_disjoint,
    require_labels,
    write_contents,
)
from nnunet_trainer.dataset.identity import Stamp, dataset_hash, file_hash, preprocessed_key, sources_hash, stamps
from nnunet_trainer.dataset.integrity import verify_test_cases, verify_training_cases
from nnunet_trainer.dataset.manifest import write_manifest
from nnunet_trainer.dataset.raw import (
    CROSS_VALIDATION_FOLDS,
    RawDataset,
    check_test_set,
    check_test_set_whole,
    load_dataset,
)
from nnunet_trainer.dataset.run_splits import RunSplits, keep, look_at_cases, require_same_splits
from nnunet_trainer.dataset.seen_cases import notes_on_seen, write_seen
from nnunet_trainer.dataset.shared_result import (
    existing_result,
    maker,
    put_in_place,
    remove_leftovers,
    temporary_folder,
    who,
)
from nnunet_trainer.process.failures import TrainerError, wrong_data
from nnunet_trainer.process.files import read_json, read_text, write_json
from nnunet_trainer.process.imports import uncollected
from nnunet_trainer.process.installed import nnunet_package, nnunet_version
from nnunet_trainer.process.turn import turn
from nnunet_trainer.run import environment
from nnunet_trainer.run.paths import RunPaths, has_checkpoints
from nnunet_trainer.selection.record import read_record, require_classes, require_selectable
from nnunet_trainer.selection.room import notes_on_room

log = logging.getLogger(__name__)

_HASH_DIGITS = 12
"""Digits of a hash in a message."""


def plan(contract: RunContract, paths: RunPaths) -> TerminationReport:
    """Check, plan and preprocess, or reuse; write plan.json into the run folder and return the report.

    Raises TrainerError with PREEMPTED where another attempt has written plan.json since this one began: a node that was
    given up for dead must not bring back what a dataset was before.
    """
    require_last = partial(require_unchanged_plan, paths, published_plan(paths))
    dataset = load_dataset(paths.raw, contract.dataset, contract.folds, contract.splits)
    test_cases = {} if contract.test_set is None else check_test_set(dataset, contract.test_set)
    dataset.check_whole(contract.processes)
    if test_cases:
        check_test_set_whole(dataset, test_cases, contract.processes)
    environment.prepare(contract, paths, paths.preprocessed)
    own = look_at_cases(paths.raw, dataset, test_cases, contract)
    require_same_splits(contract, paths, own)
    splits = own.splits or dataset.splits
    if not contract.skip_unavailable_configurations:
        require_every_fold(contract, splits, CROSS_VALIDATION_FOLDS)
    require_selectable(contract, "", splits)
    log.info("%s: %s; loading torch and nnU-Net", contract.dataset, counted(len(dataset.cases), "training case"))
    with uncollected():
        from nnunet_trainer.training.classes import find_planner, find_trainer
        from nnunet_trainer.training.initial_weights import examine

    trainer, planner = find_trainer(contract.trainer_class), find_planner(contract.planning.planner)
    classes = Classes(trainer, planner, weights := examine(contract, paths, dataset, trainer))
    # Not part of what is shared, and needed only after all folds are trained: the time to look at it is now.
    by_names = normalizes_by_names(contract)
    test = verify_test_cases(dataset, test_cases, contract.processes, by_names) if test_cases else {}

    def admit(training: Contents) -> None:
        require_labels(dataset, training)
        require_disjoint(dataset, training, test_cases, test)
        if contract.selection and read_record(paths.run) is None:
            require_classes(contract, dataset.labels, training, splits or five_folds(dataset))
        require_last()
        write_seen(paths.run, training, test, seen)
        notes.extend(notes_on_seen(training, weights is not None, seen))

    seen, notes = (weights.seen, [*weights.notes]) if weights else (None, list[str]())
    facts = _shared_result(contract, paths, dataset, classes, admit)
    left = without(contract, facts.left_out_configurations or ())
    if contract.skip_unavailable_configurations:
        require_every_fold(left, splits, CROSS_VALIDATION_FOLDS)
    require_selectable(left, facts.plans_name, splits)
    require_last()
    keep(own, paths)
    if own.splits is not None:
        facts = facts.model_copy(update={"splits_hash": file_hash(paths.splits)})
    notes += [*_notes(dataset, paths.preprocessed / facts.preprocessed_key, contract, own), *own.notes]
    notes += notes_on_room(left, paths, facts, splits, CROSS_VALIDATION_FOLDS)
    for note in notes:
        log.warning("%s", note)
    facts = facts.model_copy(update={"initial_weights": weights.facts if weights else None}).with_notes(notes)
    require_last()
    _publish(contract, paths, facts)
    cases = counted(len(dataset.cases), "case") + (f" in {own.words}" if own.words else "")
    return TerminationReport(message=_message(facts, cases), plan=facts)


def _message(facts: PlanFacts, cases: str) -> str:
    how = "reused an existing result" if facts.reused else "planned and preprocessed"
    left_out = facts.left_out_configurations
    told = f"; not planned for this dataset and left out: {', '.join(left_out)}" if left_out else ""
    return f"{how}: {facts.preprocessed_key}, {cases}{told}"


def _shared_result(
    contract: RunContract, paths: RunPaths, dataset: RawDataset, classes: Classes, admit: Callable[[Contents], None]
) -> PlanFacts:
    """Return the result of planning and preprocessing, made or reused.

    `admit` gets what the training cases hold, before anything long is done, and raises an error for what must not be.
    """
    before = stamps(dataset.files())
    digest = dataset_hash(dataset.files(), contract.processes)
    plans_hash = classes.weights.plans_hash if classes.weights else ""
    key = preprocessed_key(contract, digest, nnunet_version(), sources_hash(nnunet_package()), plans_hash)
    require_same_result(contract, paths, digest, key)
    folder = paths.preprocessed / key
    with turn(paths.preprocessed / f"{key}.lock", f"preprocessed data {key}", who(contract)) as alone:
        if alone:
            remove_leftovers(folder)
        if found := existing_result(contract, folder, digest):
            facts, contents = found
            log.info("%s exists: nothing to preprocess", key)
            if contents is None:
                contents = verify_training_cases(dataset, contract.processes, normalizes_by_names(contract))
                if alone:
                    write_contents(folder, contents)
                    write_manifest(folder, maker(contract), contract.processes)
            admit(contents)
            # It may have been made for a trainer class that can do with a smaller network.
            plans = read_checked_plans(folder / contract.dataset / f"{facts.plans_name}.json")
            left = available(contract, plans)
            for one in left.by_configuration:
                require_stages_of(one, classes.trainer, plans)
            left_out = left.left_out_configurations or None
            reused = not _made_by_this_run(paths, key)
            return facts.model_copy(update={"reused": reused, "left_out_configurations": left_out})
        temporary = temporary_folder(folder, passing=not alone)
        contents = verify_training_cases(dataset, contract.processes, normalizes_by_names(contract))
        admit(contents)
        facts = build(contract, paths, dataset, classes, temporary, digest, key)
        _require_unchanged(dataset, before)
        write_contents(temporary, contents)
        write_manifest(temporary, maker(contract), contract.processes)
        # Everything must be on disk before the name says that it is: a node may die right after the rename.
        os.sync()
        return put_in_place(contract, temporary, folder, facts)


def _require_unchanged(dataset: RawDataset, before: Mapping[str, Stamp]) -> None:
    """Raise TrainerError with WRONG_DATA for a dataset that was written to while it was read.

    Its hash would stand for other data than those that were preprocessed, and for all trainings that share them.
    """
    after = stamps(dataset.files())
    if changed := [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]:
        words = counted(len(changed), "file was", "files were")
        raise wrong_data(
            f"{words} written while {dataset.folder.name} was read: {named(changed)}. Wait until the dataset is "
            "complete, then suspend and resume the training"
        )


def require_same_result(contract: RunContract, paths: RunPaths, digest: str, key: str) -> None:
    """Raise TrainerError with WRONG_DATA when a run with checkpoints would go on with other data than it began with.

    `digest` and `key` are the hash of the dataset and the name of the preprocessed data as they are now.
    """
    earlier = _earlier_facts(paths)
    if earlier is None or earlier.preprocessed_key == key:
        return
    if not has_checkpoints(contract, paths):
        log.info("the dataset or its planning changed before anything was trained: the new result is taken")
        return
    if earlier.dataset_hash != digest:
        raise wrong_data(
            f"dataset {contract.dataset} has changed since this training began: its hash was "
            f"{earlier.dataset_hash[:_HASH_DIGITS]} and is {digest[:_HASH_DIGITS]} now, and there are checkpoints. "
            "Restore the dataset as it was, then suspend and resume the training, or create a new training"
        )
    raise wrong_data(
        f"this training began with the preprocessed data {earlier.preprocessed_key}; with the nnU-Net of this image "
        f"({earlier.nnunet_version} then, {nnunet_version()} now, maybe with changed code) it would go on with {key}, "
        "and there are checkpoints. Use the image that it began with, or create a new training"
    )


def _made_by_this_run(paths: RunPaths, key: str) -> bool:
    """Tell whether an earlier attempt of this very run made the result and said so."""
    earlier = _earlier_facts(paths)
    return earlier is not None and earlier.preprocessed_key == key and not earlier.reused


def published_plan(paths: RunPaths) -> str:
    """Return plan.json as it stands, empty where there is none."""
    try:
        return read_text(paths.plan_result)
    except (FileNotFoundError, ValueError):
        return ""


def require_unchanged_plan(paths: RunPaths, before: str) -> None:
    """Raise TrainerError with PREEMPTED where plan.json is another than `before`."""
    if published_plan(paths) != before:
        raise TrainerError(
            ExitCode.PREEMPTED,
            f"another attempt has written {paths.plan_result} since this one began; this one writes nothing more",
        )


def _earlier_facts(paths: RunPaths) -> PlanFacts | None:
    try:
        return PlanFacts.model_validate(read_json(paths.plan_result))
    except (FileNotFoundError, ValueError):
        return None


def _notes(dataset: RawDataset, folder: Path, contract: RunContract, own: RunSplits) -> list[str]:
    """Return what is odd in the dataset, and what its folds can't do or do too well."""
    splits_file = folder / contract.dataset / SPLITS_FILE
    splits = own.splits or (read_json(splits_file) if contract.folds != ["all"] and splits_file.is_file() else [])
    return notes_on(dataset, read_contents(folder) or {}, splits)


def _publish(contract: RunContract, paths: RunPaths, facts: PlanFacts) -> None:
    """Write plan.json into the run folder, and what nnU-Net's prediction needs into the model folder."""
    source = paths.preprocessed / facts.preprocessed_key / contract.dataset
    for one in without(contract, facts.left_out_configurations or ()).by_configuration:
        model = paths.model(one, facts.plans_name)
        model.mkdir(parents=True, exist_ok=True)
        write_json(model / "plans.json", read_checked_plans(source / f"{facts.plans_name}.json"))
        write_json(model / "dataset.json", read_json(source / "dataset.json"))
    write_json(paths.plan_result, facts.to_json_dict())
