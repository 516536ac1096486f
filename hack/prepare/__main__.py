"""Builds and fetches what the tests run, before them: here its progress is seen, and no test's time limit ends it.

`python -m hack.prepare [--images]`; each part is made once and kept in the cache. With --images the images are
built beside Kubernetes: one works on the network and the disk where the other computes.
"""

import argparse
import os
import sys
from concurrent.futures import Future, ThreadPoolExecutor

from hack import images
from hack.localcluster.build import ensure_binaries
from hack.localcluster.console import Console
from hack.localcluster.errors import ClusterError
from hack.localcluster.packages import ensure_packages
from hack.monitoring import PrometheusPackageError, programs
from hack.pictures.workshop import Workshop, WorkshopError
from hack.prepare.kueue import kueue_binary
from hack.prepare.router import PROGRAMS, kube_router

FAILURES = (ClusterError, images.ImageError, PrometheusPackageError, RuntimeError, WorkshopError)


def main() -> int:
    """Make what is missing and return the exit code: 0 all is there, 1 something can't be had."""
    parser = argparse.ArgumentParser(prog="python -m hack.prepare")
    parser.add_argument("--images", action="store_true", help="build the images as well")
    options = parser.parse_args()
    try:
        prepare(with_images=options.images)
    except FAILURES as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def prepare(with_images: bool) -> None:
    """Make what is missing. Raises one of `FAILURES`."""
    console = Console()
    is_root = os.geteuid() == 0
    # First what apt-get installs: two of it at once would get into each other's way.
    programs()
    Workshop(console)
    if is_root:
        ensure_packages(console, PROGRAMS)
    if not with_images:
        _build(console, is_root)
        return
    images.ensure_tools(images.NAMES)
    with ThreadPoolExecutor(1) as beside:
        built: Future[dict[str, str]] = beside.submit(images.ensure, images.NAMES)
        _build(console, is_root)
        if not built.done():
            console.say("Kubernetes and helm are there; waiting for the images")
        built.result()


def _build(console: Console, is_root: bool) -> None:
    ensure_binaries(console)
    kueue_binary()  # after Kubernetes, with which it shares most of what is compiled
    if is_root:  # its tests need network namespaces
        kube_router()


if __name__ == "__main__":
    sys.exit(main())
