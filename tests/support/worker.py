"""What the processes that share the tests must not share."""

import os

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
"""Name of this one, a part of the names of its clusters; "" where one process runs all tests."""
ADDRESSES = f"127.0.{int(WORKER.removeprefix('gw') or 0) + 1}"
"""Beginning of the loopback addresses that are its own."""
