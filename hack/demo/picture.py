"""Draws the live view as SVG, as `kubectl nnunet watch` shows it after it has looked on for a while.

python -m hack.demo.picture docs/images/live-view.svg      # a training on made-up curves, for the docs

A real one, from what was recorded while it trained; each look is a list of objects:

while sleep 2; do kubectl -n nnunet-demo get nnt,events -o json; done > looks.json
python -m hack.demo.picture live-view.svg --recorded looks.json --name brain
"""

import argparse
import io
import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType

from hack.demo import follow, made_up
from nnunet_cli.kube.watched import Watched
from nnunet_cli.watch.view import History, live

COLUMNS = 110
MOMENT = ("3", 20)
"""Fold and its epoch at which the made-up training is drawn: by then the others are at all kinds of things."""

Look = tuple[Watched, datetime]


def made_up_looks() -> Iterator[Look]:
    """Yield the looks at the made-up training until the moment that is drawn."""
    name, epoch = MOMENT
    for watched, now in made_up.Story().looks():
        yield watched, now
        if any(fold.name == name and fold.epoch >= epoch for fold in watched.status.folds):
            return


def recorded_looks(text: str, name: str) -> Iterator[Look]:
    """Yield the looks at the training of this name out of lists of objects in JSON, one after the other."""
    decoder, rest = json.JSONDecoder(), text.lstrip()
    while rest:
        found: dict[str, Any]
        found, end = decoder.raw_decode(rest)
        rest = rest[end:].lstrip()
        watched = follow.pick(found["items"], name)
        yield watched, _latest(watched)


def view_of(looks: Iterable[Look]) -> tuple[RenderableType, str]:
    """Return the view at the last look, with what was seen until then, and the training's name."""
    history = History()
    last: Look | None = None
    for last in looks:
        history.add(last[0].status)
    if last is None:
        raise SystemExit("there is no look at the training")
    return live(*last, history), last[0].name


def draw(looks: Iterable[Look]) -> str:
    """Return the view at the last look as SVG."""
    view, name = view_of(looks)
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(view)
    # Without a given ID each run would give its elements other names, and the file would always differ.
    svg = console.export_svg(title=f"kubectl nnunet watch {name}", unique_id="live-view")
    # rich lets the picture load its font from somebody's server. Text keeps its place without it.
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    # The fonts that are there instead reach further down: their underscores would be cut off.
    return re.sub(r'(<clipPath id="live-view-[^>]*>\s*<rect [^>]*height=")([\d.]+)', _deeper, svg)


def _deeper(found: re.Match[str]) -> str:
    return f"{found[1]}{float(found[2]) + 2:g}"


def _latest(watched: Watched) -> datetime:
    newest = max((event.time for event in watched.events), default=datetime.now(UTC))
    progress = watched.status.progress
    return max(newest, progress.last_epoch_time or newest) if progress else newest


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(prog="python -m hack.demo.picture", description=__doc__.splitlines()[0])
    parser.add_argument("svg", type=Path, help="file to write")
    parser.add_argument("--recorded", type=Path, help="looks at a real training, in place of the made-up one")
    parser.add_argument("--name", default="brain", help="name of that training")
    options = parser.parse_args()
    looks = recorded_looks(options.recorded.read_text(), options.name) if options.recorded else made_up_looks()
    options.svg.parent.mkdir(parents=True, exist_ok=True)
    options.svg.write_text(draw(looks), encoding="utf-8")


if __name__ == "__main__":
    main()
