"""What a shorter or a stopped training costs, on synthetic tasks of known hardness.

Trains every cell of the table (task x way to spend the budget x seed) with the trainer image on the CPU, scores it on
held-out cases, compares the ways as an NnunetComparison does, and writes the table. It may be interrupted at any time
and goes on where it was. Run it by `make table-schedules`.
"""

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from hack.benchmarks.hardness.cells import ARMS, FULL, Budget, Cell
from hack.benchmarks.hardness.judge import VERDICTS, as_argument, with_common_seeds
from hack.benchmarks.hardness.table import page
from hack.benchmarks.hardness.tasks import TASKS
from hack.images import ImageError, ensure
from hack.images.container import command_in
from nnunet_api.folders import run_folder
from nnunet_trainer.run.journal import JOURNAL_FILE

ROOT = Path(__file__).parents[3]
CACHE = ROOT / ".cache" / "schedules"
PAGE = ROOT / "docs" / "benchmarks" / "schedules.md"
MOUNTED = "/schedules"
WINDOW_SECONDS = 600.0
"""Over how long the speed is measured that the time left follows from."""
LINE_SECONDS = 60.0
"""How often there is a line of progress where no terminal is."""


def main(argv: Sequence[str] | None = None) -> int:
    """Bring all cells to their results and write the page; return an exit code."""
    options = _parser().parse_args(argv)
    cells = _cells(options)
    try:
        image = "" if options.no_training else options.image or ensure(["trainer"])["trainer"]
    except ImageError as error:
        print(f"table of schedules: {error}", file=sys.stderr)
        return 1
    failures = _complete(cells, options, image)
    if not failures:
        # Their length is a result of the others.
        followers = _followers(cells, options)
        failures = _complete(followers, options, image)
        cells += followers
    if failures:
        print(*failures, sep="\n", file=sys.stderr)
        return 1
    results = [json.loads(path.read_text()) for cell in cells if (path := _result_file(options.cache, cell)).exists()]
    options.page.parent.mkdir(parents=True, exist_ok=True)
    verdicts = _judge(cells, options, image)
    options.page.write_text(page(results, [TASKS[name] for name in options.tasks], _budget(options), verdicts))
    print(f"{len(results)} of {len(cells)} cells are in {options.page}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hack.benchmarks.hardness", description=__doc__)
    default = Budget()
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS), help="default: all")
    arms = [arm.name for arm in ARMS]
    parser.add_argument("--arms", nargs="+", choices=arms, default=arms, help="ways to spend the budget; default: all")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=default.epochs, help="full schedule (default: %(default)s)")
    parser.add_argument("--iterations", type=int, default=default.iterations, help="of an epoch (default: %(default)s)")
    parser.add_argument("--parallel", type=int, default=2, help="cells at a time, a core each (default: %(default)s)")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where everything is kept (default: %(default)s)")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page to write (default: %(default)s)")
    parser.add_argument("--image", help="trainer image; default: that of the present sources")
    parser.add_argument("--no-training", action="store_true", help="only write the page from the results there are")
    return parser


def _budget(options: argparse.Namespace) -> Budget:
    return Budget(epochs=options.epochs, iterations=options.iterations)


def _complete(cells: Sequence[Cell], options: argparse.Namespace, image: str) -> list[str]:
    """Run the cells that have no result, unless there shall be no training; return what failed."""
    missing = [cell for cell in cells if not _result_file(options.cache, cell).exists()]
    return run_all(missing, options.cache, image, options.parallel) if missing and image else []


def _cells(options: argparse.Namespace) -> list[Cell]:
    budget = _budget(options)
    return [
        Cell(TASKS[task], arm, seed, budget)
        for seed in range(1, options.seeds + 1)
        for task in options.tasks
        for arm in ARMS
        if arm.name in options.arms and not arm.as_long_as
    ]


def _followers(cells: Iterable[Cell], options: argparse.Namespace) -> list[Cell]:
    """Return the cells that are as long as the trainings of another arm of the task were, on average."""
    found = []
    for arm, task in itertools.product(ARMS, options.tasks):
        leaders = [cell for cell in cells if (cell.arm.name, cell.task.name) == (arm.as_long_as, task)]
        known = [cell for cell in leaders if _result_file(options.cache, cell).exists()]
        if known and arm.name in options.arms:
            lengths = [json.loads(_result_file(options.cache, cell).read_text())["epochs"] for cell in known]
            found += [replace(cell, arm=arm, length=round(statistics.mean(lengths))) for cell in known]
    return found


