"""`python -m tests.trainer [PYTEST ARGUMENTS]`: run the tests of this folder inside the trainer image.

The image holds no pytest: it is installed into a cache folder here and mounted, like the tests themselves. What is
tested is the project as the image has it.
"""

import importlib.metadata
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.images import ImageError, ensure
from tests.images.engine import Engine

ROOT = Path(__file__).parents[2]
TIMEOUT_SECONDS = 1200


def main() -> int:
    """Run the tests; return pytest's exit code."""
    try:
        image = ensure(["trainer"])["trainer"]
    except ImageError as error:
        print(f"trainer tests: {error}", file=sys.stderr)
        return 1
    print(f"trainer tests: in {image}", file=sys.stderr)
    return run_in(image, sys.argv[1:])


def run_in(image: str, arguments: Sequence[str]) -> int:
    """Run pytest in a container of the image."""
    volumes = {ROOT / "tests": "/src/tests", _pytest_folder(): "/src/site"}
    options = [f"--volume={source}:{target}:ro" for source, target in volumes.items()]
    # root and SYS_ADMIN: a test mounts a volume of 2 MiB to fill it.
    options += ["--user=0", "--cap-add=CAP_SYS_ADMIN", "--env=PYTHONPATH=/src/site:/src", "--env=HOME=/tmp"]
    options += ["--env=MPLCONFIGDIR=/tmp/matplotlib", "--env=PYTHONDONTWRITEBYTECODE=1"]
    command = [
        "python3",
        "-m",
        "pytest",
        "-c",
        "/dev/null",
        "--rootdir=/src",
        "-p",
        "no:cacheprovider",
        "--durations=8",
    ]
    command += arguments or ["-q", "-x"]
    if not any(argument.startswith("/") for argument in arguments):
        command.append("/src/tests/trainer")
    program = Engine.find().program
    if program != "buildah":
        options += ["--rm", "--entrypoint=", "--shm-size=1g", "--network=none"]
        return subprocess.run([program, "run", *options, image, *command], timeout=TIMEOUT_SECONDS).returncode
    container = subprocess.run([program, "from", image], check=True, capture_output=True, text=True).stdout.strip()
    try:
        run = [program, "run", "--isolation=chroot", *options, container, "--", *command]
        return subprocess.run(run, timeout=TIMEOUT_SECONDS).returncode
    finally:
        subprocess.run([program, "rm", container], check=True, stdout=subprocess.DEVNULL)


def _pytest_folder() -> Path:
    """Return a folder with the same pytest as here; it is pure Python and runs on any version."""
    version = importlib.metadata.version("pytest")
    folder = ROOT / ".cache" / "trainer-tests" / f"pytest-{version}"
    if not (folder / "pytest").is_dir():
        pip = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--target",
            str(folder),
        ]
        subprocess.run([*pip, f"pytest=={version}"], check=True)
    return folder


if __name__ == "__main__":
    sys.exit(main())
