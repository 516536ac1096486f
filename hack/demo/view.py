"""The table at the end of the demo. What is shown before is the live view of `kubectl nnunet watch`."""

from collections.abc import Sequence

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from nnunet_api.fold_status import FoldStatus
from nnunet_api.results import Results
from nnunet_api.words import counted
from nnunet_cli.kube.watched import Watched
from nnunet_cli.text.words import dice
from nnunet_cli.text.words import duration as duration


def results(watched: Watched, claims: Sequence[str]) -> RenderableType:
    """Return the scores, the model's place, and what the run took. `claims` says where claims are."""
    status = watched.status
    table = Table(title=f"{watched.namespace}/{watched.name}", title_justify="left", show_header=False, min_width=60)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for fold in status.folds:
        table.add_row(f"fold {fold.name}, validation Dice", _fold_result(fold))
    found = status.results
    if found:
        for one in found.configurations or ():
            table.add_row(f"cross-validation Dice of {one.configuration}", dice(one.mean_validation_dice))
        if found.selection:
            table.add_row("chosen", f"[green]{escape(found.selection.told())}[/]")
        elif not found.configurations:
            table.add_row("cross-validation Dice", dice(found.mean_validation_dice))
        if found.test_dice:
            cases = (
                f" ({counted(found.test_dice.cases, 'case')}, ensemble of the folds)" if found.test_dice.cases else ""
            )
            table.add_row("test Dice", f"[green]{dice(found.test_dice.mean)}[/]{cases}")
            for label, value in found.test_dice.per_class.items():
                table.add_row(f"  {escape(label)}", dice(value))
        for path in _models(found):
            table.add_row("model", escape(path))
        for claim in claims:
            table.add_row("", escape(claim))
    if status.start_time and status.completion_time:
        table.add_row("took", duration((status.completion_time - status.start_time).total_seconds()))
    return table


def _models(found: Results) -> list[str]:
    """Return where the model lies; of several configurations those that were chosen, or else all."""
    each = {one.configuration: one.model_path or "-" for one in found.configurations or ()}
    chosen = found.selection.chosen if found.selection else list(each)
    return [each[name] for name in chosen if name in each] or [found.model_path or "-"]


def _fold_result(fold: FoldStatus) -> str:
    attempts = "1 attempt" if fold.attempts == 1 else f"{fold.attempts} attempts"
    return (
        f"{dice(fold.mean_validation_dice)}   [dim]{fold.epoch}/{counted(fold.epochs_target, 'epoch')}, {attempts}, "
        f"{counted(fold.lost_epochs, 'epoch')} lost[/]"
    )
