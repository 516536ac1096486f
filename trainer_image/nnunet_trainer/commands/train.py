"""`nnunet-trainer train --fold N`: train one fold to the end of its schedule, from wherever it stands."""

import logging
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_api.contract import PlanFacts, RunContract, TerminationReport
from nnunet_api.dataset.layout import named
from nnunet_api.exit_codes import ExitCode
from nnunet_api.facts import FoldFacts
from nnunet_api.training import Device
from nnunet_api.words import counted
from nnunet_trainer.dataset.checked_plans import read_checked_plans
from nnunet_trainer.dataset.identity import file_hash
from nnunet_trainer.dataset.local_copy import reads_from, use_local_copy
from nnunet_trainer.dataset.manifest import missing, read_manifest
from nnunet_trainer.dataset.run_splits import read_splits
from nnunet_trainer.process import compiling, later, pools
from nnunet_trainer.process.failures import (
    TrainerError,
    is_missing_or_damaged,
    one_line,
    wrong_configuration,
    wrong_data,
)
from nnunet_trainer.process.files import Locked, lock, read_json, read_text
from nnunet_trainer.process.gpu import require_gpu
from nnunet_trainer.process.imports import uncollected
from nnunet_trainer.process.malloc import freed_memory_kept
from nnunet_trainer.process.preemption import Preemption
from nnunet_trainer.run import environment
from nnunet_trainer.run.fence import Fence
from nnunet_trainer.run.fold_run import FoldRun
from nnunet_trainer.run.metrics import FoldMetrics
from nnunet_trainer.run.paths import (
    FINAL,
    LATEST,
    PREVIOUS,
    VALIDATION_FOLDER,
    VALIDATION_SUMMARY,
    RunPaths,
    has_preprocessed_data,
)
from nnunet_trainer.run.provenance import conditions, fix_conditions, tell_data_read_from
from nnunet_trainer.run.serving import serve
from nnunet_trainer.scoring.probabilities import whole_probabilities
from nnunet_trainer.scoring.scores import foreground_mean, read_scores
from nnunet_trainer.scoring.stage_predictions import NEXT_STAGES_FILE, fault, require_previous_stage
from nnunet_trainer.selection.record import is_chosen_from, keeps_probabilities

if TYPE_CHECKING:
    from nnunet_trainer.training.control import Control

log = logging.getLogger(__name__)

LOCK_FILE = ".attempt.lock"
LOCK_TIMEOUT_SECONDS = 120.0
"""How long an attempt waits for the one before it to be gone."""


def read_plan(paths: RunPaths) -> PlanFacts:
    """Return the outcome of planning. Raises TrainerError with WRONG_CONFIGURATION where there is none."""
    try:
        return PlanFacts.model_validate_json(read_text(paths.plan_result))
    except FileNotFoundError:
        raise wrong_configuration(
            f"{paths.plan_result} is missing, which planning leaves there: was the folder of the run deleted? Suspend "
            "and resume the training to have it planned again"
        ) from None


def train(
    contract: RunContract,
    paths: RunPaths,
    fold: str,
    replicate: int,
    report_on_stop: Callable[[Callable[[], TerminationReport]], None],
    preemption: Preemption,
) -> TerminationReport:
    """Train a fold of a replicate (1 = first), validate it on full volumes and return the report."""
    if fold not in contract.folds:
        raise wrong_configuration(f"fold {fold} is not part of this training, which has {', '.join(contract.folds)}")
    if not 1 <= replicate <= contract.replicates:
        raise wrong_configuration(f"there is no replicate {replicate}: replicates is {contract.replicates}")
    plan = read_plan(paths)
    name = contract.fold_key(fold, replicate).name
    folder = paths.fold(contract, plan.plans_name, fold, replicate)
    try:
        with lock(folder / LOCK_FILE, f"fold {name}", LOCK_TIMEOUT_SECONDS):
            metrics = FoldMetrics(contract, name, plan.plans_name)
            run = FoldRun(contract, fold, folder, metrics, replicate=replicate)
            report_on_stop(run.preempted_report)
            return _attempt(run, paths, plan, preemption)
    except Locked as error:
        # Another attempt is alive: not a failure of this one, and none to be counted.
        raise TrainerError(
            ExitCode.PREEMPTED, f"another trainer works on fold {name} ({error}); trying again later"
        ) from error


