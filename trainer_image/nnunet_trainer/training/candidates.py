"""Words about classes that can't be used: which one was meant, and where one must not stand. Pure."""

import difflib
from collections.abc import Collection, Mapping
from pathlib import Path

_NAMED = 5
_CLOSE = 0.6


def suggestion(name: str, known: Collection[str]) -> str:
    """Return which of the classes somebody may have meant by a name, the nearest first; private ones are nobody's."""
    public = [candidate for candidate in known if not candidate.startswith("_")]
    likeness = {each: difflib.SequenceMatcher(None, name.lower(), each.lower()).ratio() for each in public}
    nearest = sorted(public, key=lambda each: (-likeness[each], each))
    close = [candidate for candidate in nearest[:3] if likeness[candidate] >= _CLOSE]
    if close:
        return f"Did you mean {' or '.join(close)}?"
    rest = len(nearest) - _NAMED
    return f"There are {', '.join(nearest[:_NAMED])}{f' and {rest} more' if rest > 0 else ''}."


def place_problem(name: str, folder: Path, environment: Mapping[str, str]) -> str:
    """Return why a class can't stand where it does: planning alone mounts the dataset's claim; "" where it can."""
    raw = environment.get("nnUNet_raw", "")
    if not raw or not folder.resolve().is_relative_to(Path(raw).resolve()):
        return ""
    return (
        f"trainer class {name} stands in {folder}, on the claim of the dataset, which the folds do not mount: "
        "build it into an image (docs/user-guide/custom-trainers.md)"
    )
