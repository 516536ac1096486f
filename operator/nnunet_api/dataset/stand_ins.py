"""Files that stand where images should, and were never fetched: pointers of Git LFS and git-annex, pages of a server.

To copy them again, as for what is damaged, would bring the same.
"""

from collections.abc import Iterable
from pathlib import Path

from nnunet_api.dataset.layout import named
from nnunet_api.words import counted

_HEAD_BYTES = 256
_KINDS = {
    b"version https://git-lfs": "a pointer of Git LFS: git lfs pull",
    b"/annex/objects/": "a pointer of git-annex: git annex get",
    b"<!doctype html": "a page of a web server, such as one that asks to sign in",
    b"<html": "a page of a web server, such as one that asks to sign in",
    b"<?xml": "an answer of a server, such as an error of an object store",
}
"""By how they begin, in small letters: what they are."""


def stands_for(path: Path) -> str:
    """Return what a file is in the place of an image; empty where it may be an image."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES).lstrip().lower()
    return next((kind for begins, kind in _KINDS.items() if head.startswith(begins)), "")


def stand_ins_problem(told: Iterable[tuple[str, str]]) -> str:
    """Return which files are none of the images that they are called; each with what it is."""
    listed = [f"{name} ({kind})" for name, kind in told]
    return f"{counted(len(listed), 'file is', 'files are')} no image: {named(listed)}. Fetch the images themselves"
