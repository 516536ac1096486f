"""The curves as a page in one file that needs no network. Pure."""

from datetime import datetime

from nnunet_api.words import counted
from nnunet_cli.curves.history import History
from nnunet_cli.text import html_page


def page(history: History, svg: str, now: datetime) -> str:
    """Return the page around a picture."""
    title = f"Curves of {history.namespace}/{history.name}"
    reached = ", ".join(f"fold {fold.fold}: {fold.epoch}" for fold in history.folds)
    words = f"Finished epochs of {history.epochs} on {now:%Y-%m-%d %H:%M} UTC: {reached}."
    if history.min_epochs:
        words += f" The policies ask for at least {counted(history.min_epochs, 'epoch')}."
    words += " The pseudo-Dice is computed on random patches: a trend, not a result."
    drawing = svg[svg.index("<svg") :]  # a page has no XML declaration in its middle
    return html_page.page(title, [html_page.paragraph(words), drawing], width="none")
