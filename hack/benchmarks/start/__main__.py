"""What each stage of a training takes before and after the work that it is there for, beside plain nnU-Net's commands.

A training so small that little but start-up is left goes through all stages, by turns by both sides, in the trainer
image. Run it by `make bench-start`.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from hack.benchmarks.start.report import BEFORE, PLAIN, TRAINER, page, rows, table
from hack.images import ImageError, ensure
from hack.images.container import command_in

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "benchmarks" / "start.md"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and write its page."""
    parser = argparse.ArgumentParser(prog="python -m hack.benchmarks.start", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each side (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=4, help="workers of each pool (default: %(default)s)")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page to write (default: %(default)s)")
    parser.add_argument("--image", help="trainer image; default: that of the present sources")
    parser.add_argument("--before", help="another trainer image, whose trainer gets a column of its own")
    options = parser.parse_args(argv)
    try:
        image = options.image or ensure(["trainer"])["trainer"]
    except ImageError as error:
        print(f"bench-start: {error}", file=sys.stderr)
        return 1
    costs: list[dict[str, Any]] = []
    for number in range(options.rounds):
        print(f"bench-start: round {number + 1} of {options.rounds}", file=sys.stderr)
        if options.before:
            costs += [cost | {"side": BEFORE} for cost in _round(options.before, options.processes, [TRAINER])]
        costs += _round(image, options.processes, [PLAIN, TRAINER])
    found = rows(costs)
    options.page.parent.mkdir(parents=True, exist_ok=True)
    options.page.write_text(page(found, vars(options)))
    head, *lines = table(found)
    shown = Table(*head)
    for line in lines:
        shown.add_row(*line)
    Console(width=120).print(shown)
    return 0


def _round(image: str, processes: int, sides: Sequence[str]) -> list[dict[str, Any]]:
    module = ["hack.benchmarks.start.stages", "--processes", str(processes), "--sides", *sides]
    with command_in(image, ["python3", "-m", *module]) as command:
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{module[0]} failed with exit code {done.returncode}")
    return [json.loads(line) for line in done.stdout.splitlines()]


if __name__ == "__main__":
    sys.exit(main())
