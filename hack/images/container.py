"""Commands in a container of an image, with the tests and tools of this checkout mounted."""

import contextlib
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from hack.images.content import ROOT
from hack.images.engine import Engine

SOURCES = "/src"
"""Where `tests` and `hack` are mounted."""


@contextlib.contextmanager
def command_in(
    image: str,
    command: Sequence[str],
    *,
    writable: Mapping[Path, str] | None = None,
    read_only: Mapping[Path, str] | None = None,
    python_path: Sequence[str] = (),
    options: Sequence[str] = (),
) -> Iterator[list[str]]:
    """Yield the command line that runs `command` in a new container, which is removed when the block is left.

    The mappings say which folder is mounted where; `options` are further ones of `buildah run` and `podman run`.
    """
    mounts = [f"--volume={ROOT / name}:{SOURCES}/{name}:ro" for name in ("tests", "hack")]
    mounts += [f"--volume={folder}:{target}:ro" for folder, target in (read_only or {}).items()]
    mounts += [f"--volume={folder}:{target}" for folder, target in (writable or {}).items()]
    variables = {
        "PYTHONPATH": ":".join([*python_path, SOURCES]),
        "HOME": "/tmp",
        "MPLCONFIGDIR": "/tmp/matplotlib",
        # The tests are mounted read-only.
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    environment = [f"--env={name}={value}" for name, value in variables.items()]
    common = ["--user=0", *mounts, *environment, *options]
    program = Engine.find().program
    if program != "buildah":
        yield [program, "run", "--rm", "--entrypoint=", "--shm-size=1g", "--network=none", *common, image, *command]
        return
    made = subprocess.run([program, "from", image], check=True, capture_output=True, text=True)
    container = made.stdout.strip()
    try:
        yield [program, "run", "--isolation=chroot", *common, container, "--", *command]
    finally:
        subprocess.run([program, "rm", container], check=True, stdout=subprocess.DEVNULL)
