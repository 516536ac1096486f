"""How much is done, and how much that is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, DownloadColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as Bar

from nnunet_cli.text.output import Terminal

Progress = Callable[[int], None]
"""Takes how many bytes more are done."""


def size(count: float) -> str:
    """Return a number of bytes: 512 B, 1.5 MiB."""
    if count < 1024:
        return f"{int(count)} B"
    for unit in ("KiB", "MiB", "GiB"):
        count /= 1024
        if count < 1024:
            return f"{count:.1f} {unit}"
    return f"{count / 1024:.1f} TiB"


@contextmanager
def bar(total: int) -> Iterator[Progress]:
    """Show a progress bar on the standard error, where that is a terminal; give what takes the bytes that are done."""
    console = Terminal(stderr=True)
    columns = (BarColumn(), DownloadColumn(binary_units=True), TransferSpeedColumn(), TimeRemainingColumn())
    with Bar(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=total)
        yield lambda count: progress.update(task, advance=count)
