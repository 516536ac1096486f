"""The early-stopping rule: a pure function of a fold's history. No torch in here.

The history is part of every checkpoint, so the verdict can be computed again at any time, by whoever goes on with
the training and by whoever verifies it.
"""

import math
from collections.abc import Sequence

from nnunet_api.facts import EarlyStopFacts
from nnunet_api.reasons import EarlyStoppingState
from nnunet_api.schedule import EarlyStopping, EarlyStoppingMode
from nnunet_trainer.process.numbers import number


def judge(
    ema: Sequence[float], pseudo_dice: Sequence[float], rule: EarlyStopping, epochs: int, floor: int = 0
) -> EarlyStopFacts:
    """Return where the rule stands after the finished epochs, of which each has a value in both sequences.

    `ema` is the moving average of the pseudo-Dice, `pseudo_dice` the value of the epoch itself, NaN where there was no
    foreground. `epochs` is the length of the schedule. Before `floor` finished epochs, which policies ask for, the rule
    ends nothing.
    """
    if rule.mode is EarlyStoppingMode.DISABLED:
        return EarlyStopFacts(state=EarlyStoppingState.DISABLED)
    plateau = fires_at(ema, pseudo_dice, rule)
    # A rule that only observes has nothing that a policy could keep it from.
    fired = fires_at(ema, pseudo_dice, rule, floor) if rule.can_end_early else plateau
    suppressed = plateau if plateau != fired and plateau is not None and plateau < epochs else None
    # A rule that fires with the last epoch of the schedule decides nothing.
    if fired is None or fired >= epochs:
        return EarlyStopFacts(state=EarlyStoppingState.WATCHING, suppressed_epoch=suppressed)
    finished = len(ema)
    at_verdict = number(ema[fired - 1])
    if rule.mode is EarlyStoppingMode.OBSERVE:
        at_end = number(ema[-1]) if finished >= epochs else None
        gain = None if at_end is None or at_verdict is None else at_end - at_verdict
        return EarlyStopFacts(
            state=EarlyStoppingState.OBSERVED,
            epoch=fired,
            ema_pseudo_dice=at_verdict,
            ema_gain=gain,
            epochs_saved=epochs - fired,
        )
    end = rule.end_of(fired, epochs)
    return EarlyStopFacts(
        state=EarlyStoppingState.STOPPED if finished >= end else EarlyStoppingState.ANNEALING,
        epoch=fired,
        end_epoch=end,
        ema_pseudo_dice=at_verdict,
        epochs_saved=epochs - end,
        suppressed_epoch=suppressed,
    )


def judge_proven(
    ema: Sequence[float], pseudo_dice: Sequence[float], rule: EarlyStopping, epochs: int, floor: int
) -> EarlyStopFacts:
    """Return the verdict on a whole training under policies, whose floor is the present one or was another before.

    A fold that is done keeps its end when the policies change. So of all floors the present one comes first, then the
    one by which the rule ends the training exactly where the history does, if there is any. Whether the history is
    long enough for the policies is not told here.
    """
    finished = len(ema)
    verdict = judge(ema, pseudo_dice, rule, epochs, floor)
    if not rule.can_end_early or end_of(verdict, epochs) == finished:
        return verdict
    tail = rule.end_of(0, epochs)
    other = judge(ema, pseudo_dice, rule, epochs, epochs if finished >= epochs else finished - tail)
    return other if end_of(other, epochs) == finished else verdict


def end_of(verdict: EarlyStopFacts, epochs: int) -> int:
    """Return the finished epochs at which a training of `epochs` ends by the verdict."""
    return epochs if verdict.end_epoch is None else verdict.end_epoch


def fires_at(ema: Sequence[float], pseudo_dice: Sequence[float], rule: EarlyStopping, floor: int = 0) -> int | None:
    """Return the number of finished epochs at which the rule first fires; None as long as it has not.

    It fires when the best moving average was not exceeded by more than `min_delta` for `patience_epochs` epochs in a
    row, and both `min_epochs` and `floor` are finished. An epoch whose pseudo-Dice is not a number counts neither way.
    """
    least = max(rule.min_epochs, floor)
    best, waited = -math.inf, 0
    for finished, (average, value) in enumerate(zip(ema, pseudo_dice, strict=True), 1):
        if not math.isnan(value) and not math.isnan(average):
            improved = average > best + rule.min_delta
            best, waited = (average, 0) if improved else (best, waited + 1)
        if waited >= rule.patience_epochs and finished >= least:
            return finished
    return None
