"""Sending a folder to a claim: only what is not there yet, each file whole or not at all, checked at the end."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nnunet_api.dataset.places import look, place_problems
from nnunet_api.words import counted
from nnunet_cli.errors import CliError, ExitCode
from nnunet_cli.text.progress import Progress
from nnunet_cli.text.words import listed
from nnunet_cli.volumes.access import Volume
from nnunet_cli.volumes.hashes import hashes_of

BLOCK = 1 << 20
_LAST = "dataset.json"


@dataclass(frozen=True)
class LocalFile:
    """A file to send."""

    name: str
    """Path inside the dataset."""
    path: Path
    size: int


@dataclass(frozen=True)
class Plan:
    """What to do with each file, by what is on the claim."""

    send: Sequence[LocalFile]
    """Not there, or of another size."""
    compare: Sequence[LocalFile]
    """There with the same size: the hashes decide."""
    strangers: Sequence[str]
    """On the claim alone."""


@dataclass(frozen=True)
class Sent:
    """What became of a push."""

    files: int
    bytes: int
    skipped: int
    strangers: Sequence[str]


def local_files(folder: Path, follow_links: bool = False) -> list[LocalFile]:
    """Return the files of a folder, without hidden ones; dataset.json last: without it nobody takes it for whole.

    Raises CliError for links that lead nowhere, and for those that lead out of the folder unless they are followed.
    """
    if problems := _link_problems(folder, follow_links):
        raise CliError(f"nothing was sent: {'; '.join(problems)}", ExitCode.FOUND)
    found = [LocalFile(name, path, path.stat().st_size) for name, path in _paths(folder).items() if path.is_file()]
    return sorted(found, key=lambda file: file.name == _LAST)


def _link_problems(folder: Path, follow_links: bool) -> list[str]:
    """Return which links keep a folder from being sent, with what to do."""
    paths = _paths(folder)
    linked = [name for name, path in paths.items() if path.is_dir()]
    problems = []
    if linked:
        links = counted(len(linked), "folder is a link", "folders are links")
        words = f"{links}, and what is inside would be left out: {listed(linked[:5])}"
        problems.append(f"{words}. Put the folders themselves there (cp -rL)")
    places = look({name: path for name, path in paths.items() if not path.is_dir()})
    places = {name: place for name, place in places.items() if not (follow_links and place.is_file)}
    hint = "" if follow_links else ". Or send what links lead to, where they are meant so: --follow-links"
    return [*problems, *(problem + hint for problem in place_problems(places, str(folder.resolve()), "the folder"))]


def _paths(folder: Path) -> dict[str, Path]:
    """Return what is no folder, and folders that are links, by their paths inside; nothing that is hidden."""
    found = {path.relative_to(folder): path for path in sorted(folder.rglob("*"))}
    return {
        name.as_posix(): path
        for name, path in found.items()
        if not any(part.startswith(".") for part in name.parts) and (path.is_symlink() or not path.is_dir())
    }


def plan(files: Sequence[LocalFile], there: Mapping[str, int]) -> Plan:
    """Return what to do; `there` has the size of each file on the claim."""
    return Plan(
        send=[file for file in files if there.get(file.name) != file.size],
        compare=[file for file in files if there.get(file.name) == file.size],
        strangers=sorted(set(there) - {file.name for file in files}),
    )


def push(volume: Volume, folder: str, files: Sequence[LocalFile], progress: Progress) -> Sent:
    """Send files to a folder of the claim. Raises CliError; whatever was sent until then need not be sent again."""
    with volume.run("sizes", folder) as remote:
        there = {message["path"]: message["size"] for message in remote.messages()}
    todo = plan(files, there)
    same = set()
    for file, remote_hash in zip(todo.compare, hashes_of(volume, folder, _names(todo.compare)), strict=True):
        if remote_hash == sha256_of(file.path):
            same.add(file.name)
            progress(file.size)
    sending = [file for file in files if file.name not in same]
    sent = _send(volume, folder, sending, progress)
    _check(volume, folder, sent)
    size = sum(file.size for file in sending)
    return Sent(files=len(sending), bytes=size, skipped=len(same), strangers=todo.strangers)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _send(volume: Volume, folder: str, files: Sequence[LocalFile], progress: Progress) -> dict[str, str]:
    """Send files and return the SHA-256 of what was sent of each."""
    sent: dict[str, str] = {}
    if not files:
        return sent
    with volume.run("receive", folder) as remote:
        for file in files:
            digest = hashlib.sha256()
            remote.write_message(path=file.name, size=file.size)
            for block in _blocks(file):
                digest.update(block)
                remote.write(block)
                progress(len(block))
            sent[file.name] = digest.hexdigest()
            remote.write_message(sha256=sent[file.name])
            remote.message()
        remote.write(b"\n")
        remote.messages()
    return sent


def _blocks(file: LocalFile) -> Iterator[bytes]:
    left = file.size
    with file.path.open("rb") as source:
        while left:
            if not (block := source.read(min(BLOCK, left))):
                raise CliError(f"{file.path} became shorter while it was read: push again", ExitCode.FOUND)
            left -= len(block)
            yield block


def _check(volume: Volume, folder: str, sent: Mapping[str, str]) -> None:
    """Read what was sent once more, from the claim."""
    there = zip(sent, hashes_of(volume, folder, list(sent)), strict=True)
    if damaged := [name for name, value in there if sent[name] != value]:
        words = f"{counted(len(damaged), 'file is', 'files are')} damaged on the claim: {listed(damaged[:5])}"
        raise CliError(f"{words}. Push again; if it stays, the storage is failing", ExitCode.FOUND)


def _names(files: Sequence[LocalFile]) -> list[str]:
    return [file.name for file in files]
