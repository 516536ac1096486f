"""Draws the live view of a training as SVG, for the README:

kubectl -n nnunet-demo get nnt,events -o json | python -m tests.demo.picture brain docs/images/live-view.svg
"""

import argparse
import io
import json
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from nnunet_cli import view
from nnunet_cli.watched import Watched
from tests.demo import follow

COLUMNS = 104


def draw(watched: Watched, now: datetime) -> str:
    """Return the live view as SVG."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(view.live(watched, now))
    # Without a given ID each run would give its elements other names, and the file would always differ.
    svg = console.export_svg(title="make demo", unique_id="live-view")
    # rich lets the picture load its font from somebody's server. Text keeps its place without it.
    return re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)


def main() -> None:
    """Read objects as JSON from standard input and write the picture."""
    parser = argparse.ArgumentParser(prog="python -m tests.demo.picture", description=__doc__.splitlines()[0])
    parser.add_argument("name", help="name of the training")
    parser.add_argument("svg", type=Path, help="file to write")
    options = parser.parse_args()
    watched = follow.pick(json.load(sys.stdin)["items"], options.name)
    newest = max((event.time for event in watched.events), default=datetime.now(UTC))
    progress = watched.status.progress
    now = max(newest, progress.last_epoch_time or newest) if progress else newest
    options.svg.parent.mkdir(parents=True, exist_ok=True)
    options.svg.write_text(draw(watched, now), encoding="utf-8")


if __name__ == "__main__":
    main()
