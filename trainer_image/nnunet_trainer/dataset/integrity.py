"""Every image and label of a dataset is read once before anything long is done: what is wrong is named, all at once."""

import logging
import multiprocessing
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from nnunet_api.dataset.beside import sidecar_problems
from nnunet_api.dataset.description import READER_KEY
from nnunet_api.dataset.geometry import mixed_readers, odd_grids, odd_unit
from nnunet_api.dataset.truncation import is_damaged
from nnunet_trainer.dataset.contents import Contents
from nnunet_trainer.dataset.examination import REMEDIES, Examined, Examiner, Finding, Kind, ReaderChoice
from nnunet_trainer.dataset.raw import Case, RawDataset
from nnunet_trainer.dataset.readers import attempt
from nnunet_trainer.process.failures import wrong_data
from nnunet_trainer.process.heartbeat import heartbeat

log = logging.getLogger(__name__)

_NAMED_CHARACTERS = 700
"""Room for the findings of one kind in a message; all of them are in the log."""
_VOLUMES_AS_TIF = "Tiff3DIO"
"""nnU-Net's only reader that takes spacings from other files."""


def verify_training_cases(dataset: RawDataset, processes: int, named_as_normalized: bool = True) -> Contents:
    """Read every image and label of the training cases and return what they hold; see `_verify`."""
    return _verify("the dataset", dataset, dataset.cases, processes, choose_reader(dataset), named_as_normalized)


def verify_test_cases(
    dataset: RawDataset, cases: Mapping[str, Case], processes: int, named_as_normalized: bool = True
) -> Contents:
    """Read every image and label of the test set, by the training set's reader, and return what they hold."""
    # Whatever the first reader can read of it: the choice is made.
    choice = replace(choose_reader(dataset), first=None)
    return _verify("the test set", dataset, cases, processes, choice, named_as_normalized)


def choose_reader(dataset: RawDataset) -> ReaderChoice:
    """Return the reader that nnU-Net takes for this dataset, and note in the log which it is and why.

    nnU-Net takes the first of its readers for the file ending that can read the first case. Raises TrainerError with
    WRONG_DATA where there is none.
    """
    from nnunetv2.imageio import reader_writer_registry as registry

    named = dataset.description.get(READER_KEY, "None")
    listed = "dataset" in dataset.description
    if named != "None":
        try:
            reader = registry.recursive_find_reader_writer_by_name(named)
        except (RuntimeError, TypeError, AttributeError) as error:
            # nnU-Net would take another one with no more than a line in the log.
            raise wrong_data(
                f"dataset.json: {READER_KEY} is {named!r}, and nnU-Net has no such reader. Correct it, or leave it out"
            ) from error
        return _chosen(ReaderChoice(reader, why=f"dataset.json names it ({READER_KEY})"))
    ending = dataset.ending.lower()
    candidates = [reader for reader in registry.LIST_OF_IO_CLASSES if ending in reader.supported_file_endings]
    if not candidates:
        raise wrong_data(
            f"dataset.json: file_ending is {dataset.ending}, which none of nnU-Net's readers takes. Convert the files, "
            f"or name a reader by {READER_KEY}"
        )
    for name in [*dataset.cases] if listed else sorted(dataset.cases):
        if choice := _choice_by(dataset, candidates, dataset.cases[name].images[0]):
            return _chosen(choice)
    # Each of them is named when all are examined.
    return _chosen(ReaderChoice(candidates[0], later=tuple(candidates[1:]), why="no image can be read"))


def _choice_by(dataset: RawDataset, candidates: Sequence[Any], image: Path) -> ReaderChoice | None:
    """Return the first of nnU-Net's readers that can read an image; None where none can, which is no choice."""
    refused: list[str] = []
    for reader in candidates:
        _, trouble = attempt(partial(_read_first, reader, str(image)), [image])
        if trouble is None and refused and is_damaged(image):
            return None
        if trouble is None:
            why = f"the first of nnU-Net's readers for {dataset.ending} that can read {dataset.name_of(image)}"
            if refused:
                return ReaderChoice(reader, first=candidates[0], why="; ".join([why, *refused]))
            return ReaderChoice(reader, later=tuple(candidates[1:]), why=why)
        refused.append(f"{reader.__name__} can't: {trouble[-200:]}")
    return None


def _read_first(reader: Any, file: str) -> None:
    reader().read_images((file,))


def _chosen(choice: ReaderChoice) -> ReaderChoice:
    log.info("images are read by %s: %s", choice.reader.__name__, choice.why)
    return choice


