"""The control mixin: any nnUNetTrainer under this project's epoch budget, checkpoints, metrics and signals.

The class that results carries the name of the class under control, so folders and checkpoints look as if plain
nnU-Net had written them and plain nnUNetv2_predict finds everything.
"""

import logging
import math
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nnunetv2.evaluation import evaluate_predictions
from nnunetv2.training.dataloading.nnunet_dataset import infer_dataset_class
from nnunetv2.training.lr_scheduler.polylr import PolyLRScheduler
from nnunetv2.training.nnUNetTrainer import nnUNetTrainer as nnunet_trainer_module
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_api.exit_codes import ExitCode
from nnunet_api.facts import EarlyStopFacts, FoldFacts
from nnunet_api.reasons import EarlyStoppingState
from nnunet_api.schedule import short_of_iterations
from nnunet_api.words import counted
from nnunet_trainer.process.failures import TrainerError, may_be_damage, wrong_configuration
from nnunet_trainer.process.numbers import number
from nnunet_trainer.process.preemption import Preemption
from nnunet_trainer.run.fold_run import FoldRun
from nnunet_trainer.run.journal import ITERATIONS_KEY, OWNER_KEY
from nnunet_trainer.run.metrics import Metric, never_fail
from nnunet_trainer.run.paths import BEST, LATEST, PREVIOUS, VALIDATION_FOLDER
from nnunet_trainer.scoring import scores
from nnunet_trainer.scoring.predictions import make_exports_atomic, pass_over_unfinished, whole_ones
from nnunet_trainer.training import checkpoints, early_stopping, schedule, seeds
from nnunet_trainer.training.guarded import Guarded
from nnunet_trainer.training.next_stages import NextStages
from nnunet_trainer.training.pace import Paced
from nnunet_trainer.training.ranks import agreed
from nnunet_trainer.training.rates import STANDARD_LEARNING_RATE, RateSchedule

log = logging.getLogger(__name__)

PROGRESS_PLOT_EPOCHS = 20
"""nnU-Net draws progress.png after every epoch, which costs 0.7 s each time; here it is drawn this often."""


class _Ended(Exception):
    """The early-stopping rule has ended the training: leaves nnU-Net's loop, whose range is fixed when it begins."""


