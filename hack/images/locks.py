"""The lock files of the images: each package that is installed, by version and by the hashes of its files.

`make lock` renews them (uv resolves for every Python and processor that a base image may have). That they are those of
pyproject.toml is checked without a network: each begins with the hash of what it was made from. That of the trainer is
made only where its packages fit the torch of each base that the documentation names.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

from hack.images.base import BROUGHT, GPU, GPU_LOCK, Torch
from hack.images.content import ROOT, requirements

PYTHON = "3.11"
"""The oldest Python that a base image may have."""
LINUX = "sys_platform == 'linux'"
BASE_BRINGS = ("torch", "torchvision")
"""What the trainer's base image brings, and what only these need: they have to match each other and the driver."""
BOUNDS = ("numpy>=2.2,<2.3",)
"""numpy's interface is that with which the torch of common base images was built."""
BUILD = Path("hack/images/build.lock")


@dataclass(frozen=True)
class Lock:
    """A lock file and what it is made from."""

    path: Path
    """Below the root of the repository."""
    wanted: tuple[str, ...]
    """Requirements, as pip takes them."""
    left_out: tuple[str, ...] = ()
    beside: tuple[Torch, ...] = ()
    """What of that may be there already: the lock has to fit each of them."""

    @property
    def made_from(self) -> str:
        """The hash of all that decides about its content, but for what is on the index."""
        parts = [*self.wanted, PYTHON, LINUX, *self.left_out, *BOUNDS, *(astuple(base) for base in self.beside)]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    @property
    def first_line(self) -> str:
        """The line by which it is known whether it is current."""
        return f"# Written by `make lock` from requirements with the SHA-256 {self.made_from}\n"


def locks() -> dict[str, Lock]:
    """Return the locks of the images `operator` and `trainer`, of what builds packages in both, and of the GPU base."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    return {
        "build": Lock(BUILD, (*build, "setuptools", "wheel")),
        "operator": Lock(Path("operator/requirements.lock"), tuple(requirements("operator"))),
        "trainer": Lock(
            Path("trainer_image/requirements.lock"),
            tuple(requirements("trainer")),
            BASE_BRINGS,
            tuple(BROUGHT.values()),
        ),
        "gpu-base": Lock(GPU_LOCK.relative_to(ROOT), BROUGHT[GPU].requirements),
    }


def renew(lock: Lock, upgrade: bool) -> None:
    """Write a lock file. Versions that fit stay, unless `upgrade`. Raises CalledProcessError; uv prints why."""
    target = ROOT / lock.path
    never = [f"{name} ; sys_platform == 'never'" for name in lock.left_out]
    with tempfile.TemporaryDirectory() as folder:
        made, whole = Path(folder, "made.lock"), Path(folder, "whole.lock")
        if target.exists():
            shutil.copy(target, made)
        every = ["--universal", f"--python-version={PYTHON}", *(["--upgrade"] if upgrade else [])]
        _compile(lock.wanted, made, *every, never=never)
        for base in lock.beside:
            # Nothing is left out here: each requirement on what the base brings counts.
            one = [f"--python-version={base.python}", "--python-platform=x86_64-manylinux_2_28", f"--constraint={made}"]
            _compile((*lock.wanted, *base.requirements), whole, *one)
        target.write_text(lock.first_line + made.read_text())


def _compile(wanted: Sequence[str], target: Path, *options: str, never: Sequence[str] = ()) -> None:
    """Have uv choose versions, and write them."""
    settings = {"environments": [LINUX], "override-dependencies": never, "constraint-dependencies": BOUNDS}
    project = {"name": json.dumps("lock"), "version": json.dumps("0"), "dependencies": json.dumps(wanted)}
    tables = {"project": project, "tool.uv": {key: json.dumps(value) for key, value in settings.items()}}
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "pyproject.toml")
        source.write_text(
            "".join(
                f"[{table}]\n" + "".join(f"{key} = {value}\n" for key, value in content.items())
                for table, content in tables.items()
            )
        )
        uv = Path(sys.executable).with_name("uv")
        command = [str(uv), "pip", "compile", str(source), "--output-file", str(target)]
        command += ["--generate-hashes", "--no-header", "--no-annotate", "--quiet", *options]
        subprocess.run(command, check=True, cwd=folder)


def pinned(text: str) -> Iterator[tuple[str, Version]]:
    """Yield name and version of each package of a lock file; a name comes twice where versions depend on the Python."""
    for line in text.splitlines():
        if "==" in line and not line.startswith((" ", "#")):
            name, _, rest = line.partition("==")
            yield name.strip(), Version(rest.split()[0])


def problems(lock: Lock) -> Iterator[str]:
    """Yield why a lock file is not that of pyproject.toml. Asks no index."""
    path = ROOT / lock.path
    if not path.exists():
        yield f"{lock.path} is missing: run `make lock`"
        return
    text = path.read_text()
    if not text.startswith(lock.first_line):
        yield f"{lock.path} was made from other requirements than those of pyproject.toml: run `make lock`"
    found = dict(pinned(text))
    for wanted in map(Requirement, lock.wanted):
        version = found.get(wanted.name.lower().replace("_", "-"))
        if version is None or version not in wanted.specifier:
            yield f"{lock.path} has {wanted.name} {version or 'not at all'}, must have {wanted}: run `make lock`"
    if extra := set(found) & set(lock.left_out):
        yield f"{lock.path} holds {', '.join(sorted(extra))}, which the base image brings: run `make lock`"
