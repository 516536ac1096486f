"""What was found and sent, for people and for scripts."""

from collections.abc import Sequence
from typing import Any

from rich.text import Text

from nnunet_api.words import counted
from nnunet_cli.datasets.layout import Layout
from nnunet_cli.datasets.transfer import Sent
from nnunet_cli.text.progress import size


def check_text(layout: Layout, notes: Sequence[str]) -> str:
    """Return the findings, one a line."""
    lines = [f"{layout.folder.name}: {'in order' if not layout.problems else f'{len(layout.problems)} to put right'}"]
    lines += [f"  {problem}" for problem in layout.problems]
    lines.append(f"  {_counted(layout)}")
    lines += [f"note: {text}" for text in notes]
    return "\n".join(lines)


def check_data(layout: Layout, notes: Sequence[str]) -> dict[str, Any]:
    """Return what scripts read. No key of it may be renamed."""
    return {
        "name": layout.folder.name,
        "trainingCases": len(layout.training),
        "testCases": len(layout.test),
        "channels": layout.channels,
        "problems": layout.problems,
        "notes": list(notes),
    }


def dataset_data(message: dict[str, Any]) -> dict[str, Any]:
    """Return what scripts read of a dataset on a claim. No key of it may be renamed."""
    description = message["description"] if isinstance(message["description"], dict) else {}
    labels = description.get("labels")
    channels = description.get("channel_names", description.get("modality"))
    return {
        "name": message["name"],
        "trainingCases": description.get("numTraining"),
        "channels": list(channels.values()) if isinstance(channels, dict) else None,
        "labels": [name for name in labels if name != "background"] if isinstance(labels, dict) else None,
        "files": message["files"],
        "bytes": message["bytes"],
    }


def dataset_table(messages: Sequence[dict[str, Any]]) -> list[Text]:
    """Return a table of the datasets on a claim."""
    rows = [("NAME", "CASES", "CHANNELS", "CLASSES", "FILES", "SIZE")]
    for data in map(dataset_data, messages):
        cells = [data["trainingCases"], data["channels"], data["labels"], data["files"]]
        counts = ["-" if cell is None else str(len(cell) if isinstance(cell, list) else cell) for cell in cells]
        rows.append((data["name"], counts[0], counts[1], counts[2], counts[3], size(data["bytes"])))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [Text(line, style="bold" if number == 0 else "") for number, line in enumerate(lines)]


def said_of(sent: Sent) -> str:
    """Return what became of a push."""
    if not sent.files:
        return f"all {counted(sent.skipped, 'file')} are there already"
    already = f", {sent.skipped} there already" if sent.skipped else ""
    return f"{counted(sent.files, 'file')} ({size(sent.bytes)}) sent and checked{already}"


def _counted(layout: Layout) -> str:
    parts = [counted(len(layout.training), "training case")]
    parts += [counted(len(layout.test), "test case")] if layout.test else []
    return ", ".join([*parts, counted(layout.channels, "channel")])
