"""Builds and fetches what the tests run, before them: here its progress is seen, and no test's time limit ends it.

`python -m tests.tools.prepare`; each part is made once and kept in the cache.
"""

import os
import sys

from tests.cluster.build import ensure_binaries
from tests.cluster.console import Console
from tests.cluster.errors import ClusterError
from tests.dashboards.workshop import Workshop, WorkshopError
from tests.integration.network.router import kube_router
from tests.monitoring import PrometheusPackageError, programs


def main() -> int:
    """Make what is missing and return the exit code: 0 all is there, 1 something can't be had."""
    console = Console()
    try:
        ensure_binaries(console)
        programs()
        Workshop(console)
        if os.geteuid() == 0:  # its tests need network namespaces
            kube_router()
    except (ClusterError, PrometheusPackageError, RuntimeError, WorkshopError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
