"""`nnunet-trainer plan`: check the dataset, then fingerprint, plan and preprocess it, or share what is there.

The result is keyed by content. It is built in a temporary folder and renamed, under a lock: a killed attempt
leaves a folder that the next one removes, and a second training that agrees on everything waits and reuses.
"""

import logging
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_api.contract import PLAIN_NAME, PlanFacts, RunContract, TerminationReport
from nnunet_api.dataset.layout import named
from nnunet_api.dataset.splits import SPLITS_FILE
from nnunet_trainer.dataset.checked_plans import read_checked_plans
from nnunet_trainer.dataset.configurations import with_configurations
from nnunet_trainer.dataset.contents import (
    Contents,
    read_contents,
    require_disjoint,
    require_labels,
    same_images,
    torn_apart,
    write_contents,
)
from nnunet_trainer.dataset.identity import dataset_hash, file_hash, preprocessed_key, sources_hash
from nnunet_trainer.dataset.integrity import verify_test_cases, verify_training_cases
from nnunet_trainer.dataset.manifest import write_manifest
from nnunet_trainer.dataset.raw import (
    CROSS_VALIDATION_FOLDS,
    RawDataset,
    check_test_set,
    check_test_set_whole,
    load_dataset,
)
from nnunet_trainer.dataset.shared_result import (
    FACTS_FILE,
    existing_result,
    maker,
    put_in_place,
    remove_leftovers,
    temporary_folder,
    who,
)
from nnunet_trainer.process.failures import (
    free_space,
    may_pass,
    one_line,
    storage_failed,
    wrong_configuration,
    wrong_data,
)
from nnunet_trainer.process.files import read_json, write_json
from nnunet_trainer.process.heartbeat import heartbeat
from nnunet_trainer.process.turn import turn
from nnunet_trainer.run import environment
from nnunet_trainer.run.paths import RunPaths

log = logging.getLogger(__name__)

_HASH_DIGITS = 12
"""Digits of a hash in a message."""
_COMPRESSION_AT_BEST = 0.1
"""No dataset is compressed better than this; a volume with less room than that is refused before the work."""


@dataclass(frozen=True)
class Classes:
    """nnU-Net's classes that the training names."""

    trainer: type
    planner: Any


def plan(contract: RunContract, paths: RunPaths) -> TerminationReport:
    """Check, plan and preprocess, or reuse; write plan.json into the run folder and return the report."""
    dataset = load_dataset(paths.raw, contract.dataset, contract.folds)
    test_cases = {} if contract.test_set is None else check_test_set(dataset, contract.test_set)
    with heartbeat("looking for files that are cut short"):
        dataset.check_whole()
        check_test_set_whole(dataset, test_cases)
    environment.prepare(contract, paths, paths.preprocessed)
    log.info("%s: %d training cases; loading torch and nnU-Net", contract.dataset, len(dataset.cases))
    from nnunet_trainer.training.classes import find_planner, find_trainer

    classes = Classes(find_trainer(contract.trainer_class), find_planner(contract.planning.planner))
    # Not part of what is shared, and needed only after all folds are trained: the time to look at it is now.
    test = verify_test_cases(dataset, test_cases, contract.processes) if test_cases else {}

    def admit(training: Contents) -> None:
        require_labels(dataset, training)
        require_disjoint(dataset, training, test_cases, test)

    facts = _shared_result(contract, paths, dataset, classes, admit)
    _warn_of_twins(paths.preprocessed / facts.preprocessed_key, contract)
    _publish(contract, paths, facts)
    how = "reused an existing result" if facts.reused else "planned and preprocessed"
    return TerminationReport(message=f"{how}: {facts.preprocessed_key}, {len(dataset.cases)} cases", plan=facts)


def _shared_result(
    contract: RunContract, paths: RunPaths, dataset: RawDataset, classes: Classes, admit: Callable[[Contents], None]
) -> PlanFacts:
    """Return the result of planning and preprocessing, made or reused.

    `admit` gets what the training cases hold, before anything long is done, and raises an error for what must not be.
    """
    digest = dataset_hash(dataset.files(), contract.processes)
    key = preprocessed_key(contract, digest, _nnunet_version(), sources_hash(_nnunet_package()))
    require_same_result(contract, paths, digest, key)
    folder = paths.preprocessed / key
    with turn(paths.preprocessed / f"{key}.lock", f"preprocessed data {key}", who(contract)) as alone:
        if alone:
            remove_leftovers(folder)
        if found := existing_result(contract, folder, digest):
            facts, contents = found
            log.info("%s exists: nothing to preprocess", key)
            if contents is None:
                contents = verify_training_cases(dataset, contract.processes)
                if alone:
                    write_contents(folder, contents)
                    write_manifest(folder, maker(contract), contract.processes)
            admit(contents)
            # It may have been made for a trainer class that can do with a smaller network.
            plans = read_checked_plans(folder / contract.dataset / f"{facts.plans_name}.json")
            _require_stages(contract, classes.trainer, plans)
            return facts.model_copy(update={"reused": not _made_by_this_run(paths, key)})
        temporary = temporary_folder(folder, passing=not alone)
        contents = verify_training_cases(dataset, contract.processes)
        admit(contents)
        facts = _build(contract, paths, dataset, classes, temporary, digest, key)
        write_contents(temporary, contents)
        write_manifest(temporary, maker(contract), contract.processes)
        # Everything must be on disk before the name says that it is: a node may die right after the rename.
        os.sync()
        return put_in_place(contract, temporary, folder, facts)


