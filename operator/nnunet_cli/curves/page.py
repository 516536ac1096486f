"""The curves as a page in one file that needs no network. Pure."""

from datetime import datetime
from html import escape

from nnunet_cli.curves.history import History

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>body {{ font: 15px sans-serif; margin: 2em; color: #222 }} svg {{ max-width: 100%; height: auto }}</style>
</head>
<body>
<h1>{title}</h1>
<p>{words}</p>
{svg}
</body>
</html>
"""


def page(history: History, svg: str, now: datetime) -> str:
    """Return the page around a picture."""
    title = f"Curves of {history.namespace}/{history.name}"
    reached = ", ".join(f"fold {fold.fold}: {fold.epoch}" for fold in history.folds)
    words = f"Finished epochs of {history.epochs} on {now:%Y-%m-%d %H:%M} UTC: {reached}."
    if history.min_epochs:
        words += f" The policies ask for at least {history.min_epochs} epochs."
    words += " The pseudo-Dice is computed on random patches: a trend, not a result."
    drawing = svg[svg.index("<svg") :]  # a page has no XML declaration in its middle
    return _PAGE.format(title=escape(title), words=escape(words), svg=drawing)
