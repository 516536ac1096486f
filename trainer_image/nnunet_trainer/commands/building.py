"""Makes preprocessed data by nnU-Net: fingerprint, plans, networks that can be built, preprocessed cases, splits."""

import logging
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

from nnunet_api.contract import PLAIN_NAME, PlanFacts, RunContract
from nnunet_api.data_feed import WORKERS_VARIABLE
from nnunet_api.dataset.splits import SPLITS_FILE
from nnunet_api.splits import NNUNET_SEED
from nnunet_api.standard import GPU_MEMORY_GB, number_text
from nnunet_trainer.dataset.cascades import available
from nnunet_trainer.dataset.configurations import must_be_usable, require_planes, with_configurations
from nnunet_trainer.dataset.identity import file_hash
from nnunet_trainer.dataset.raw import CROSS_VALIDATION_FOLDS, RawDataset
from nnunet_trainer.dataset.shared_result import FACTS_FILE
from nnunet_trainer.dataset.splitting import nnunet_splits
from nnunet_trainer.process.failures import free_space, one_line, storage_failed, wrong_configuration
from nnunet_trainer.process.files import read_json, write_json
from nnunet_trainer.process.heartbeat import heartbeat
from nnunet_trainer.process.installed import nnunet_version, torch_version
from nnunet_trainer.run import environment
from nnunet_trainer.run.paths import RunPaths
from nnunet_trainer.run.properties import unreadable_properties

log = logging.getLogger(__name__)

_COMPRESSION_AT_BEST = 0.1
"""No dataset is compressed better than this; a volume with less room than that is refused before the work."""


@dataclass(frozen=True)
class Classes:
    """nnU-Net's classes that the training names."""

    trainer: type
    planner: Any
    weights: Any
    """`training.initial_weights.Weights`, which loads torch; None for random weights."""


def build(
    contract: RunContract, paths: RunPaths, dataset: RawDataset, classes: Classes, folder: Path, digest: str, key: str
) -> PlanFacts:
    """Run nnU-Net's planning and preprocessing with `folder` as nnUNet_preprocessed."""
    from nnunetv2.experiment_planning.dataset_fingerprint.fingerprint_extractor import DatasetFingerprintExtractor
    from nnunetv2.utilities import utils

    # It sorts names of files into cases by twelve forks of this process, several times.
    utils.Pool = ThreadPool
    home = folder / contract.dataset
    home.mkdir(parents=True)
    environment.prepare(contract, paths, folder)
    with heartbeat("extracting the dataset's fingerprint"):
        extractor = DatasetFingerprintExtractor(contract.dataset, _workers(contract, dataset))
        extractor.show_progress_bar = False
        extractor.run(overwrite_existing=True)
    with heartbeat("planning"):
        plans_name = _plans(contract, classes, folder)
    if not re.fullmatch(PLAIN_NAME, plans_name):
        raise wrong_configuration(
            f"planner {contract.planning.planner} calls its plans {plans_name!r}: use letters, digits, _, . and - only"
        )
    plans_file = home / f"{plans_name}.json"
    plans = with_configurations(read_json(plans_file), contract.planning.configurations)
    write_json(plans_file, plans)
    left = available(contract, plans)
    for one in left.by_configuration:
        _preprocess(one, dataset, classes.trainer, plans, home)
    _copy_references(dataset, home)
    splits_file = _write_splits(dataset, home)
    facts = PlanFacts(
        preprocessed_key=key,
        plans_name=plans_name,
        reused=False,
        dataset_hash=digest,
        plans_hash=file_hash(plans_file),
        splits_hash=file_hash(splits_file) if splits_file else "",
        nnunet_version=nnunet_version(),
        torch_version=torch_version(),
        left_out_configurations=left.left_out_configurations or None,
    )
    write_json(folder / FACTS_FILE, facts.to_json_dict())
    return facts


def _workers(contract: RunContract, dataset: RawDataset) -> int:
    """Return the workers for steps that take case by case: no more than there are cases."""
    return min(contract.processes, len(dataset.cases))


def _plans(contract: RunContract, classes: Classes, folder: Path) -> str:
    """Let plans be written, those of the initial weights where these have some; return their name."""
    weights = classes.weights
    if weights and weights.bring_plans:
        return str(weights.take_over_plans(contract.dataset, folder))
    name = _plan_experiment(contract, classes)
    return str(weights.adapt_plans(folder / contract.dataset / f"{name}.json")) if weights else name


