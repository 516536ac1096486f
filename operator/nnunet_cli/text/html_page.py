"""Pages in one file that need no network and run nothing. Every text is escaped. Pure."""

import re
from collections.abc import Iterable, Sequence
from html import escape as _escape

from nnunet_cli.text.words import printable

Row = tuple[str, str]

_NOTHING = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'"
"""A policy by which nothing runs, is loaded or sent."""
_FENCE = f"""<!DOCTYPE html>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_NOTHING}; img-src data:">
"""
_AWAY = re.compile(rb"(?<![a-z0-9+])(http-equiv|href|srcdoc|attributename)(?=[\t\n\f\r ]*=)", re.IGNORECASE)
"""Attributes by which a page leads to another one: at once, by a link, by a page inside it, or by a drawing that sets
its links. Names of attributes have no other spelling. The pictures of a page, in base64, have a sign of equality at
their end alone."""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{title}</title>
<style>
body {{ font: 15px sans-serif; margin: 2em; max-width: {width}; color: #222 }}
table {{ border-collapse: collapse; margin: 0.5em 0 1.5em }}
th, td {{ text-align: left; padding: 0.2em 1.2em 0.2em 0; border-bottom: 1px solid #ddd }}
td {{ overflow-wrap: anywhere; min-width: 4em }}
th {{ overflow-wrap: break-word }}
svg {{ max-width: 100%; height: auto }}
.box {{ border: 2px solid #D55E00; padding: 0.6em 1em; margin: 1em 0 }}
.said {{ font-size: 1.2em; font-weight: bold }}
</style>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""


def fenced(data: bytes) -> bytes:
    """Return a page of somebody else's in which nothing runs, that loads and sends nothing, and leads nowhere.

    What stands first is the head of a page to any browser, and of several such policies each holds. No such policy
    keeps a page from leading to another one, so that what could is renamed. Our own reports have none of it, but for
    such a policy, which says the same.
    """
    return _FENCE.encode() + _AWAY.sub(rb"data-\1", data)


def escape(text: str) -> str:
    """Return a text as it stands in a page: no markup, and nothing that turns the direction of writing."""
    return _escape(printable(text))


def page(title: str, parts: Iterable[str], width: str = "60em") -> str:
    """Return the page; what is empty is left out of its parts. `width` (CSS) is the most it takes: "none" for all."""
    return _PAGE.format(
        title=escape(title), policy=_NOTHING, body="\n".join(part for part in parts if part), width=width
    )


def section(title: str, rows: Iterable[Row]) -> str:
    """Return a table of what is known, or nothing."""
    lines = [f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows if value]
    return f"{heading(title)}\n<table>{''.join(lines)}</table>" if lines else ""


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table with a row of titles."""
    return f"<table>{_cells('th', titles)}{''.join(_cells('td', row) for row in rows)}</table>"


def heading(title: str) -> str:
    """Return a heading."""
    return f"<h2>{escape(title)}</h2>"


def paragraph(text: str, kind: str = "") -> str:
    """Return a paragraph: plain, a `box` for what has to be minded, or `said` for what comes first."""
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def _cells(tag: str, texts: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(text)}</{tag}>' for text in texts)}</tr>"
