"""The table at the end of the demo. What is shown before is the live view of `kubectl nnunet watch`."""

from collections.abc import Sequence

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from nnunet_api.fold_status import FoldStatus
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
        table.add_row(f"fold {fold.fold}, validation Dice", _fold_result(fold))
    found = status.results
    if found:
        table.add_row("cross-validation Dice", dice(found.mean_validation_dice))
        if found.test_dice:
            cases = f" ({found.test_dice.cases} cases, ensemble of the folds)" if found.test_dice.cases else ""
            table.add_row("test Dice", f"[green]{dice(found.test_dice.mean)}[/]{cases}")
            for label, value in found.test_dice.per_class.items():
                table.add_row(f"  {escape(label)}", dice(value))
        table.add_row("model", escape(found.model_path or "-"))
        for claim in claims:
            table.add_row("", escape(claim))
    if status.start_time and status.completion_time:
        table.add_row("took", duration((status.completion_time - status.start_time).total_seconds()))
    return table


def _fold_result(fold: FoldStatus) -> str:
    attempts = "1 attempt" if fold.attempts == 1 else f"{fold.attempts} attempts"
    return (
        f"{dice(fold.mean_validation_dice)}   [dim]{fold.epoch}/{fold.epochs_target} epochs, {attempts}, "
        f"{fold.lost_epochs} epochs lost[/]"
    )
