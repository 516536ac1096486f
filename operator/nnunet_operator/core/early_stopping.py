"""Early stopping as the trainers report it: per fold, and in one condition for the training."""

from collections.abc import Callable, Sequence

from nnunet_api.facts import EarlyStopFacts
from nnunet_api.fold_status import FoldEarlyStopping, FoldStatus
from nnunet_api.reasons import EarlyStoppingState, Reason
from nnunet_api.schedule import EarlyStopping, EarlyStoppingMode
from nnunet_api.words import counted
from nnunet_operator.core.rounding import count, number

_FIRED = (EarlyStoppingState.OBSERVED, EarlyStoppingState.ANNEALING, EarlyStoppingState.STOPPED)
_Words = Callable[[FoldStatus, FoldEarlyStopping], str]
_CAUTION = "An early stop is not convergence: only a comparison with the whole schedule on the test set tells the cost"


def stated(facts: EarlyStopFacts | None) -> FoldEarlyStopping | None:
    """Return what a trainer says of the rule; None with mode Disabled."""
    if facts is None or facts.state is EarlyStoppingState.DISABLED:
        return None
    return FoldEarlyStopping(
        state=facts.state,
        epoch=count(facts.epoch),
        end_epoch=count(facts.end_epoch),
        suppressed_epoch=count(facts.suppressed_epoch),
        ema_gain=number(facts.ema_gain),
        epochs_saved=count(facts.epochs_saved),
    )


def judge(rule: EarlyStopping, folds: Sequence[FoldStatus]) -> tuple[bool, Reason, str]:
    """Return the status, reason and message of the condition EarlyStopped."""
    if rule.mode is EarlyStoppingMode.DISABLED:
        return (
            False,
            Reason.EARLY_STOPPING_DISABLED,
            "spec.earlyStopping.mode is Disabled: the whole schedule is trained",
        )
    by_state = {state: [f for f in folds if f.early_stopping and f.early_stopping.state is state] for state in _FIRED}
    if stopped := by_state[EarlyStoppingState.STOPPED]:
        annealed = rule.mode is EarlyStoppingMode.ANNEAL
        reason = Reason.PLATEAU_ANNEALED if annealed else Reason.PLATEAU_STOPPED
        return True, reason, f"{_each(stopped, _stopped)}. {_CAUTION}"
    if annealing := by_state[EarlyStoppingState.ANNEALING]:
        return False, Reason.PLATEAU_ANNEALING, _each(annealing, _annealing)
    if observed := by_state[EarlyStoppingState.OBSERVED]:
        return False, Reason.PLATEAU_OBSERVED, f"only observed: {_each(observed, _observed)}. {_CAUTION}"
    patience = counted(rule.patience_epochs, "epoch")
    waits = f"no fold's moving average has stood still for {patience} after epoch {rule.min_epochs}"
    return False, Reason.RULE_NOT_FIRED, waits


def describe(fold: FoldStatus) -> str:
    """Return what the rule came to in a fold, in one sentence for an Event; empty where it has not fired."""
    stopping = fold.early_stopping
    if stopping is None or stopping.state not in _FIRED:
        return ""
    words = {
        EarlyStoppingState.STOPPED: _stopped,
        EarlyStoppingState.ANNEALING: _annealing,
        EarlyStoppingState.OBSERVED: _observed,
    }
    return _each([fold], words[stopping.state])


def describe_suppressed(fold: FoldStatus, min_epochs: int) -> str:
    """Return that a policy kept the rule from acting in a fold, in one sentence; empty where none did."""
    stopping = fold.early_stopping
    if stopping is None or stopping.suppressed_epoch is None:
        return ""
    asked = f" ({counted(min_epochs, 'epoch')})" if min_epochs else ""
    return (
        f"fold {fold.name} would have acted on a plateau at epoch {stopping.suppressed_epoch}, which is before the "
        f"least that the policies ask for{asked}: it trains on"
    )


def _each(folds: Sequence[FoldStatus], words: _Words) -> str:
    return "; ".join(
        f"fold {fold.name} {words(fold, fold.early_stopping)}" for fold in folds if fold.early_stopping is not None
    )


def _stopped(fold: FoldStatus, stopping: FoldEarlyStopping) -> str:
    return f"ended at epoch {fold.planned_end} of {fold.epochs_target} (plateau at {stopping.epoch})"


def _annealing(fold: FoldStatus, stopping: FoldEarlyStopping) -> str:
    return f"takes the learning rate to 0 until epoch {fold.planned_end} (plateau at {stopping.epoch})"


def _observed(fold: FoldStatus, stopping: FoldEarlyStopping) -> str:
    gain, saved = stopping.ema_gain, stopping.epochs_saved
    saving = f", saving {counted(saved, 'epoch')}" if saved is not None else ""
    cost = f"; the moving average still changed by {gain:+.4f} after that" if gain is not None else ""
    return f"would have been cut off at epoch {stopping.epoch} of {fold.epochs_target}{saving}{cost}"
