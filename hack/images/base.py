"""The two Debian bases that need no registry: Python for the operator, CPU torch for tests of the trainer."""

import tempfile
import time
from pathlib import Path

from hack.fetch import fetch
from hack.images.content import ROOT, content_tag
from hack.images.engine import Engine, ImageError, require, say

SUITE = "trixie"
PACKAGES = {
    "nnunet-base-python": ("ca-certificates", "python3-venv"),
    "nnunet-base-cpu": ("ca-certificates", "python3-venv", "python3-torch", "python3-torchvision"),
}
_OPTIONS = (
    "--variant=minbase",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-include=/usr/share/doc/*/copyright",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
)
_DOCKERFILE = ROOT / "trainer_image" / "base" / "Dockerfile"


def ensure_base(engine: Engine, name: str) -> str:
    """Return the reference of a base image, building it when the local store has none of this content."""
    packages = PACKAGES[name]
    reference = f"localhost/{name}:{content_tag([_DOCKERFILE], ' '.join([SUITE, *_OPTIONS, *packages]))}"
    if engine.exists(reference):
        return reference
    ensure_bootstrapper()
    with tempfile.TemporaryDirectory(prefix="nnunet-base-") as folder:
        _bootstrap(Path(folder) / "rootfs.tar", packages)
        engine.build(reference, _DOCKERFILE, Path(folder), {})
    return reference


def ensure_bootstrapper() -> None:
    """Install mmdebstrap where it is missing. Raises ImageError."""
    require("mmdebstrap", "mmdebstrap")


def _bootstrap(target: Path, packages: tuple[str, ...]) -> None:
    began = time.monotonic()
    say(f"bootstrapping Debian {SUITE} with {', '.join(packages)} (1-2 minutes)")
    command = ["mmdebstrap", *_OPTIONS, f"--include={','.join(packages)}", SUITE, str(target)]
    done = fetch([*command, "http://deb.debian.org/debian"])
    if done.returncode != 0:
        raise ImageError("mmdebstrap failed:\n" + "\n".join(done.stderr.splitlines()[-15:]))
    say(f"bootstrapped in {time.monotonic() - began:.0f} s")