def _attempt(run: FoldRun, paths: RunPaths, plan: PlanFacts, preemption: Preemption) -> TerminationReport:
    contract = run.contract
    environment.prepare(
        contract, paths, paths.preprocessed / plan.preprocessed_key, paths.results_of(contract, run.replicate)
    )
    if _is_complete(run) and _has_handed_on(run) and not _owes_probabilities(run, paths):
        log.info("fold %s is complete already", run.name)
        return _report(run)
    require_preprocessed_data(contract, paths, plan)
    _give_split(run, paths, plan)
    run.learnt_from = require_previous_stage(contract, paths, plan, run.replicate)
    run.start_attempt()
    serve(run.metrics.registry, run.served)
    if not _has_trained(run):  # the validation reads a part of the cases, and once
        use_local_copy(run, paths, plan)
    log.info("loading torch and nnU-Net")
    if contract.gpus > 1:
        from nnunet_trainer.training import ranks

        _require_large_batch(contract, paths, plan)
        rendezvous = ranks.start_followers(
            contract.gpus,
            _follow,
            run.fold,
            run.replicate,
            contract,
            paths,
            plan,
            run.fence,
            volumes=[paths.run, Path("/tmp")],
            read_only=[paths.preprocessed],
        )
        ranks.join_group(0, contract.gpus, rendezvous, contract.device)
    trainer = _make_trainer(run, paths, plan)
    trainer.take_control(run, preemption)
    run.torch_compile = _compiling(trainer)
    run.data_read_from = reads_from(run, trainer.preprocessed_dataset_folder)
    log.info("torch.compile is %s", run.torch_compile)
    fix_conditions(run, conditions(run, plan, trainer))
    run.complete(_train_and_validate(run, trainer, paths, plan))
    (run.folder / PREVIOUS).unlink(missing_ok=True)
    return _report(run)


def _follow(
    rank: int,
    rendezvous: Path,
    fold: str,
    replicate: int,
    contract: RunContract,
    paths: RunPaths,
    plan: PlanFacts,
    fence: Fence,
) -> None:
    """Work as one of several processes on a fold that another process leads."""
    from nnunet_trainer.training import ranks

    log_format = f"%(asctime)s nnunet-trainer rank {rank} %(levelname)s %(message)s"
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format=log_format)
    later.put_off()
    pools.share_imports()
    ranks.join_group(rank, contract.gpus, rendezvous, contract.device)
    folder = paths.fold(contract, plan.plans_name, fold, replicate)
    metrics = FoldMetrics(contract, fold, plan.plans_name)
    run = FoldRun(contract, fold, folder, metrics, replicate=replicate, follows=fence)
    _give_split(run, paths, plan)
    trainer = _make_trainer(run, paths, plan)
    # Signals are for the leader to answer.
    trainer.take_control(run, Preemption(lambda: None))
    _train_and_validate(run, trainer, paths, plan)


def _give_split(run: FoldRun, paths: RunPaths, plan: PlanFacts) -> None:
    splits = read_splits(run.contract, paths, plan)
    run.split = splits[int(run.fold)] if splits is not None else None


def _train_and_validate(run: FoldRun, trainer: "Control", paths: RunPaths, plan: PlanFacts) -> float | None:
    """Bring a fold to its end and return its Dice on full volumes; every process that works on it calls this."""
    from nnunet_trainer.training.ranks import agreed

    # Only where there is no checkpoint at all: what was trained since is never taken back.
    if not trainer.restore_newest_checkpoint() and run.contract.initial_weights:
        from nnunet_trainer.training import initial_weights

        initial_weights.load(trainer, paths, plan)
    # A final checkpoint may be that of an earlier end, where policies ask for more epochs since.
    if agreed(
        lambda: trainer.current_epoch < trainer.planned_end or _epochs_in(run.folder / FINAL) < trainer.current_epoch
    ):
        if run.leads:
            # Whatever was validated, it was not with the network that comes out now.
            shutil.rmtree(run.folder / VALIDATION_FOLDER, ignore_errors=True)
            (run.folder / NEXT_STAGES_FILE).unlink(missing_ok=True)
            if trainer.current_epoch < trainer.planned_end:
                # There may be no copy, because all seemed to be trained: a final checkpoint that does not load.
                tell_data_read_from(run, reads_from(run, trainer.preprocessed_dataset_folder, trains=True))
        with freed_memory_kept(environment.training_processes(run.contract)):
            trainer.run_training()
    if run.fold == "all":
        # Every case was trained on: a "validation" would only measure how well the network remembers.
        return None
    return _validate(trainer, run, paths)


