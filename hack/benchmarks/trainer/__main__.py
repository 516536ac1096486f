"""The trainer against plain `nnUNetv2_train`: time of an epoch, memory, and what a checkpoint costs.

Both sides train by turns on the same data with the same network, seed and settings, on the CPU, in the trainer image.
Checkpoints are measured apart, with the state of a network of standard size on the disk of this checkout. Run it by
`make bench-trainer` on a machine that does nothing else.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from hack.benchmarks.trainer.report import Row, checkpoint_rows, page, side_rows
from hack.images import ImageError, ensure
from hack.images.container import command_in

ROOT = Path(__file__).parents[3]
SCRATCH = ROOT / ".cache" / "bench-trainer"
PAGE = ROOT / "docs" / "benchmarks" / "trainer.md"
MOUNTED = "/scratch"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; return 1 where a budget is missed."""
    parser = argparse.ArgumentParser(prog="python -m hack.benchmarks.trainer", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="runs of each side (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=4, help="epochs of a run (default: %(default)s)")
    parser.add_argument("--iterations", type=int, default=250, help="of an epoch (default: %(default)s, nnU-Net's)")
    parser.add_argument("--validation-iterations", type=int, default=50, help="(default: %(default)s, nnU-Net's)")
    parser.add_argument("--checkpoints", type=int, default=9, help="rounds of writing one (default: %(default)s)")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page to write (default: %(default)s)")
    parser.add_argument("--image", help="trainer image; default: that of the present sources")
    options = parser.parse_args(argv)
    try:
        image = options.image or ensure(["trainer"])["trainer"]
    except ImageError as error:
        print(f"bench-trainer: {error}", file=sys.stderr)
        return 1
    found = _measure(options, image)
    rows = [*side_rows(found["runs"]), *checkpoint_rows(found["checkpoint"])]
    options.page.parent.mkdir(parents=True, exist_ok=True)
    options.page.write_text(page(rows, found["runs"], vars(options)))
    _show(rows)
    return 1 if any(row.met is False for row in rows) else 0


def _measure(options: argparse.Namespace, image: str) -> dict[str, Any]:
    SCRATCH.mkdir(parents=True, exist_ok=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("left"), TimeRemainingColumn(), console=Console(stderr=True)) as progress:
        bar = progress.add_task("checkpoints", total=1 + 2 * options.rounds)
        module = ["hack.benchmarks.trainer.checkpoint", MOUNTED, str(options.checkpoints)]
        (checkpoint,) = _lines(image, module)
        progress.update(bar, advance=1, description="trainings")
        module = ["hack.benchmarks.trainer.sides"]
        for name in ("rounds", "epochs", "iterations", "validation_iterations"):
            module += [f"--{name.replace('_', '-')}", str(getattr(options, name))]
        runs = []
        for run in _lines(image, module):
            runs.append(run)
            progress.advance(bar)
    return {"checkpoint": checkpoint, "runs": runs}


def _lines(image: str, module: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Run a module in the image and yield the JSON that it prints, a line at a time."""
    with command_in(image, ["python3", "-m", *module], writable={SCRATCH: MOUNTED}) as command:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for line in process.stdout:
            yield json.loads(line)
        if process.wait() != 0:
            raise SystemExit(f"{module[0]} failed with exit code {process.returncode}")


def _show(rows: Sequence[Row]) -> None:
    table = Table("", "plain nnU-Net", "trainer", "ratio", "budget", "")
    words: dict[bool | None, str] = {None: "", True: "[green]met[/]", False: "[red]missed[/]"}
    for row in rows:
        table.add_row(row.what, row.plain, row.ours, row.ratio, row.budget, words[row.met])
    Console(width=110).print(table)


if __name__ == "__main__":
    sys.exit(main())
