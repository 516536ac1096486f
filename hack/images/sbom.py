"""What is in an image, in the form of CycloneDX: packages of its lock file with their hashes, and those of its base.

Those of the base are Python's and Debian's, or Ubuntu's.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hack.images import LOCKS, ImageError
from hack.images.base import GPU_LOCK
from hack.images.container import command_in
from hack.images.content import ROOT
from hack.images.engine import say
from hack.images.locks import pinned

FOLDER = ROOT / ".cache" / "sbom"
_FIELDS = "db:Status-Status", "Package", "Version", "Architecture", "source:Package", "source:Version"
_LIST = f"dpkg-query -W -f '{' '.join(f'${{{field}}}' for field in _FIELDS)}\\n'"
_SYSTEM = '. /etc/os-release && echo "$ID $VERSION_ID" && command -v dpkg-query >/dev/null'


def write_sbom(name: str, reference: str) -> Path:
    """Write the bill of materials of the image `operator` or `trainer`; return its path. Raises ImageError."""
    target = FOLDER / f"nnunet-{name}-{reference.rpartition(':')[2]}.cdx.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    listed = _run_in(reference, ["python3", "-m", "pip", "list", "--format=freeze"])
    if listed.returncode != 0:
        raise ImageError(f"pip can't list what is in {reference}: {listed.stderr.strip()[-800:]}")
    of_system = _run_in(reference, ["sh", "-c", f"{_SYSTEM} && {_LIST}"])
    if of_system.returncode != 0:
        say(f"no packages of the system are listed: {reference} is of no Debian or Ubuntu")
    program = Path(sys.executable).with_name("cyclonedx-py")
    options = ["--output-reproducible", "--of", "JSON", "--output-file", str(target)]
    made = subprocess.run(
        [str(program), "requirements", "-", *options],
        input=packages(_locked(name), listed.stdout.splitlines()),
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        raise ImageError(f"cyclonedx-py can't write {target}: {made.stderr.strip()[-800:]}")
    if of_system.returncode == 0:
        bill = json.loads(target.read_text())
        bill["components"] = [*bill.get("components", ()), *components(of_system.stdout.splitlines())]
        target.write_text(json.dumps(bill, indent=2) + "\n")
    say(f"what is in {reference}: {target.relative_to(ROOT)}")
    return target


def _locked(name: str) -> str:
    """Return the entries of the image's lock, and of those that a base may be made of: what is listed decides."""
    return "".join(path.read_text() for path in (LOCKS[name], *([GPU_LOCK] if name == "trainer" else [])))


def _run_in(reference: str, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    with command_in(reference, command) as whole:
        return subprocess.run(whole, capture_output=True, text=True, check=False)


def components(lines: Sequence[str]) -> list[dict[str, Any]]:
    """Return what is installed of Debian, as components of CycloneDX; the first line is the system and its version.

    Each is named by its package URL, and by its source package, under which Debian's security notices speak of it.
    """
    system, _, release = lines[0].partition(" ")
    found = []
    for line in lines[1:]:
        status, name, version, architecture, source, source_version = line.split(" ")
        if status != "installed":
            continue
        upstream = quote(f"{source}@{source_version}", safe="@")
        url = f"pkg:deb/{system}/{quote(name)}@{quote(version, safe='')}?arch={architecture}&distro={system}-{release}"
        url += f"&upstream={upstream}"
        found.append({"type": "library", "bom-ref": url, "name": name, "version": version, "purl": url})
    return sorted(found, key=lambda component: component["bom-ref"])


def packages(lock: str, listed: Iterable[str]) -> str:
    """Return what is installed as a requirements file: as the lock has it, or else as pip lists it."""
    installed = dict(line.split("==", 1) for line in listed if "==" in line)
    wanted = {(_plain(name), version) for name, version in installed.items()}
    known = {(name, str(version)) for name, version in pinned(lock)}
    blocks = {_key(block): block for block in _blocks(lock) if _key(block) in wanted}
    others = [f"{name}=={version}" for name, version in installed.items() if (_plain(name), version) not in known]
    return "\n".join([*blocks.values(), *others]) + "\n"


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