def _plan_experiment(contract: RunContract, classes: Classes) -> str:
    target = contract.planning.gpu_memory_target_gb
    arguments = {} if target is None else {"gpu_memory_target_in_gb": target}
    # The planner hands this variable to torch.set_num_threads, which refuses 0; here it means threads.
    os.environ.update({WORKERS_VARIABLE: str(contract.processes)})
    made = classes.planner(contract.dataset, **arguments)
    try:
        made.plan_experiment()
    except (OverflowError, ZeroDivisionError) as error:
        if target is None:
            raise
        raise wrong_configuration(
            f"planning.gpuMemoryTargetGB is {number_text(target)}, for which {contract.planning.planner} finds no "
            f"network ({one_line(str(error))}). Give more: nnU-Net's own is {GPU_MEMORY_GB}"
        ) from error
    return str(made.plans_identifier)


def _preprocess(contract: RunContract, dataset: RawDataset, trainer: type, plans: dict[str, Any], home: Path) -> None:
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    with must_be_usable(f"configuration {contract.configuration}"):
        manager = PlansManager(plans).get_configuration(contract.configuration)
        output = home / manager.data_identifier
        _check_network(contract, dataset, plans)
        voxels = float(manager.median_image_size_in_voxels[0])
        for size in manager.median_image_size_in_voxels[1:]:
            voxels *= float(size)
    require_stages_of(contract, trainer, plans)
    if output.exists():  # another configuration uses the same data
        return
    _check_room(home, voxels * len(dataset.cases) * (4 * dataset.channels + 1))
    preprocessor = manager.preprocessor_class(verbose=False)
    preprocessor.show_progress_bar = False
    with heartbeat(f"preprocessing {contract.configuration}", _case_counter(output, len(dataset.cases))):
        preprocessor.run(contract.dataset, contract.configuration, plans["plans_name"], _workers(contract, dataset))
    require_plain(output, type(preprocessor).__name__)


def require_plain(output: Path, preprocessor: str) -> None:
    """Raise TrainerError where a fold would refuse what is kept of the cases."""
    if refused := unreadable_properties(output):
        raise wrong_configuration(
            f"preprocessor {preprocessor}, or the reader of the images, keeps properties of cases that no fold reads: "
            f"{refused}. Folds read numbers, text, lists, dicts and arrays of numbers or text alone: let it keep plain "
            "data"
        )


def _check_network(contract: RunContract, dataset: RawDataset, plans: dict[str, Any]) -> None:
    """Build the network once, where the training defines it: better here than in a pod that holds a GPU."""
    if contract.configuration not in contract.planning.configurations:
        return
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
    from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    manager = PlansManager(plans)
    configuration = manager.get_configuration(contract.configuration)
    get_network_from_plans(
        configuration.network_arch_class_name,
        configuration.network_arch_init_kwargs,
        configuration.network_arch_init_kwargs_req_import,
        determine_num_input_channels(manager, configuration, dataset.description),
        manager.get_label_manager(dataset.description).num_segmentation_heads,
        deep_supervision=True,
    )


def require_stages_of(contract: RunContract, trainer: type, plans: dict[str, Any]) -> None:
    """Raise TrainerError where a network has too few stages, or a patch too few planes, for the trainer."""
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    from nnunet_trainer.training.classes import require_stages

    found = PlansManager(plans).get_configuration(contract.configuration)
    size = found.median_image_size_in_voxels
    require_stages(
        trainer, contract.configuration, found.network_arch_init_kwargs, size, contract.planning.gpu_memory_target_gb
    )
    require_planes(contract.configuration, found.patch_size)


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


def five_folds(dataset: RawDataset) -> list[dict[str, list[str]]]:
    """Return nnU-Net's own five folds, by its seed."""
    return nnunet_splits(dataset.cases, CROSS_VALIDATION_FOLDS, NNUNET_SEED)


def _write_splits(dataset: RawDataset, home: Path) -> Path | None:
    """Write splits_final.json: the dataset's own, or nnU-Net's seeded five-fold split.

    Otherwise the first trainers would write it, all at once and in place.
    """
    if dataset.splits is not None:
        splits = dataset.splits
    elif len(dataset.cases) >= CROSS_VALIDATION_FOLDS:
        splits = five_folds(dataset)
    else:
        return None
    write_json(home / SPLITS_FILE, splits)
    return home / SPLITS_FILE
