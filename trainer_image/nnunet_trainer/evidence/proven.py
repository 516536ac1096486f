"""What a final checkpoint proves about the epochs of its fold: pure functions of its contents. No torch in here."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from reprlib import repr as shortened
from typing import Any

from nnunet_api.contract import SHA256_DIGITS, FoldEvidence, RunContract
from nnunet_api.dataset.layout import named
from nnunet_api.facts import MAX_COUNT
from nnunet_api.policy.model import PolicyMode
from nnunet_api.reasons import EarlyStoppingState
from nnunet_api.schedule import EarlyStopping, short_of_iterations
from nnunet_api.words import counted
from nnunet_trainer.run.journal import ITERATIONS_KEY, LEARNT_KEY, OWNER_KEY
from nnunet_trainer.training.early_stopping import end_of, judge, judge_proven

HISTORY_KEYS = (
    "train_losses",
    "val_losses",
    "mean_fg_dice",
    "ema_fg_dice",
    "lrs",
    "epoch_start_timestamps",
    "epoch_end_timestamps",
)
"""What nnU-Net logs once in every epoch, and keeps in its checkpoints."""


@dataclass(frozen=True)
class FinalCheckpoint:
    """What the proof rests on."""

    counter: int
    """Finished epochs, as nnU-Net counts them."""
    history: Mapping[str, Sequence[float]]
    """One value for each finished epoch, under each of `HISTORY_KEYS`."""
    owner: tuple[str, str] | None = None
    """UID of the training and name of the fold's run that it was saved by; none in a checkpoint of an older image."""
    iterations: int | None = None
    """Training iterations of the epoch that had the fewest, as the trainer counted; none in one of an older image."""
    trainer_class: str | None = None
    weights: int | None = None
    """Numbers that the network consists of."""
    learnt_from: str | None = None
    """Of a cascade: hash of the checkpoints of its previous stage, by the word of its trainer."""


@dataclass(frozen=True)
class Finding:
    """What was found in the final checkpoint of a fold."""

    evidence: FoldEvidence
    trouble: str | None
    """Why it does not prove what was asked for, as the end of a sentence about the fold; none where it does."""


def checkpoint_of(content: Any) -> FinalCheckpoint:
    """Return what the proof rests on from the contents of a checkpoint. Raises ValueError for what is none."""
    try:
        counter, logging = content["current_epoch"], content["logging"]
        if type(counter) is not int or not 0 <= counter <= MAX_COUNT:
            raise ValueError(f"its counter of epochs is {type(counter).__name__} {shortened(counter)[:40]}")
        history = {key: _numbers(key, logging[key]) for key in HISTORY_KEYS}
        arguments = content.get("init_args")
        return FinalCheckpoint(
            counter,
            history,
            _owner(arguments),
            _iterations(arguments),
            _class(content.get("trainer_name")),
            _weights(content.get("network_weights")),
            _learnt_from(arguments),
        )
    except KeyError as error:
        raise ValueError(f"it has no {error}") from error
    except TypeError as error:
        raise ValueError(f"it is not built as nnU-Net's checkpoints are ({error})") from error


def _owner(arguments: Any) -> tuple[str, str] | None:
    owner = arguments.get(OWNER_KEY) if isinstance(arguments, dict) else None
    if not isinstance(owner, dict):
        return None
    uid, fold = owner.get("uid"), owner.get("fold")
    return (uid[:64], fold[:64]) if isinstance(uid, str) and isinstance(fold, str) else ("", "")


def _iterations(arguments: Any) -> int | None:
    owner = arguments.get(OWNER_KEY) if isinstance(arguments, dict) else None
    counted = owner.get(ITERATIONS_KEY) if isinstance(owner, dict) else None
    return counted if type(counted) is int and 0 <= counted <= MAX_COUNT else None


def _learnt_from(arguments: Any) -> str | None:
    owner = arguments.get(OWNER_KEY) if isinstance(arguments, dict) else None
    known = owner.get(LEARNT_KEY) if isinstance(owner, dict) else None
    return known[:SHA256_DIGITS] if isinstance(known, str) else None


