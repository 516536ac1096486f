"""Is a dataset's own splits_final.json one to train by? One verdict for planning and command line. Pure."""

from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any, TypeGuard

from nnunet_api.dataset.layout import named, shown
from nnunet_api.words import counted

SPLITS_FILE = "splits_final.json"
_PARTS = (("train", "val"), ("val", "train"))


def split_problems(content: Any, cases: Container[str]) -> Iterator[str]:
    """Yield what is wrong with the splits, with the remedy.

    nnU-Net takes them as they are: it would train on validation cases, or fail after the last epoch.
    """
    if not isinstance(content, list) or not content:
        yield f"{SPLITS_FILE} is {shown(content, 'null')}, must be a list with a split for each fold"
        return
    for fold, split in enumerate(content):
        where = f"{SPLITS_FILE}, fold {fold} (the first is 0)"
        if wrong := list(_form_problems(split)):
            yield from (f"{where}: {problem}" for problem in wrong)
        else:
            yield from (f"{where}: {problem}" for problem in _content_problems(split, cases))


def split_notes(splits: Sequence[Mapping[str, Sequence[str]]]) -> Iterator[str]:
    """Yield what is odd in splits without problems, and may be meant so."""
    for fold, split in enumerate(splits):
        if twice := _twice(split["train"]):
            yield (
                f"{SPLITS_FILE}, fold {fold} (the first is 0): train has {named(twice)} more than once: nnU-Net trains "
                "on such a case so much more often"
            )


def _form_problems(split: Any) -> Iterator[str]:
    for part, _ in _PARTS:
        cases = split.get(part) if isinstance(split, dict) else None
        if not _is_texts(cases):
            yield (
                f"{part} is {shown(cases)}, must be a list of names of cases: correct it, or remove the file to have "
                "nnU-Net split the cases"
            )


def _content_problems(split: Mapping[str, list[str]], cases: Container[str]) -> Iterator[str]:
    if unknown := {case for part, _ in _PARTS for case in split[part] if case not in cases}:
        words = f"{counted(len(unknown), 'case is', 'cases are')} not in the dataset"
        yield f"{words}: {named(unknown)}: correct the names, or add them"
    for part, other in _PARTS:
        if not split[part]:
            yield f"{part} is empty: give it cases; {other} has {named(set(split[other])) or 'none'}"
    if twice := _twice(split["val"]):
        yield f"val has {named(twice)} more than once: such a case would count so often, name it once"
    if both := set(split["train"]) & set(split["val"]):
        yield (
            f"{counted(len(both), 'case is', 'cases are')} in train and in val: {named(both)}: remove them from one of "
            "the two, or the fold, validated on what it was trained on, would look better than it is"
        )


def _twice(cases: Sequence[str]) -> set[str]:
    return {case for case, times in Counter(cases).items() if times > 1}


def _is_texts(value: Any) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(entry, str) for entry in value)
