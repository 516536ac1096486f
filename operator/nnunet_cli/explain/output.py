"""An explanation for people and for scripts."""

import textwrap
from typing import Any

from rich.text import Text

from nnunet_cli.explain.explanation import Explanation

_INDENT = "  "


def as_data(found: Explanation) -> dict[str, Any]:
    """Return what scripts read. No key of it may be renamed."""
    return {
        "namespace": found.namespace,
        "name": found.name,
        "phase": found.phase or None,
        "reason": found.reason,
        "matter": found.matter,
        "toDo": found.todo,
        "lookFurther": found.look,
        "seen": found.seen,
        "notes": found.notes,
    }


def as_text(found: Explanation, width: int | None) -> list[Text]:
    """Return the lines, wrapped to the width of the terminal; commands are never broken."""
    lines = [Text(f"{found.namespace}/{found.name}: {found.reason}", style="bold")]
    for title, paragraph in (("What is the matter", found.matter), ("What to do", found.todo)):
        lines += [Text(), Text(title, style="bold"), *_wrapped(paragraph, width)]
    if found.seen:
        lines += [Text(), Text("What was seen", style="bold")]
        lines += [part for line in found.seen for part in _wrapped(line, width, hanging=_INDENT)]
    lines += [Text(), Text("To look further", style="bold")]
    lines += [Text(f"{_INDENT}{command}") for command in found.look]
    for note in found.notes:
        lines += [Text(), *_wrapped(f"note: {note}", width)]
    return lines


def _wrapped(paragraph: str, width: int | None, hanging: str = "") -> list[Text]:
    if width is None:
        return [Text(f"{_INDENT}{paragraph}")]
    return [
        Text(line)
        for line in textwrap.wrap(
            paragraph,
            min(width, 110),
            initial_indent=_INDENT,
            subsequent_indent=_INDENT + hanging,
            break_long_words=False,
            break_on_hyphens=False,
        )
    ]