def _require_large_batch(contract: RunContract, paths: RunPaths, plan: PlanFacts) -> None:
    """Raise TrainerError with WRONG_CONFIGURATION where there are fewer samples in a batch than GPUs."""
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    data = paths.preprocessed / plan.preprocessed_key / contract.dataset
    plans = read_checked_plans(data / f"{plan.plans_name}.json")
    size = PlansManager(plans).get_configuration(contract.configuration).batch_size
    if size < contract.gpus:
        raise wrong_configuration(
            f"resources.gpus is {contract.gpus}, but a batch of configuration {contract.configuration} has {size} "
            "samples, and each GPU needs one. Ask for fewer GPUs, or for a larger batch_size under "
            "planning.configurations"
        )


def require_preprocessed_data(contract: RunContract, paths: RunPaths, plan: PlanFacts) -> None:
    """Raise TrainerError with WRONG_DATA when what planning made is no longer there: no attempt can mend that."""
    folder = paths.preprocessed / plan.preprocessed_key
    manifest = read_manifest(folder)
    wrong = missing(folder, manifest) if manifest else ""
    if wrong or not has_preprocessed_data(contract, folder, plan.plans_name):
        raise wrong_data(
            f"the preprocessed data of this training is gone: {folder} is missing or incomplete"
            f"{f' ({wrong})' if wrong else ''}. Suspend and resume the training to have it made again; it then goes on "
            "from its checkpoints"
        )


def _epochs_in(path: Path) -> int:
    """Return the finished epochs in a checkpoint, 0 for one that is missing or damaged. Loads torch."""
    from nnunet_trainer.training.checkpoints import finished_epochs

    try:
        return finished_epochs(path)
    except Exception as error:
        if not is_missing_or_damaged(error):
            raise
        log.warning("%s can't be read: %s", path.name, one_line(str(error))[:300])
        return 0


def _is_complete(run: FoldRun) -> bool:
    """Tell whether nothing is left to do; torch is loaded only where that seems to be so."""
    facts = run.facts
    if not _has_trained(run):
        return False
    validated = run.fold == "all" or (facts.mean_validation_dice is not None and _summary_is_there(run.folder))
    return validated and _epochs_in(run.folder / FINAL) >= _epochs_due(run)


def _has_trained(run: FoldRun) -> bool:
    """Tell whether no epoch is left to train, by what the journal and the names of the checkpoints say."""
    return run.facts.epoch >= _epochs_due(run) and (run.folder / FINAL).is_file()


def _epochs_due(run: FoldRun) -> int:
    # Policies may ask for more epochs than when early stopping ended the fold.
    return max(run.facts.planned_end, min(run.contract.min_epochs, run.facts.epochs_target))


def _has_handed_on(run: FoldRun) -> bool:
    """Tell whether the predictions that cascades learn from are there, as the final checkpoint has made them."""
    for name in run.contract.next_stages:
        if why := fault(run.folder, name):
            log.info("the predictions of fold %s for %s %s", run.name, name, why)
            return False
    return True


def _summary_is_there(folder: Path) -> bool:
    try:
        return "foreground_mean" in read_json(folder / VALIDATION_SUMMARY)
    except (OSError, ValueError):
        return False


