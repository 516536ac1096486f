"""The program that builds images: buildah, or podman or docker where an engine answers."""

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hack.fetch import fetch

_STEP = re.compile(r"(?:\[\d+/\d+\] )?STEP (\d+)(?:/| of )(\d+)", re.IGNORECASE)
PREFERENCE = ("buildah", "podman", "docker")


class ImageError(Exception):
    """A build that can't be done; the message says what to do."""


def say(text: str) -> None:
    """Print a line of progress."""
    print(f"images: {text}", file=sys.stderr, flush=True)


def answers(program: str) -> bool:
    """Tell whether an engine stands behind the program: a docker client without a daemon can't build."""
    if shutil.which(program) is None:
        return False
    probe = subprocess.run([program, "info"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return probe.returncode == 0


def choose(works: Callable[[str], bool] = answers) -> str | None:
    """Return the first program of `PREFERENCE` that works, or None."""
    return next((program for program in PREFERENCE if works(program)), None)


def require(package: str, program: str) -> None:
    """Install a Debian package unless its program is there. Raises ImageError when not root."""
    if shutil.which(program):
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise ImageError(f"{program} is missing: sudo apt-get install {package}")
    say(f"installing {package}")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", package]):
        done = fetch(["apt-get", *command], env=env)
        if done.returncode != 0:
            raise ImageError(f"apt-get {command[0]} failed:\n{(done.stdout + done.stderr).strip()[-800:]}")


@dataclass(frozen=True)
class Engine:
    """One of the programs, with the few calls that differ between them."""

    program: str

    @classmethod
    def find(cls) -> "Engine":
        """Return the engine of this machine, installing buildah where there is none and that is possible."""
        program = choose()
        if program is None:
            require("buildah", "buildah")
            program = "buildah"
        return cls(program)

    def exists(self, reference: str) -> bool:
        """Tell whether the local store has an image."""
        kind = ["inspect", "--type", "image"] if self.program == "buildah" else ["image", "inspect"]
        done = subprocess.run(
            [self.program, *kind, reference], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
        )
        return done.returncode == 0

    def tag(self, reference: str, alias: str) -> None:
        """Give an image a further name."""
        subprocess.run([self.program, "tag", reference, alias], check=True)

    def build(self, reference: str, dockerfile: Path, context: Path, arguments: Mapping[str, str]) -> None:
        """Build an image. Raises ImageError with the end of the build's output."""
        command = [self.program, "build", "--file", str(dockerfile), "--tag", reference]
        if self.program != "docker":
            command += ["--layers", "--network=host", "--isolation=chroot"]
        bundle = os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE") or "/etc/ssl/certs/ca-certificates.crt"
        command.append(f"--secret=id=ca,src={bundle if Path(bundle).is_file() else os.devnull}")
        command += [f"--build-arg={name}={value}" for name, value in arguments.items()]
        _run_quietly([*command, str(context)], f"building {reference}")


def _run_quietly(command: Sequence[str], what: str, sign_seconds: float = 15) -> None:
    """Run a build, with a sign of life every so often, how far it is, and its output only when it fails."""
    began = time.monotonic()
    say(what)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    lines: list[str] = []
    reading = threading.Thread(target=lines.extend, args=(process.stdout,), daemon=True)
    reading.start()
    while True:
        reading.join(sign_seconds)
        if not reading.is_alive():
            break
        say(f"{what}: {_step(lines)}{time.monotonic() - began:.0f} s")
    if process.wait() != 0:
        tail = "\n".join(line.rstrip() for line in lines[-25:])
        raise ImageError(f"{what} failed with exit code {process.returncode}:\n{tail}")
    say(f"{what}: done in {time.monotonic() - began:.0f} s")


def _step(lines: Sequence[str]) -> str:
    """Return the step that the build of an image is at, "step 3 of 12, "; "" where it has told none."""
    found = (_STEP.match(line) for line in reversed(lines[:]))
    return next((f"step {step[1]} of {step[2]}, " for step in found if step), "")
