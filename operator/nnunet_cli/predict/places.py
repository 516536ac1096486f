"""Where images come from and segmentations go: a folder on this machine, or one on a claim. Pure."""

import re
from dataclasses import dataclass
from pathlib import Path

from nnunet_api.folders import inside, owned_part
from nnunet_cli.errors import CliError, ExitCode

_ON_CLAIM = re.compile(r"(?P<claim>[a-z0-9][-a-z0-9.]*[a-z0-9]):(?P<path>.*)", re.DOTALL)


@dataclass(frozen=True)
class Local:
    """A folder on this machine."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True)
class OnClaim:
    """A folder on a claim of the training's namespace."""

    claim: str
    path: str
    """From the root of the claim."""

    def __str__(self) -> str:
        return f"{self.claim}:{self.path}"


Place = Local | OnClaim


def place_of(text: str, option: str) -> Place:
    """Return the place that an option means: CLAIM:PATH, as kubectl cp writes POD:PATH, or a local folder.

    Raises CliError.
    """
    found = _ON_CLAIM.fullmatch(text)
    if found is None:
        if not text:
            raise CliError(f"{option} is empty: give a folder, or CLAIM:PATH", ExitCode.USAGE)
        return Local(Path(text))
    given, path = found["path"], inside("", found["path"])
    if given.startswith("/") or ".." in given.split("/") or not path or not path.isprintable():
        words = f"{option} {text}: the part behind the colon must be a folder inside the claim, not its root"
        raise CliError(f"{words}, without .. and a leading /", ExitCode.USAGE)
    if part := owned_part(path):
        words = f"{option} {text}: {part} is called as the folders are in which trainings write"
        raise CliError(f"{words}, who may put links there: give another folder", ExitCode.USAGE)
    return OnClaim(found["claim"], path)


def require_apart(source: Place, target: Place) -> None:
    """Raise CliError where segmentations would go among the images, or the other way round."""
    if isinstance(source, Local) and isinstance(target, Local):
        one, other = source.path.resolve(), target.path.resolve()
        same = one == other or one.is_relative_to(other) or other.is_relative_to(one)
    elif isinstance(source, OnClaim) and isinstance(target, OnClaim) and source.claim == target.claim:
        paths = [f"{source.path}/", f"{target.path}/"]
        same = paths[0].startswith(paths[1]) or paths[1].startswith(paths[0])
    else:
        same = False
    if same:
        words = f"--input {source} and --output {target} are one folder, or one lies in the other"
        raise CliError(f"{words}: give a folder of their own to the segmentations", ExitCode.USAGE)
