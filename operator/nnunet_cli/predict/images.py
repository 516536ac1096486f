"""The images to predict, before anything is sent or a GPU is asked for: the rules of a dataset, as far as they fit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_api.dataset.beside import spacing_files
from nnunet_api.dataset.description import channel_names
from nnunet_api.dataset.layout import find_images
from nnunet_cli.datasets.headers import read_headers
from nnunet_cli.datasets.layout import Case, Layout
from nnunet_cli.datasets.transfer import LocalFile, local_files
from nnunet_cli.errors import CliError, ExitCode
from nnunet_cli.predict.places import Local, OnClaim

_MODELS = "by dataset.json of the model"


@dataclass(frozen=True)
class LocalImages:
    """Images on this machine that can be predicted."""

    cases: tuple[str, ...]
    files: tuple[LocalFile, ...]
    """All that is sent: the images, and spacings beside them."""
    note: str = ""
    """What could not be looked at."""


def local_images(place: Local, description: Mapping[str, Any], follow_links: bool) -> LocalImages:
    """Return the images in a folder of this machine. Raises CliError that names all that is wrong with them."""
    folder = place.path
    if not folder.is_dir():
        raise CliError(f"--input {folder} is no folder on this machine, and no CLAIM:PATH", ExitCode.USAGE)
    try:
        names = [path.name for path in folder.iterdir() if path.is_symlink() or path.is_file()]
        found = _cases(str(folder), names, description)
        cases = {case: Case(tuple(folder / name for name in files), None) for case, files in found.items()}
        headers = read_headers(Layout(folder, dict(description), test=cases))
        if headers.problems:
            raise _unfit(str(folder), headers.problems)
        images = [case.images for case in cases.values()]
        wanted = {path.name for paths in images for path in (*paths, *spacing_files(paths, None))}
        files = [file for file in local_files(folder, follow_links) if file.name in wanted]
    except OSError as error:
        raise CliError(f"{error.filename or folder} can't be read: {error.strerror}", ExitCode.USAGE) from None
    return LocalImages(tuple(sorted(cases)), tuple(files), headers.unread)


def images_on_claim(
    place: OnClaim, names: Sequence[str], description: Mapping[str, Any]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the cases in a folder of a claim, by the names of its files, and the names of all their files.

    Raises CliError as `local_images`.
    """
    found = _cases(str(place), [name for name in names if "/" not in name], description)
    files = [name for paths in found.values() for name in paths]
    beside = {path.name for paths in found.values() for path in spacing_files([Path(name) for name in paths], None)}
    return tuple(sorted(found)), tuple(sorted({*files, *(beside & set(names))}))


def ending_of(description: Mapping[str, Any]) -> str:
    """Return the ending of all images. Raises CliError for a dataset.json that names none."""
    ending = description.get("file_ending")
    if not isinstance(ending, str) or not ending.startswith("."):
        words = "dataset.json in the model's folder does not say file_ending, so it is not known which files are images"
        raise CliError(f"{words}. Restore it", ExitCode.FOUND)
    return ending


def _cases(folder: str, names: Sequence[str], description: Mapping[str, Any]) -> Mapping[str, tuple[str, ...]]:
    found = find_images(folder, names, ending_of(description), len(channel_names(description)))
    if found.problems:
        raise _unfit(folder, found.problems)
    return found.cases


def _unfit(folder: str, problems: Sequence[str]) -> CliError:
    listed = "\n".join(f"  - {problem}" for problem in problems)
    words = f"the images in {folder} can't be predicted, {_MODELS}:\n{listed}\nNothing was sent"
    return CliError(words, ExitCode.FOUND)


def local_target(place: Local) -> Path:
    """Make the folder for segmentations on this machine, where there is none. Raises CliError."""
    try:
        place.path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        words = f"--output {place.path} can't be made: {error.strerror}. Give another folder"
        raise CliError(words, ExitCode.USAGE) from None
    return place.path
