"""What is in an image, in the form of CycloneDX: packages of its lock file with their hashes, and those of its base."""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from hack.images import LOCKS, ImageError
from hack.images.container import command_in
from hack.images.content import ROOT
from hack.images.engine import say
from hack.images.locks import pinned

FOLDER = ROOT / ".cache" / "sbom"


def write_sbom(name: str, reference: str) -> Path:
    """Write the bill of materials of the image `operator` or `trainer`; return its path. Raises ImageError."""
    target = FOLDER / f"nnunet-{name}-{reference.rpartition(':')[2]}.cdx.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    with command_in(reference, ["python3", "-m", "pip", "list", "--format=freeze"]) as command:
        listed = subprocess.run(command, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        raise ImageError(f"pip can't list what is in {reference}: {listed.stderr.strip()[-800:]}")
    program = Path(sys.executable).with_name("cyclonedx-py")
    options = ["--output-reproducible", "--of", "JSON", "--output-file", str(target)]
    made = subprocess.run(
        [str(program), "requirements", "-", *options],
        input=packages(LOCKS[name].read_text(), listed.stdout.splitlines()),
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        raise ImageError(f"cyclonedx-py can't write {target}: {made.stderr.strip()[-800:]}")
    say(f"what is in {reference}: {target.relative_to(ROOT)}")
    return target


def packages(lock: str, listed: Iterable[str]) -> str:
    """Return what is installed as a requirements file: as the lock has it, or else as pip lists it."""
    installed = dict(line.split("==", 1) for line in listed if "==" in line)
    wanted = {(_plain(name), version) for name, version in installed.items()}
    known = {(name, str(version)) for name, version in pinned(lock)}
    blocks = [block for block in _blocks(lock) if _key(block) in wanted]
    others = [f"{name}=={version}" for name, version in installed.items() if (_plain(name), version) not in known]
    return "\n".join([*blocks, *others]) + "\n"


def _blocks(lock: str) -> list[str]:
    """Return the entries of a lock file, each without its marker: what was installed is known."""
    found: list[list[str]] = []
    for line in lock.splitlines():
        if line.startswith("#"):
            continue
        if not line.startswith(" "):
            found.append([])
            head, marker, _ = line.partition(" ; ")
            line = f"{head} \\" if marker else line
        found[-1].append(line)
    return ["\n".join(lines) for lines in found]


def _key(block: str) -> tuple[str, str]:
    name, _, rest = block.partition("==")
    return name, rest.split()[0]


def _plain(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")