def _judge(cells: Sequence[Cell], options: argparse.Namespace, image: str) -> dict[str, dict[str, Any]]:
    """Return what the comparison of each task came to, of which all cells are there. Raises CalledProcessError."""
    found = {}
    for task in options.tasks:
        mine = [cell for cell in cells if cell.task.name == task and _result_file(options.cache, cell).exists()]
        compared = with_common_seeds(mine)
        if len({cell.arm.name for cell in compared}) < 2 or FULL not in {cell.arm.name for cell in compared}:
            continue
        path = options.cache / compared[0].folder / VERDICTS
        if image:
            command = ["python3", "-m", "hack.benchmarks.hardness.judge", MOUNTED, as_argument(compared)]
            with command_in(image, command, writable={options.cache: MOUNTED}) as full_command:
                subprocess.run(full_command, check=True)
        if path.exists():
            found[task] = json.loads(path.read_text())
    return found


def _result_file(cache: Path, cell: Cell) -> Path:
    return cache / cell.folder / cell.result


def run_all(cells: Iterable[Cell], cache: Path, image: str, parallel: int) -> list[str]:
    """Run cells, some at a time, under a progress bar; return what failed."""
    # The long ones first: then no core idles at the end.
    waiting = sorted(cells, key=lambda cell: -cell.epochs)
    cache.mkdir(parents=True, exist_ok=True)
    stop = threading.Event()
    with ThreadPoolExecutor(parallel) as pool, Overview(waiting, cache) as overview:
        futures = [pool.submit(_run_one, cell, cache, image, stop) for cell in waiting]
        try:
            while not all(future.done() for future in futures):
                overview.show(futures)
                time.sleep(1)
        except KeyboardInterrupt:
            stop.set()
            raise
        overview.show(futures)
    return [failure for future in futures if (failure := future.result())]


class Overview:
    """The progress of all cells: a bar on a terminal, a line every minute elsewhere."""

    def __init__(self, cells: Sequence[Cell], cache: Path) -> None:
        self._cells, self._cache = cells, cache
        self._total = sum(cell.epochs for cell in cells)
        self._next_line = 0.0
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:.0f} %"))
        times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
        console = Console(stderr=True)
        self._progress = Progress(*columns, *times, console=console, speed_estimate_period=WINDOW_SECONDS)
        self._bar = self._progress.add_task("", total=self._total)

    def __enter__(self) -> "Overview":
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def show(self, futures: Sequence[Future[str]]) -> None:
        """Show how far the cells are; a future for each."""
        states = list(zip(self._cells, futures, strict=True))
        done = sum(future.done() for future in futures)
        running = ", ".join(f"{cell.task.name} {cell.name}" for cell, future in states if future.running())
        epochs = sum(cell.epochs if future.done() else _epochs_so_far(self._cache, cell) for cell, future in states)
        line = f"{done}/{len(states)} cells; {running}"
        self._progress.update(self._bar, completed=epochs, description=line)
        if not self._progress.console.is_terminal and time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + LINE_SECONDS
            print(f"{line}; {epochs}/{self._total} epochs", file=sys.stderr, flush=True)


def _epochs_so_far(cache: Path, cell: Cell) -> int:
    run = cache / cell.folder / "nnunet" / "results" / run_folder("tests", cell.name, cell.uid)
    for journal in run.glob(f"*/*/fold_0/{JOURNAL_FILE}"):
        try:
            facts: dict[str, Any] = json.loads(journal.read_text()).get("facts", {})
        except (OSError, ValueError):
            continue
        return int(facts.get("epoch", 0))
    return 0


def _run_one(cell: Cell, cache: Path, image: str, stop: threading.Event) -> str:
    """Run a cell in a container; return what went wrong, or an empty string."""
    if stop.is_set():
        return ""
    arguments = [MOUNTED, cell.task.name, cell.arm.name, str(cell.seed)]
    arguments += ["--budget", json.dumps(asdict(cell.budget)), "--length", str(cell.length)]
    command = ["python3", "-m", "hack.benchmarks.hardness.cell", *arguments]
    options = [f"--env=TRAINER_IMAGE={image}"]
    with command_in(image, command, writable={cache: MOUNTED}, options=options) as full_command:
        done = subprocess.run(full_command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode == 0 or stop.is_set():
        return ""
    return f"{cell.task.name} {cell.name} failed:\n{done.stdout[-4000:]}"


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        sys.exit(130)