def require_same_result(contract: RunContract, paths: RunPaths, digest: str, key: str) -> None:
    """Raise TrainerError with WRONG_DATA when a run with checkpoints would go on with other data than it began with.

    `digest` and `key` are the hash of the dataset and the name of the preprocessed data as they are now.
    """
    earlier = _earlier_facts(paths)
    if earlier is None or earlier.preprocessed_key == key:
        return
    if not any((paths.run / contract.dataset).glob("*/fold_*/checkpoint_*.pth")):
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
        f"({earlier.nnunet_version} then, {_nnunet_version()} now, maybe with changed code) it would go on with {key}, "
        "and there are checkpoints. Use the image that it began with, or create a new training"
    )


def _made_by_this_run(paths: RunPaths, key: str) -> bool:
    """Tell whether an earlier attempt of this very run made the result and said so."""
    earlier = _earlier_facts(paths)
    return earlier is not None and earlier.preprocessed_key == key and not earlier.reused


def _earlier_facts(paths: RunPaths) -> PlanFacts | None:
    try:
        return PlanFacts.model_validate(read_json(paths.plan_result))
    except (FileNotFoundError, ValueError):
        return None


def _build(
    contract: RunContract, paths: RunPaths, dataset: RawDataset, classes: Classes, folder: Path, digest: str, key: str
) -> PlanFacts:
    """Run nnU-Net's planning and preprocessing with `folder` as nnUNet_preprocessed."""
    from nnunetv2.experiment_planning.dataset_fingerprint.fingerprint_extractor import DatasetFingerprintExtractor

    home = folder / contract.dataset
    home.mkdir(parents=True)
    environment.prepare(contract, paths, folder)
    with heartbeat("extracting the dataset's fingerprint"):
        extractor = DatasetFingerprintExtractor(contract.dataset, contract.processes)
        extractor.show_progress_bar = False
        extractor.run(overwrite_existing=True)
    with heartbeat("planning"):
        plans_name = _plan_experiment(contract, classes.planner)
    if not re.fullmatch(PLAIN_NAME, plans_name):
        raise wrong_configuration(
            f"planner {contract.planning.planner} calls its plans {plans_name!r}: use letters, digits, _, . and - only"
        )
    plans_file = home / f"{plans_name}.json"
    plans = with_configurations(read_json(plans_file), contract.planning.configurations)
    write_json(plans_file, plans)
    _preprocess(contract, dataset, classes.trainer, plans, home)
    _copy_references(dataset, home)
    splits_file = _write_splits(dataset, home)
    facts = PlanFacts(
        preprocessed_key=key,
        plans_name=plans_name,
        reused=False,
        dataset_hash=digest,
        plans_hash=file_hash(plans_file),
        splits_hash=file_hash(splits_file) if splits_file else "",
        nnunet_version=_nnunet_version(),
        torch_version=_torch_version(),
    )
    write_json(folder / FACTS_FILE, facts.to_json_dict())
    return facts


def _plan_experiment(contract: RunContract, planner: Any) -> str:
    target = contract.planning.gpu_memory_target_gb
    arguments = {} if target is None else {"gpu_memory_target_in_gb": target}
    # The planner hands this variable to torch.set_num_threads, which refuses 0; here it means threads.
    os.environ.update({"nnUNet_n_proc_DA": str(contract.processes)})
    made = planner(contract.dataset, **arguments)
    made.plan_experiment()
    return str(made.plans_identifier)


def _preprocess(contract: RunContract, dataset: RawDataset, trainer: type, plans: dict[str, Any], home: Path) -> None:
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    if contract.configuration not in plans["configurations"]:
        raise wrong_configuration(
            f"configuration {contract.configuration} is not in the plans for {contract.dataset}, which have "
            f"{named(plans['configurations'])}. Correct configuration, or define it under planning.configurations"
        )
    try:
        manager = PlansManager(plans).get_configuration(contract.configuration)
        output = home / manager.data_identifier
        _check_network(contract, dataset, plans)
        voxels = float(manager.median_image_size_in_voxels[0])
        for size in manager.median_image_size_in_voxels[1:]:
            voxels *= float(size)
    except (KeyError, TypeError, ValueError, RuntimeError, ImportError, AttributeError, AssertionError) as error:
        if may_pass(error):
            raise
        raise wrong_configuration(
            f"configuration {contract.configuration} can't be used: "
            f"{one_line(f'{type(error).__name__}: {error}')[:800]}"
        ) from error
    _require_stages(contract, trainer, plans)
    _check_room(home, voxels * len(dataset.cases) * (4 * dataset.channels + 1))
    preprocessor = manager.preprocessor_class(verbose=False)
    preprocessor.show_progress_bar = False
    with heartbeat(f"preprocessing {contract.configuration}", _case_counter(output, len(dataset.cases))):
        preprocessor.run(contract.dataset, contract.configuration, plans["plans_name"], contract.processes)