def _make_trainer(run: FoldRun, paths: RunPaths, plan: PlanFacts) -> "Control":
    with uncollected():
        import torch

    contract = run.contract
    torch.set_num_threads(environment.torch_threads(contract))
    if contract.device is Device.CUDA:
        require_gpu()
        if compiling.too_old(torch.cuda.get_device_capability()):
            os.environ.setdefault(compiling.VARIABLE, "f")
        # As nnU-Net's run_training does.
        torch.backends.cudnn.deterministic = False
        torch.backends.cudnn.benchmark = True

    with uncollected():
        from nnunet_trainer.training import seeds
        from nnunet_trainer.training.classes import find_trainer
        from nnunet_trainer.training.control import controlled

    if run.seed is not None:
        seeds.make_deterministic()
        seeds.seed_everything(seeds.seed_of(run.seed, seeds.Stream.INITIALISATION))
    base = find_trainer(contract.trainer_class)
    data = paths.preprocessed / plan.preprocessed_key / contract.dataset
    plans = read_checked_plans(data / f"{plan.plans_name}.json")
    # nnU-Net's trainers take this out of the plans again; it only concerns external loggers.
    plans["continue_training"] = (run.folder / LATEST).exists()
    trainer = controlled(base)(
        plans=plans,
        configuration=contract.configuration,
        fold=run.fold if run.fold == "all" else int(run.fold),
        dataset_json=read_json(data / "dataset.json"),
        device=torch.device(contract.device.value),
    )
    if contract.device is Device.CPU:
        # With several processes nnU-Net takes a GPU for granted.
        trainer.device, trainer.grad_scaler = torch.device("cpu"), None
    return trainer


def _compiling(trainer: "Control") -> str:
    import torch

    gpu = torch.cuda.get_device_capability(trainer.device) if trainer.device.type == "cuda" else None
    return compiling.stated(trainer._do_i_compile(), gpu, type(trainer).__name__)


def _owes_probabilities(run: FoldRun, paths: RunPaths) -> bool:
    """Tell whether probabilities of validation cases are needed that are not there: until the choice is made."""
    if not _keeps_probabilities(run, paths):
        return False
    ending = str(read_json(run.folder.parent / "dataset.json")["file_ending"])
    scored = read_scores(run.folder / VALIDATION_SUMMARY, ending)
    lacking = set(scored) - whole_probabilities(run.folder / VALIDATION_FOLDER)
    if lacking:
        log.info("the selection needs the probabilities of %s, which are not there", named(lacking))
    return bool(lacking)


def _keeps_probabilities(run: FoldRun, paths: RunPaths) -> bool:
    if not keeps_probabilities(run.contract):
        return False
    return not is_chosen_from(paths.run, run.contract, run.name, file_hash(run.folder / FINAL))


def _validate(trainer: "Control", run: FoldRun, paths: RunPaths) -> float | None:
    """Predict the fold's validation cases as full volumes, unless that is done, and return their Dice."""
    from nnunet_trainer.training.ranks import agreed

    summary = run.folder / VALIDATION_SUMMARY
    if not agreed(
        lambda: _summary_is_there(run.folder) and _has_handed_on(run) and not _owes_probabilities(run, paths)
    ):
        log.info("full-volume validation of fold %s", run.name)
        if run.leads:
            # nnU-Net writes the summary last and in place: a part of one must not look finished.
            summary.unlink(missing_ok=True)
        trainer.perform_actual_validation(agreed(lambda: _keeps_probabilities(run, paths)))
    if not run.leads:
        return None
    if not _summary_is_there(run.folder):
        raise wrong_configuration(
            f"trainer class {type(trainer).__name__} writes no {VALIDATION_SUMMARY}, so its result can't be told"
        )
    if _owes_probabilities(run, paths):
        raise wrong_configuration(
            f"trainer class {type(trainer).__name__} keeps no probabilities of its validation cases, which pairs of "
            "configurations are made of: let it leave perform_actual_validation to nnUNetTrainer, or create the "
            "training with selection.ensembles: false"
        )
    return foreground_mean(read_scores(summary, trainer.dataset_json["file_ending"]).values())


def _report(run: FoldRun) -> TerminationReport:
    facts: FoldFacts = run.facts
    dice = facts.mean_validation_dice
    if dice is not None:
        result = f"mean validation Dice {dice:.4f}"
    elif run.fold == "all":
        result = "no validation cases"
    else:
        result = "validation Dice undefined: no validation case holds or predicts any class"
    early = " (early stopping)" if facts.planned_end < facts.epochs_target else ""
    epochs = f"{facts.epoch} of {counted(facts.epochs_target, 'epoch')}"
    return TerminationReport(
        message=f"fold {run.name} is complete: {epochs}{early}, {result}",
        fold=facts,
    )
