"""The bases that need no registry: Debian with Python for the operator, and for the trainer with torch.

Debian's own torch for the CPU is for tests; for GPUs it is PyPI's, by a lock.
"""

import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from hack.fetch import fetch
from hack.images.content import ROOT, content_tag
from hack.images.engine import Engine, ImageError, require, say

SUITE = "trixie"
CPU = "nnunet-base-cpu"
GPU = "nnunet-base-gpu"
PACKAGES = {
    "nnunet-base-python": ("ca-certificates", "python3-venv"),
    CPU: ("ca-certificates", "python3-venv", "python3-torch", "python3-torchvision"),
    # torch.compile builds for the GPU while a training runs.
    "nnunet-base-compiler": ("ca-certificates", "python3-venv", "python3-dev", "g++"),
}


@dataclass(frozen=True)
class Torch:
    """What a base brings of torch."""

    torch: str
    torchvision: str
    cudnn: int | None
    """As torch.backends.cudnn.version() tells it; None for the CPU."""
    python: str

    @property
    def requirements(self) -> tuple[str, str]:
        """The two of them as pip takes them."""
        return f"torch=={self.torch}", f"torchvision=={self.torchvision}"


BROUGHT = {
    CPU: Torch("2.6.0", "0.21.0", None, "3.13"),
    GPU: Torch("2.7.1", "0.22.1", 90501, "3.13"),
    "docker.io/pytorch/pytorch:2.7.1-cuda12.8-cudnn9-runtime": Torch("2.7.1", "0.22.1", 90701, "3.11"),
}
"""What each base brings that the documentation names (docs/decisions/0037): `make lock` sees that all else fits it."""
_OPTIONS = (
    "--variant=minbase",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-include=/usr/share/doc/*/copyright",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
)
_FOLDER = ROOT / "trainer_image" / "base"
_DOCKERFILE = _FOLDER / "Dockerfile"
_GPU_DOCKERFILE = _FOLDER / "gpu.Dockerfile"
GPU_LOCK = _FOLDER / "torch.lock"


def base_reference(name: str) -> str:
    """Return the reference of a base image for what it is made of now."""
    if name == GPU:
        tag = content_tag([_GPU_DOCKERFILE, GPU_LOCK], base_reference("nnunet-base-compiler"))
    else:
        tag = content_tag([_DOCKERFILE], " ".join([SUITE, *_OPTIONS, *PACKAGES[name]]))
    return f"localhost/{name}:{tag}"


def ensure_base(engine: Engine, name: str) -> str:
    """Return the reference of a base image, building it when the local store has none of this content."""
    reference = base_reference(name)
    if engine.exists(reference):
        return reference
    with tempfile.TemporaryDirectory(prefix="nnunet-base-") as folder:
        if name == GPU:
            arguments = {"DEBIAN": ensure_base(engine, "nnunet-base-compiler")}
            shutil.copy(GPU_LOCK, folder)
            engine.build(reference, _GPU_DOCKERFILE, Path(folder), arguments)
        else:
            ensure_bootstrapper()
            _bootstrap(Path(folder) / "rootfs.tar", PACKAGES[name])
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