class Control(Guarded, Paced):
    """Goes before a trainer class in the method resolution order. Has no __init__: nnU-Net inspects its signature."""

    # Names that no class under control is likely to use for something else.
    _fold_run: FoldRun
    _preemption: Preemption
    initial_lr: float
    dataset_class: Any
    _best_ema: float | None
    _validated: frozenset[str] = frozenset()
    _best_saved_at: int | None = None
    _fewest_iterations: int | None = None
    """Training iterations of the epoch that had the fewest; none before the first, and by older checkpoints."""
    _latest_is_useless = False
    """The checkpoint that is replaced next was passed over: it must not take the place of the one before."""
    _verdict: EarlyStopFacts = EarlyStopFacts(state=EarlyStoppingState.DISABLED)

    def take_control(self, run: FoldRun, preemption: Preemption) -> None:
        """Impose the contract on a trainer that was constructed and not yet initialized."""
        self._fold_run, self._preemption = run, preemption
        plan = run.contract.schedule
        self.num_epochs = plan.epochs
        self.num_iterations_per_epoch = plan.iterations_per_epoch
        self.num_val_iterations_per_epoch = plan.validation_iterations_per_epoch
        if plan.initial_learning_rate is not None:
            self._override_learning_rate(plan.initial_learning_rate)
        self.disable_checkpointing = False
        # Never by nnU-Net itself: on_epoch_end below saves after every epoch.
        self.save_every = sys.maxsize
        # The planner points 3d_lowres to the cascade, trained or not: nnU-Net's validation would look in vain for its
        # data. In memory only, the plans on disk stay as nnU-Net wrote them.
        self.configuration_manager.configuration["next_stage"] = run.contract.next_stages or None
        self._thin_out_progress_plot()
        self._judge()

    @property
    def planned_end(self) -> int:
        """Finished epochs at which the training ends: those of the schedule, or fewer by the early-stopping rule."""
        end = self._verdict.end_epoch
        return self.num_epochs if end is None else end

    def restore_newest_checkpoint(self) -> bool:
        """Load the newest checkpoint that loads, if there is any; tell whether there was.

        Raises TrainerError with CHECKPOINT_UNUSABLE where there are some and none loads.
        """
        folder = Path(self.output_folder)
        found, damaged = checkpoints.readable_checkpoints(folder)
        if found and not self.was_initialized:
            # load_checkpoint would do it, and a network or GPU that fails would look like a checkpoint that does.
            self.initialize()
        useless: list[str] = []
        for checkpoint in found:
            if not self._loads(checkpoint.path):
                useless.append(checkpoint.path.name)
                continue
            self._fold_run.passed_over += checkpoints.passed_over(damaged, checkpoint.path.name) + useless
            self._latest_is_useless = LATEST in [*damaged, *useless]
            known = self.my_init_kwargs.get(OWNER_KEY)  # that of the checkpoint by now
            self._fewest_iterations = known.get(ITERATIONS_KEY) if isinstance(known, dict) else None
            finished = counted(self.current_epoch, "epoch")
            log.info("going on from %s: %s finished", checkpoint.path.name, finished)
            self._fold_run.set_min_epochs(self.current_epoch)
            self._judge()
            self._fold_run.resume(self._facts())
            self._publish_details()
            return True
        if found:
            raise checkpoints.unusable(folder, "none of them fits the network of this training and has finite weights")
        self._fold_run.set_min_epochs(0)
        self._fold_run.resume(
            FoldFacts(fold=self._fold_run.name, epoch=0, epochs_target=self.num_epochs, early_stopping=self._verdict)
        )
        return False

    def _loads(self, path: Path) -> bool:
        """Load a checkpoint; return False where it is damaged, of another network, or its weights are no numbers."""
        try:
            self.load_checkpoint(str(path))
        except Exception as error:
            if not may_be_damage(error):
                raise
            log.warning("%s does not load and is passed over: %s", path.name, error)
            return False
        if checkpoints.all_finite(self.network):
            return True
        log.warning("%s holds weights that are not finite numbers and is passed over", path.name)
        return False

    def configure_optimizers(self, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """Put the contract's policy, or the checked formula, in the place of nnU-Net's; other schedulers stay."""
        optimizer, own = super().configure_optimizers(*args, **kwargs)
        plan = self._fold_run.contract.schedule

        def rate(epoch: int) -> float | None:
            verdict = self._verdict
            # Where the policies ask for more than when an earlier attempt began to anneal, the verdict is a later one
            # or none: the rate goes back to the schedule, and from where it is then down to 0 in a tail of full length.
            if verdict.epoch is not None and verdict.end_epoch is not None and epoch >= verdict.epoch:
                start = self.logger.get_value("lrs", step=None)[verdict.epoch - 1]
                return schedule.annealed_learning_rate(start, epoch, verdict.epoch, verdict.end_epoch)
            if plan.learning_rate_policy is not None:
                return schedule.learning_rate(
                    plan.learning_rate_policy, self.initial_lr, epoch, self.num_epochs, plan.warmup_epochs
                )
            if type(own) is PolyLRScheduler:
                return schedule.poly_learning_rate(own.initial_lr, epoch, own.max_steps, own.exponent)
            return None

        return optimizer, RateSchedule(optimizer, own, rate)

    def get_dataloaders(self) -> tuple[Any, Any]:
        """Make the batches reproducible where the training has a seed."""
        training, validation = super().get_dataloaders()
        seed = self._fold_run.seed
        if seed is None:
            return training, validation
        first = self.current_epoch * self.num_iterations_per_epoch
        first_validation = self.current_epoch * self.num_val_iterations_per_epoch
        return (
            seeds.seeded(training, seed, seeds.Stream.TRAINING_BATCHES, self.local_rank, first),
            seeds.seeded(validation, seed, seeds.Stream.VALIDATION_BATCHES, self.local_rank, first_validation),
        )

    def run_training(self) -> None:
        """Train until the schedule or the early-stopping rule ends it."""
        try:
            super().run_training()
        except _Ended:
            self.print_to_log_file(f"Early stopping ends the training after {counted(self.current_epoch, 'epoch')}")
            self.on_train_end()

    def do_split(self) -> tuple[list[str], list[str]]:
        """Leave out what is validated already: nnU-Net scores all that is there. A split of the run's own wins."""
        own = self._fold_run.split
        if own is None:
            training, validation = super().do_split()
        else:
            training, validation = list(own["train"]), list(own["val"])
            # nnU-Net finds it out in the method that this one stands in for.
            self.dataset_class = self.dataset_class or infer_dataset_class(self.preprocessed_dataset_folder)
        return training, [case for case in validation if case not in self._validated]

    def perform_actual_validation(self, *args: Any, **kwargs: Any) -> None:
        """Go on where an earlier attempt left, unless the class under control validates in a way of its own."""
        folder = Path(self.output_folder, VALIDATION_FOLDER)
        self._fold_run.check_fence()
        self._validated = frozenset()
        pass_over_unfinished(evaluate_predictions)
        names = self._fold_run.contract.next_stages
        handed_on = NextStages(self, names, self.do_split()[1], self._fold_run.fence) if names else None
        if super().perform_actual_validation.__func__ is nnUNetTrainer.perform_actual_validation:
            make_exports_atomic(nnunet_trainer_module, fence=self._fold_run.fence)
            # One process looks: looking removes what is not whole, and the others may be writing already.
            self._validated = agreed(lambda: frozenset(whole_ones(folder, self.dataset_json["file_ending"], any(args))))
            if handed_on:
                handed_on.save_by(nnunet_trainer_module)
                self._validated &= agreed(handed_on.begin)
            log.info("%s predicted already", counted(len(self._validated), "case is", "cases are"))
        else:
            agreed(lambda: shutil.rmtree(folder, ignore_errors=True))
            if handed_on:
                agreed(handed_on.clear)
        super().perform_actual_validation(*args, **kwargs)
        if handed_on and self._fold_run.leads:
            handed_on.finish(type(self).__name__)

    def on_epoch_start(self) -> None:
        """Note the epoch in the journal, unless there shall be none."""
        if self.current_epoch >= self.planned_end:
            raise _Ended
        if self._fold_run.seed is not None:
            stream = seeds.Stream.EPOCH
            seeds.seed_everything(seeds.seed_of(self._fold_run.seed, stream, self.local_rank, self.current_epoch))
        self._clock.begin()
        self._fold_run.begin_epoch(self.current_epoch)
        super().on_epoch_start()

    def on_validation_epoch_end(self, val_outputs: list[dict[str, Any]]) -> None:
        """Repair the moving average, which nnU-Net lets become NaN for ever."""
        super().on_validation_epoch_end(val_outputs)
        averages = self.logger.get_value("ema_fg_dice", step=None)
        previous = averages[-2] if len(averages) > 1 else math.nan
        averages[-1] = schedule.moving_average(previous, self.logger.get_value("mean_fg_dice", step=-1))

    def on_train_epoch_end(self, train_outputs: list[dict[str, Any]]) -> None:
        """Count what an epoch was: the class under control may have an idea of its own."""
        super().on_train_epoch_end(train_outputs)
        done = len(train_outputs)
        self._fewest_iterations = done if self._fewest_iterations is None else min(self._fewest_iterations, done)
        if few := short_of_iterations(done, self._fold_run.contract.schedule):
            # Now, and not after days of training: where policies ask for epochs, the verification counts none of these.
            raise wrong_configuration(
                f"trainer class {type(self).__name__} does not train what it is asked for: {few}. Let it leave "
                "num_iterations_per_epoch alone and create the training anew, or ask for as many as it trains"
            )

    def on_epoch_end(self) -> None:
        """Save after every epoch. A stop request waits for it, so that a finished epoch is never lost."""
        self._require_numbers()
        with self._preemption.shield():
            if self._best_ema is not None and math.isnan(self._best_ema):
                # Nothing compares greater than NaN: it would stay "best".
                self._best_ema = None
            super().on_epoch_end()
            self._judge()
            # The history in the checkpoint is what the verdict follows from: it is on disk before anything ends by it.
            with self._clock.writing():
                self._save_latest()
            self._fold_run.finish_epoch(self._facts(), self._end_of_epoch())
            self._publish_details()

    def on_train_end(self) -> None:
        """Write the final checkpoint. nnU-Net deletes the latest one afterwards; it is kept under another name."""
        folder = Path(self.output_folder)
        if self._fold_run.leads and (folder / LATEST).exists():
            self._fold_run.check_fence()
            if self._latest_is_useless:
                (folder / LATEST).unlink()
            else:
                (folder / LATEST).replace(folder / PREVIOUS)
        super().on_train_end()

    def save_checkpoint(self, filename: str) -> None:
        """Save atomically, whatever the class under control saves."""
        if not self._fold_run.leads:
            return
        self._fold_run.check_fence()
        path = Path(filename)
        # nnU-Net keeps these in its checkpoints and reads back none but its own.
        self.my_init_kwargs[OWNER_KEY] = {**self._fold_run.owner, ITERATIONS_KEY: self._fewest_iterations}
        keep = self._keep() if path.name == LATEST else None
        with self._preemption.shield(), self._clock.writing():
            checkpoints.write_checkpoint(path, super().save_checkpoint, self._fold_run.fence, keep)
        if path.name == BEST:
            self._best_saved_at = self.current_epoch + 1
        if path.name == LATEST:
            self._latest_is_useless = False
        self._fold_run.metrics.set(Metric.CHECKPOINT_TIMESTAMP, time.time())

    def _save_latest(self) -> None:
        """Save the finished epoch; called when nnU-Net has counted it already."""
        if not self._fold_run.leads:
            return
        best, latest = Path(self.output_folder, BEST), Path(self.output_folder, LATEST)
        if self._best_saved_at == self.current_epoch and checkpoints.link_checkpoint(
            best, latest, self._fold_run.fence, self._keep()
        ):
            self._latest_is_useless = False
            return
        # save_checkpoint stores current_epoch + 1; nnU-Net's own on_train_end does the same.
        self.current_epoch -= 1
        try:
            self.save_checkpoint(str(latest))
        finally:
            self.current_epoch += 1

    def _keep(self) -> Path | None:
        """Return where the latest checkpoint moves when a newer one replaces it."""
        return None if self._latest_is_useless else Path(self.output_folder, PREVIOUS)

    def _require_numbers(self) -> None:
        """Fail rather than save a network that is no longer one: the checkpoint before is still good."""
        # Whatever the losses say: that of an epoch's last step is of the weights before it. One look at 30 million
        # weights takes 75 ms on a single core, less on a GPU.
        if checkpoints.all_finite(self.network):
            return
        raise TrainerError(
            ExitCode.LOSS_NOT_FINITE,
            f"epoch {self.current_epoch} left weights that are not finite numbers; nothing of it was saved. If another "
            "attempt ends the same way, lower schedule.initialLearningRate or check the data and the network "
            "(nnU-Net's deep supervision needs at least 3 stages)",
        )

    def _facts(self) -> FoldFacts:
        """Return the state at the last finished epoch."""
        averages = self.logger.get_value("ema_fg_dice", step=None)
        return FoldFacts(
            fold=self._fold_run.name,
            epoch=self.current_epoch,
            epochs_target=self.num_epochs,
            checkpoint_epoch=self.current_epoch,
            training_loss=self._last("train_losses"),
            nonfinite_loss_epochs=schedule.nonfinite_at_end(self.logger.get_value("train_losses", step=None)),
            validation_loss=self._last("val_losses"),
            ema_pseudo_dice=self._last("ema_fg_dice"),
            best_ema_pseudo_dice=schedule.best(averages),
            learning_rate=self._last("lrs"),
            early_stopping=self._verdict,
        )

    def _judge(self) -> None:
        """Let the early-stopping rule look at the history, which every checkpoint holds."""
        before = self._verdict
        self._verdict = early_stopping.judge(
            self.logger.get_value("ema_fg_dice", step=None),
            self.logger.get_value("mean_fg_dice", step=None),
            self._fold_run.contract.early_stopping,
            self.num_epochs,
            self._fold_run.floor,
        )
        if self._verdict.suppressed_epoch is not None and before.suppressed_epoch is None:
            log.info(
                "the early-stopping rule would have acted after epoch %d; by the policies it does not before epoch %d",
                self._verdict.suppressed_epoch,
                self._fold_run.floor,
            )
        if self._verdict.epoch is not None and before.epoch is None:
            log.info("the early-stopping rule fired after epoch %d: %s", self._verdict.epoch, self._verdict.state.value)

    def _last(self, key: str) -> float | None:
        values = self.logger.get_value(key, step=None)
        return number(values[-1]) if values else None

    def _publish_details(self) -> None:
        """Set the metrics that are not part of the facts."""
        with never_fail("setting metrics"):
            metrics = self._fold_run.metrics
            metrics.set(
                Metric.EPOCHS_SINCE_IMPROVEMENT,
                schedule.epochs_since_best(self.logger.get_value("ema_fg_dice", step=None)),
            )
            dice: Sequence[Sequence[float]] = self.logger.get_value("dice_per_class_or_region", step=None)
            if dice:
                metrics.set_pseudo_dice(list(scores.class_names(self.dataset_json["labels"]).values()), dice[-1])

    def _override_learning_rate(self, rate: float) -> None:
        name, own = type(self).__name__, self.initial_lr
        if own not in (rate, STANDARD_LEARNING_RATE):
            log.warning("%s sets a learning rate of %g; schedule.initialLearningRate %g is used", name, own, rate)
        self.initial_lr = rate

    def _thin_out_progress_plot(self) -> None:
        plot = self.logger.plot_progress_png

        def plot_sometimes(folder: str) -> None:
            finished = self.current_epoch + 1
            if finished % PROGRESS_PLOT_EPOCHS == 0 or finished == self.planned_end:
                with never_fail("drawing progress.png"):
                    plot(folder)

        self.logger.plot_progress_png = plot_sometimes


def controlled(base: type) -> type[Control]:
    """Return the class under control, with the name and module of `base`."""
    return type(base.__name__, (Control, base), {"__module__": base.__module__, "__doc__": base.__doc__})