def _verify(
    what: str,
    dataset: RawDataset,
    cases: Mapping[str, Case],
    processes: int,
    choice: ReaderChoice,
    named_as_normalized: bool,
) -> Contents:
    """Check grids, voxels, label values and whatever else nnU-Net's verify_dataset_integrity checks of a case.

    That function reads each label image twice and knows imagesTr only; so what it calls for each case is called here,
    on what was read once. What it checks beside that, `load_dataset` has checked.

    Raises TrainerError with WRONG_DATA and all findings, as far as a message has room.
    """
    labels = dataset.labels.values
    examine = Examiner(choice, dataset.channels, labels, dataset.folder, dataset.colours, named_as_normalized)
    examined: dict[str, Examined] = {}
    with (
        heartbeat(f"verifying {what}", lambda: f"{len(examined)}/{len(cases)} cases"),
        multiprocessing.get_context("spawn").Pool(min(processes, max(1, len(cases)))) as pool,
    ):
        for name, found in zip(cases, pool.imap(examine, cases.values()), strict=True):
            examined[name] = found
    findings = all_findings(examined.values(), choice, learned=cases is dataset.cases)
    for finding in findings:
        log.error("%s: %s", finding.kind.value[0], finding.text)
    if told := told_of(findings, choice, cases, dataset.folder):
        raise wrong_data(f"{what} of {dataset.folder.name} can't be used: {told}")
    contents = {name: found.contents for name, found in examined.items() if found.contents is not None}
    if note := odd_unit([found.grid for found in examined.values() if found.grid is not None]):
        # Of the dataset as a whole: kept once, with its first case.
        first = next(iter(contents))
        contents[first] = replace(contents[first], notes=(note, *contents[first].notes))
    return contents


def told_of(findings: Sequence[Finding], choice: ReaderChoice, cases: Mapping[str, Case], folder: Path) -> str:
    """Return all that is wrong with the cases; nothing where they are in order."""
    told = list[str]()
    if choice.reader.__name__ == _VOLUMES_AS_TIF:
        told += sidecar_problems([(case.images, case.label) for case in cases.values()], folder)
    return "; ".join([*told, described(findings, choice)] if findings else told)


def all_findings(examined: Collection[Examined], choice: ReaderChoice, learned: bool = True) -> list[Finding]:
    """Return what is wrong with the cases; `learned` where the networks are to learn from them.

    Where the first reader for the file ending can read none of them, it is no choice; where it can read some, nnU-Net's
    choice depends on which case comes first. What the reader of the others can't read does not make it a choice either:
    that one file is named as what it is.
    """
    findings = [finding for found in examined for finding in found.findings]
    grids = {found.name: found.grid for found in examined if found.grid is not None}
    findings += (Finding(Kind.ODD, text) for text in odd_grids(grids))
    findings += _told_beforehand(examined) if learned else ()
    if choice.first is None or any(found.by_first and found.grid is not None for found in examined):
        return findings
    return [finding for finding in findings if finding.kind != Kind.OTHER_READER]


def _told_beforehand(examined: Iterable[Examined]) -> Iterator[Finding]:
    """Yield the images of a channel that is the label image of every case that has a label: no other would be used."""
    answers = [found.answers for found in examined if found.answers is not None]
    for number in sorted(set.intersection(*map(set, answers))) if answers else ():
        yield from (Finding(Kind.SAME, answer[number]) for answer in answers)


def described(findings: Iterable[Finding], choice: ReaderChoice) -> str:
    """Return the findings by their kinds, each with its remedy, as far as a message has room."""
    by_kind: dict[Kind, list[str]] = {}
    for finding in findings:
        by_kind.setdefault(finding.kind, []).append(finding.text)
    return "; ".join(
        f"{kind.counted(len(texts))}: {_within(texts)}. {REMEDIES[kind]}"
        if kind != Kind.OTHER_READER
        else _mixed(texts, choice)
        for kind, texts in by_kind.items()
    )


def _mixed(texts: Sequence[str], choice: ReaderChoice) -> str:
    first, other = (choice.reader, choice.later[0]) if choice.first is None else (choice.first, choice.reader)
    return mixed_readers(_within(texts), len(texts), first.__name__, other.__name__)


def _within(texts: Sequence[str]) -> str:
    told = [texts[0]]
    for text in texts[1:]:
        if len("; ".join([*told, text])) > _NAMED_CHARACTERS:
            return f"{'; '.join(told)}; and {len(texts) - len(told)} more in the log of this pod"
        told.append(text)
    return "; ".join(told)
