"""`python -m tests.trainer [PYTEST ARGUMENTS]`: run the tests of this folder inside the trainer image.

The image holds no pytest: it is installed into a cache folder here and mounted, like the tests themselves. What is
tested is the project as the image has it.
"""

import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from hack.fetch import fetch
from hack.images import ImageError, ensure
from hack.images.container import SOURCES, command_in
from hack.localcluster.layout import cache_root
from hack.localcluster.once import made_once

ROOT = Path(__file__).parents[2]
TIMEOUT_SECONDS = 3600
XDIST = "pytest-xdist==3.8.0"
EXAMPLE = "test_custom_image.py"
"""Runs in an image of its own: the example of the user guide."""
WORKERS = 2
"""A trainer here keeps one core busy."""


def main() -> int:
    """Run the tests; return pytest's exit code. Without arguments all of them run."""
    arguments = sys.argv[1:]
    images = {"trainer": [*arguments]} if arguments != [EXAMPLE] else {}
    if arguments in ([], [EXAMPLE]):
        images["custom-trainer"] = ["-q", f"{SOURCES}/tests/trainer/{EXAMPLE}"]
    try:
        built = ensure(images)
    except ImageError as error:
        print(f"trainer tests: {error}", file=sys.stderr)
        return 1
    codes = []
    for name, chosen in images.items():
        print(f"trainer tests: in {built[name]}", file=sys.stderr)
        try:
            codes.append(run_in(built[name], chosen))
        except ImageError as error:
            print(f"trainer tests: {error}", file=sys.stderr)
            return 1
    return next((code for code in codes if code), 0)


def run_in(image: str, arguments: Sequence[str]) -> int:
    """Run pytest in a container of the image."""
    command = ["python3", "-m", "pytest", "-c", "/dev/null", f"--rootdir={SOURCES}", "-p", "no:cacheprovider"]
    # By file: what the tests of one share, trained folds, takes minutes to make. In the order of conftest.py.
    spread = [f"--numprocesses={WORKERS}", "--dist=loadfile", "--no-loadscope-reorder"]
    command += ["-p", "tests.support.ledger", *spread, *(arguments or ["-q"])]
    if not any(argument.startswith("/") for argument in arguments):
        command.append(f"{SOURCES}/tests/trainer")
    site = f"{SOURCES}/site"
    # A test mounts a volume of 2 MiB to fill it.
    options = ["--cap-add=CAP_SYS_ADMIN"]
    options += [f"--env={name}={os.environ[name]}" for name in ("NNUNET_SOAK", "SEED") if name in os.environ]
    mounts = {_pytest_folder(): site}
    mounts |= {ROOT / "docs" / name: f"{SOURCES}/docs/{name}" for name in ("examples", "reference")}
    with command_in(image, command, read_only=mounts, python_path=[site], options=options) as full_command:
        return subprocess.run(full_command, timeout=TIMEOUT_SECONDS).returncode


def _pytest_folder() -> Path:
    """Return a folder with the same pytest as here, and xdist; they are pure Python and run on any version."""
    version = importlib.metadata.version("pytest")
    folder = cache_root() / "trainer-tests" / f"pytest-{version}-{XDIST.replace('==', '-')}"
    return made_once(folder, lambda: _install_pytest(folder, version))


def _install_pytest(folder: Path, version: str) -> None:
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", str(partial)]
    done = fetch([*pip, f"pytest=={version}", XDIST])
    if done.returncode != 0:
        raise ImageError(f"pip can't install pytest {version} and {XDIST}:\n{done.stderr.strip()[-800:]}")
    partial.rename(folder)


if __name__ == "__main__":
    sys.exit(main())