def _check_network(contract: RunContract, dataset: RawDataset, plans: dict[str, Any]) -> None:
    """Build the network once, where the training defines it: better here than in a pod that holds a GPU."""
    if contract.configuration not in contract.planning.configurations:
        return
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    manager = PlansManager(plans)
    configuration = manager.get_configuration(contract.configuration)
    get_network_from_plans(
        configuration.network_arch_class_name,
        configuration.network_arch_init_kwargs,
        configuration.network_arch_init_kwargs_req_import,
        dataset.channels,
        manager.get_label_manager(dataset.description).num_segmentation_heads,
        deep_supervision=True,
    )


def _require_stages(contract: RunContract, trainer: type, plans: dict[str, Any]) -> None:
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    from nnunet_trainer.training.classes import require_stages

    found = PlansManager(plans).get_configuration(contract.configuration)
    size = found.median_image_size_in_voxels
    require_stages(trainer, contract.configuration, found.network_arch_init_kwargs, size)


def _check_room(folder: Path, uncompressed_bytes: float) -> None:
    stat = os.statvfs(folder)
    free = stat.f_bavail * stat.f_frsize
    gib = uncompressed_bytes / 2**30
    fits = free >= uncompressed_bytes
    log.log(
        logging.INFO if fits else logging.WARNING,
        "preprocessed data: up to %.1f GiB before compression%s; the volume has %s",
        gib,
        "" if fits else ", which may not fit",
        free_space(folder),
    )
    if free < uncompressed_bytes * _COMPRESSION_AT_BEST:
        raise storage_failed(f"the preprocessed data (up to {gib:.1f} GiB before compression) will not fit", folder)


def _case_counter(folder: Path, total: int) -> Callable[[], str]:
    return lambda: f"{sum(1 for path in folder.glob('*.pkl'))}/{total} cases"


def _copy_references(dataset: RawDataset, home: Path) -> None:
    """Keep the reference segmentations beside the preprocessed data, where nnU-Net's validation looks for them."""
    references = home / "gt_segmentations"
    references.mkdir()
    for name, case in dataset.cases.items():
        shutil.copyfile(case.label, references / f"{name}{dataset.ending}")


def _write_splits(dataset: RawDataset, home: Path) -> Path | None:
    """Write splits_final.json: the dataset's own, or nnU-Net's seeded five-fold split.

    Otherwise the first trainers would write it, all at once and in place.
    """
    from nnunetv2.utilities.crossval_split import generate_crossval_split

    if dataset.splits is not None:
        splits = dataset.splits
    elif len(dataset.cases) >= CROSS_VALIDATION_FOLDS:
        made = generate_crossval_split(sorted(dataset.cases), seed=12345, n_splits=CROSS_VALIDATION_FOLDS)
        splits = [{part: [str(case) for case in cases] for part, cases in split.items()} for split in made]
    else:
        return None
    write_json(home / SPLITS_FILE, splits)
    return home / SPLITS_FILE


def _warn_of_twins(folder: Path, contract: RunContract) -> None:
    """Warn of training cases that are the same image, where a fold trains on one and validates on the other."""
    splits_file = folder / contract.dataset / SPLITS_FILE
    if contract.folds == ["all"] or not splits_file.is_file():
        return
    for told in torn_apart(same_images(read_contents(folder) or {}), read_json(splits_file)):
        log.warning(
            "the same image, voxel for voxel, to train on and to validate on: %s. The fold looks better than it is: "
            "remove all but one of them, or keep them together in a splits_final.json",
            told,
        )


def _publish(contract: RunContract, paths: RunPaths, facts: PlanFacts) -> None:
    """Write plan.json into the run folder, and what nnU-Net's prediction needs into the model folder."""
    source = paths.preprocessed / facts.preprocessed_key / contract.dataset
    model = paths.model(contract, facts.plans_name)
    model.mkdir(parents=True, exist_ok=True)
    write_json(model / "plans.json", read_checked_plans(source / f"{facts.plans_name}.json"))
    write_json(model / "dataset.json", read_json(source / "dataset.json"))
    write_json(paths.plan_result, facts.to_json_dict())


def _nnunet_version() -> str:
    from importlib.metadata import version

    return version("nnunetv2")


def _nnunet_package() -> Path:
    from importlib.util import find_spec

    spec = find_spec("nnunetv2")
    assert spec is not None and spec.submodule_search_locations, "nnunetv2 is not installed"
    return Path(spec.submodule_search_locations[0])


def _torch_version() -> str:
    import torch

    return str(torch.__version__)
