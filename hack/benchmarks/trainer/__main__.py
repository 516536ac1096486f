"""The trainer against plain `nnUNetv2_train`: time of an epoch, memory, and what a checkpoint costs.

Both sides train on the same data with the same network, seed and settings, on the CPU, in the trainer image, and take
turns epoch by epoch until the ratio is known to 1 %. Checkpoints are measured apart, with the state of a network of
standard size on the disk of this checkout. What was measured is kept by image and settings: where it was ended, by
--minutes or by hand, the same command goes on. Run it by `make bench-trainer`, best on an idle machine.
"""

import argparse
import contextlib
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from hack.benchmarks.trainer.page import page
from hack.benchmarks.trainer.report import SPREAD_WANTED, Row, all_rows, counted, ratio
from hack.images import ImageError, ensure
from hack.images.container import command_in
from hack.images.content import content_tag

ROOT = Path(__file__).parents[3]
SCRATCH = ROOT / ".cache" / "bench-trainer"
PAGE = ROOT / "docs" / "benchmarks" / "trainer.md"
MOUNTED = "/scratch"
SHORT_EPOCHS, SHORT_ITERATIONS = 60, 2
"""Epochs to measure what follows the last batch: some of them draw progress.png, on one plain nnU-Net saves."""
STOP = "stop"


class Kept:
    """What was measured so far, by image, settings and the code that measures."""

    def __init__(self, options: argparse.Namespace, image: str) -> None:
        SCRATCH.mkdir(parents=True, exist_ok=True)
        sources = content_tag([Path(__file__).parent, ROOT / "tests/trainer"])
        settings = json.dumps([image, sources, options.iterations, options.validation_iterations, options.checkpoints])
        self._file = SCRATCH / f"{hashlib.sha256(settings.encode()).hexdigest()[:12]}.jsonl"
        if options.anew:
            self._file.unlink(missing_ok=True)
        self.found: dict[str, Any] = {"pairs": [], "short": [], "checkpoint": {}}
        for line in self._file.read_text().splitlines() if self._file.exists() else ():
            with contextlib.suppress(json.JSONDecodeError):  # it was ended while it wrote
                self._take(json.loads(line))

    def add(self, **found: Any) -> None:
        """Keep something more."""
        with self._file.open("a") as file:
            # A line of its own also behind one that was cut short.
            file.write("\n" + json.dumps(found) + "\n")
        self._take(found)

    def _take(self, found: dict[str, Any]) -> None:
        if "pair" in found:
            self.found["pairs"].append(found["pair"])
        else:
            self.found |= found


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; return 1 where a budget is missed, 3 where it is to be gone on with."""
    options = _options(argv)
    try:
        image = options.image or ensure(["trainer"])["trainer"]
    except ImageError as error:
        print(f"bench-trainer: {error}", file=sys.stderr)
        return 1
    kept = Kept(options, image)
    _measure(options, image, kept)
    if not counted(kept.found["pairs"]):
        _say("too little time for two epochs of both sides; the same command goes on")
        return 3
    rows = all_rows(kept.found, options.iterations + options.validation_iterations)
    options.page.parent.mkdir(parents=True, exist_ok=True)
    options.page.write_text(page(rows, kept.found, options.iterations, options.validation_iterations))
    _show(rows)
    if any(row.met is False for row in rows):
        return 1
    if ratio(kept.found["pairs"]).sure:
        return 0
    if _done(options, kept):
        _say(f"no verdict: {options.most} epochs of each side are too few for {SPREAD_WANTED:.0%}; raise --most")
    else:
        _say("not as sure as wanted yet; the same command goes on")
    return 3


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m hack.benchmarks.trainer", description=__doc__)
    parser.add_argument("--most", type=int, default=60, help="epochs of each side at most (default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=240.0, help="end after so many (default: %(default)s)")
    parser.add_argument("--iterations", type=int, default=250, help="of an epoch (default: %(default)s, nnU-Net's)")
    parser.add_argument("--validation-iterations", type=int, default=50, help="(default: %(default)s, nnU-Net's)")
    parser.add_argument("--checkpoints", type=int, default=9, help="rounds of writing one (default: %(default)s)")
    parser.add_argument("--anew", action="store_true", help="forget what was measured before")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page to write (default: %(default)s)")
    parser.add_argument("--image", help="trainer image; default: that of the present sources")
    return parser.parse_args(argv)


def _done(options: argparse.Namespace, kept: Kept) -> bool:
    found = ratio(kept.found["pairs"])
    return found.sure or found.pairs >= options.most


def _measure(options: argparse.Namespace, image: str, kept: Kept) -> None:
    """Measure what is not known yet, as long as there is time."""
    deadline = time.monotonic() + 60 * options.minutes
    if not kept.found["checkpoint"]:
        _say("checkpoints")
        module = ["hack.benchmarks.trainer.checkpoint", MOUNTED, str(options.checkpoints)]
        (checkpoint,) = _lines(image, module)
        kept.add(checkpoint=checkpoint)
    if not kept.found["short"]:
        _say(f"what follows the last batch: {SHORT_EPOCHS} short epochs of each side")
        kept.add(short=list(_epochs(image, SHORT_EPOCHS, SHORT_ITERATIONS, 1)))
    if _done(options, kept):
        return
    stop = SCRATCH / STOP
    for pair in _epochs(image, 1000, options.iterations, options.validation_iterations):
        kept.add(pair=pair)
        found = ratio(kept.found["pairs"])
        _say(f"{found.pairs} epochs of each side, ratio {found.words} (wanted: {100 * SPREAD_WANTED:.0f} %)")
        if _done(options, kept) or time.monotonic() > deadline:
            stop.touch()


def _epochs(image: str, epochs: int, iterations: int, validation_iterations: int) -> Iterator[dict[str, Any]]:
    """Train both sides by turns until there are so many epochs, or the file `STOP`."""
    (SCRATCH / STOP).unlink(missing_ok=True)
    module = ["hack.benchmarks.trainer.sides", f"--epochs={epochs}", f"--stop={MOUNTED}/{STOP}"]
    module += [f"--iterations={iterations}", f"--validation-iterations={validation_iterations}"]
    yield from _lines(image, module)


def _lines(image: str, module: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Run a module in the image and yield the JSON that it prints, a line at a time."""
    with command_in(image, ["python3", "-m", *module], writable={SCRATCH: MOUNTED}) as command:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for line in process.stdout:
            yield json.loads(line)
        if process.wait() != 0:
            raise SystemExit(f"{module[0]} failed with exit code {process.returncode}")


def _say(what: str) -> None:
    print(f"bench-trainer: {what}", file=sys.stderr, flush=True)


def _show(rows: Sequence[Row]) -> None:
    table = Table("", "plain nnU-Net", "trainer", "ratio", "budget", "")
    words: dict[bool | None, str] = {None: "", True: "[green]met[/]", False: "[red]missed[/]"}
    for row in rows:
        table.add_row(row.what, row.plain, row.ours, row.ratio, row.budget, words[row.met])
    Console(width=120).print(table)


if __name__ == "__main__":
    sys.exit(main())
