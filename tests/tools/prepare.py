"""Builds and fetches what the tests run, before them: here its progress is seen, and no test's time limit ends it.

`python -m tests.tools.prepare [--images]`; each part is made once and kept in the cache. With --images the images are
built beside Kubernetes: one works on the network and the disk where the other computes.
"""

import argparse
import os
import sys
from concurrent.futures import Future, ThreadPoolExecutor

from tests import images
from tests.cluster.build import ensure_binaries
from tests.cluster.console import Console
from tests.cluster.errors import ClusterError
from tests.cluster.packages import ensure_packages
from tests.dashboards.workshop import Workshop, WorkshopError
from tests.images.base import ensure_bootstrapper
from tests.images.engine import Engine
from tests.integration.network.router import PROGRAMS, kube_router
from tests.monitoring import PrometheusPackageError, programs

FAILURES = (ClusterError, images.ImageError, PrometheusPackageError, RuntimeError, WorkshopError)


def main() -> int:
    """Make what is missing and return the exit code: 0 all is there, 1 something can't be had."""
    parser = argparse.ArgumentParser(prog="python -m tests.tools.prepare")
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
    Engine.find()
    ensure_bootstrapper()
    with ThreadPoolExecutor(1) as beside:
        built: Future[dict[str, str]] = beside.submit(images.ensure, images.NAMES)
        _build(console, is_root)
        if not built.done():
            console.say("Kubernetes and helm are there; waiting for the images")
        built.result()


def _build(console: Console, is_root: bool) -> None:
    ensure_binaries(console)
    if is_root:  # its tests need network namespaces
        kube_router()


if __name__ == "__main__":
    sys.exit(main())
