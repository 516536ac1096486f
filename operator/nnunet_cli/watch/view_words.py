"""What the live view says beside the numbers: conditions that are to be minded, and where early stopping stands."""

from nnunet_api.conditions import leading
from nnunet_api.fold_status import FoldEarlyStopping
from nnunet_api.reasons import ConditionType, EarlyStoppingState, Reason
from nnunet_api.status import NnunetTrainingStatus
from nnunet_api.words import counted
from nnunet_cli.text.concerns import concerns
from nnunet_cli.text.words import printable

_WARN = {
    ConditionType.STALLED: "True",
    ConditionType.DATA_STARVED: "True",
    ConditionType.POLICY_COMPLIANT: "False",
    ConditionType.STANDARD_SCHEDULE: "False",
}
"""Conditions that are to be minded, and the status in which they are."""


def remarks(status: NnunetTrainingStatus) -> list[str]:
    """Return what there is to mind, a line for each thing, without what the headline says already."""
    lead, lines = leading(status.conditions), [str(concern) for concern in concerns(status)]
    for type_, bad in _WARN.items():
        condition = status.condition(type_)
        if condition and condition.reason == Reason.CHANGED_STANDARD:
            continue  # a choice is nothing to mind
        if condition and condition.status == bad and not (lead and lead.reason == condition.reason):
            lines.append(f"{condition.reason}: {printable(condition.message)}")
    compliant = status.condition(ConditionType.POLICY_COMPLIANT)
    if compliant and compliant.reason == Reason.POLICY_EXCEPTED:
        lines.append(f"{compliant.reason}: {printable(compliant.message)}")
    return lines


def early_stopping(status: NnunetTrainingStatus) -> list[str]:
    """Return where the early-stopping rule of each fold stands, and what the policies ask for."""
    grouped: dict[str, list[str]] = {}
    for fold in status.folds:
        if fold.early_stopping and (words := _words(fold.early_stopping)):
            grouped.setdefault(words, []).append(fold.name)
    lines = [f"early stopping, fold {', '.join(folds)}: {words}" for words, folds in grouped.items()]
    if status.min_epochs:
        lines.append(f"policy: at least {counted(status.min_epochs, 'epoch')} of each fold; no early stop acts before")
    return lines


def _words(rule: FoldEarlyStopping) -> str:
    parts = []
    if rule.state is EarlyStoppingState.WATCHING:
        parts.append("watching")
    elif rule.state is EarlyStoppingState.OBSERVED:
        parts.append(f"found a plateau at epoch {rule.epoch} and only records it")
    elif rule.state is EarlyStoppingState.ANNEALING:
        parts.append(f"found a plateau at epoch {rule.epoch}, anneals until epoch {rule.end_epoch}")
    elif rule.state is EarlyStoppingState.STOPPED:
        saved = f" ({counted(rule.epochs_saved, 'epoch')} less)" if rule.epochs_saved else ""
        parts.append(f"ended at epoch {rule.end_epoch}{saved}")
    if rule.suppressed_epoch is not None:
        parts.append(f"stop at epoch {rule.suppressed_epoch} suppressed by the policy")
    return ", ".join(parts)