def _class(name: Any) -> str | None:
    return name[:128] if isinstance(name, str) else None


def _weights(network: Any) -> int | None:
    """Return how many numbers a network has; None for what is none."""
    if not isinstance(network, Mapping):
        return None
    sizes = [tensor.numel() for tensor in network.values() if callable(getattr(tensor, "numel", None))]
    return sum(size for size in sizes if type(size) is int) or None


def _numbers(key: str, values: Any) -> list[float]:
    if not isinstance(values, list):
        raise ValueError(f"its history has no list of {key}")
    try:
        return [float(value) for value in values]
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"its history holds something else than numbers under {key} ({error})") from error


def prove(fold: str, checkpoint: FinalCheckpoint, checkpoint_hash: str, contract: RunContract) -> Finding:
    """Return what a checkpoint proves about the fold's run of that name, held against what the contract asks for."""
    rule, epochs = contract.early_stopping, contract.schedule.epochs
    lengths = {key: len(checkpoint.history[key]) for key in HISTORY_KEYS}
    # The times of the epochs prove nothing: attempts run on nodes whose clocks differ, by hours where one has no NTP.
    proven = min(checkpoint.counter, *lengths.values())
    ema, pseudo_dice = checkpoint.history["ema_fg_dice"][:proven], checkpoint.history["mean_fg_dice"][:proven]
    if contract.policy is None:
        verdict = judge(ema, pseudo_dice, rule, epochs)
    else:
        verdict = judge_proven(ema, pseudo_dice, rule, epochs, contract.min_epochs)
    end = end_of(verdict, epochs)
    evidence = FoldEvidence(
        fold=fold,
        epochs=proven,
        checkpoint_hash=checkpoint_hash,
        early_stopping=None if verdict.state is EarlyStoppingState.DISABLED else verdict,
        iterations_per_epoch=checkpoint.iterations,
        highest_learning_rate=max((rate for rate in checkpoint.history["lrs"] if math.isfinite(rate)), default=None),
        trainer_class=checkpoint.trainer_class,
        network_weights=checkpoint.weights,
    )
    doubts = []
    if differing := {key: length for key, length in lengths.items() if length != checkpoint.counter}:
        values = ", ".join(f"{key} {length}" for key, length in differing.items())
        doubts.append(
            f"its counter says {counted(checkpoint.counter, 'epoch')}, but its history has values of {values}"
        )
    if not doubts and proven != end:
        doubts.append(_why_not(rule, end, epochs))
    if checkpoint.owner == ("", ""):
        doubts.append("by which training it was saved it says in no readable way")
    elif checkpoint.owner not in (None, (contract.uid, fold)):
        doubts.append("it was saved by fold {1} of the training with UID {0}".format(*checkpoint.owner or ()))
    few = short_of_iterations(checkpoint.iterations, contract.schedule)
    if few and contract.min_epochs:
        # Without a policy it is told of and fails nothing: images of before the rule let classes set their own.
        doubts.append(few)
    if proven < contract.min_epochs:
        doubts.append(f"{_policies(contract)} for at least {contract.min_epochs}")
    trouble = f"{proven} of {counted(epochs, 'epoch is', 'epochs are')} proven: {'; '.join(doubts)}" if doubts else None
    return Finding(evidence, trouble)


def _policies(contract: RunContract) -> str:
    """Return who asks for a minimum of epochs: only what is enforced does."""
    decisions = contract.policy.decisions if contract.policy else []
    names = sorted(decision.policy for decision in decisions if decision.mode == PolicyMode.ENFORCE)
    if len(names) == 1:
        return f"policy {names[0]} asks"
    return f"policies {named(names)} ask" if names else "the policies ask"


def _why_not(rule: EarlyStopping, end: int, epochs: int) -> str:
    if end < epochs:
        return f"the early-stopping rule ends the training at {end}"
    if rule.can_end_early:
        return "the early-stopping rule has not fired"
    return "there is no early stopping"
