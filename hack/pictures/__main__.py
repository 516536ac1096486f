"""Draws the dashboards: of the data of a Prometheus, or of made-up data.

python -m hack.pictures --output docs/images
python -m hack.pictures --prometheus http://127.0.0.1:9090 --from -6h --training brain --output DIR
"""

import argparse
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from hack.monitoring import Prometheus, PrometheusPackageError
from hack.pictures import sample
from hack.pictures.draw import DrawError, View, draw
from hack.pictures.model import PATHS, Span, Value
from hack.pictures.workshop import WorkshopError

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def moment(text: str) -> float:
    """Return the Unix time of "now", -6h, an ISO 8601 time or a Unix time. Raises ValueError for anything else."""
    if text == "now":
        return time.time()
    if before := re.fullmatch(r"-(\d+)([smhd])", text):
        return time.time() - int(before[1]) * _UNITS[before[2]]
    try:
        return float(text)
    except ValueError:
        return datetime.fromisoformat(text).timestamp()


def main() -> int:
    """Draw, print the files; return 1 with a message where that is not possible."""
    options = _options()
    try:
        with _view(options) as view:
            for picture in draw([path for path in PATHS if path.stem in options.dashboards], view, options.output):
                print(picture)
    except (DrawError, WorkshopError, PrometheusPackageError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m hack.pictures", description=(__doc__ or "").splitlines()[0])
    names = [path.stem for path in PATHS]
    parser.add_argument("dashboards", nargs="*", default=names, help=f"which: {', '.join(names)} (all)")
    parser.add_argument("--prometheus", metavar="URL", help="whose data; without it they are made up")
    parser.add_argument("--from", dest="start", type=moment, default="-6h", help="-6h, ISO 8601 or Unix time (-6h)")
    parser.add_argument("--to", dest="end", type=moment, default="now", help="likewise (now)")
    parser.add_argument("--scrape-interval", type=float, default=30, metavar="SECONDS", help="of the Prometheus (30)")
    parser.add_argument("--namespace", help="of the trainings (all; of one training: the first)")
    parser.add_argument("--training", help="which the dashboard of one training shows (the first)")
    parser.add_argument("--theme", choices=("light", "dark"), default="light")
    parser.add_argument("--output", type=Path, default=Path(), help="folder for the pictures (this one)")
    options = parser.parse_args()
    if unknown := set(options.dashboards) - set(names):
        parser.error(f"there is no dashboard {', '.join(sorted(unknown))}; there are: {', '.join(names)}")
    return options


@contextmanager
def _view(options: argparse.Namespace) -> Iterator[View]:
    """Look at the Prometheus that was named, or at one with the sample data."""
    if options.prometheus:
        given: dict[str, Value | None] = {"namespace": options.namespace, "training": options.training}
        values = {name: value for name, value in given.items() if value}
        span = Span(options.start, options.end, options.scrape_interval)
        yield View(options.prometheus.rstrip("/"), span, values, options.theme)
        return
    with tempfile.TemporaryDirectory() as name:
        sample.write_blocks(Path(name))
        with Prometheus({}, Path(name)) as prometheus:
            yield View(prometheus.url, sample.SPAN, {"training": sample.TRAINING}, options.theme)


if __name__ == "__main__":
    sys.exit(main())
