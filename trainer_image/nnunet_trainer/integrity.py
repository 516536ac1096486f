"""nnU-Net's own verification of a dataset's contents, with its findings in the error message."""

import contextlib
import logging
import multiprocessing
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from nnunet_trainer.dataset import Case, RawDataset
from nnunet_trainer.failures import STORAGE_ERRNOS, one_line, wrong_data
from nnunet_trainer.heartbeat import heartbeat

log = logging.getLogger(__name__)

_FINDING = re.compile(r"^(Error: .*|Images contain NaN.*|Segmentation contains NaN.*)$", re.MULTILINE)
_FINDINGS_NAMED = 3


def verify_integrity(folder: Path, processes: int) -> None:
    """Read every image and label: shapes, spacings, label values, NaN.

    Raises TrainerError with WRONG_DATA and the first findings.
    """
    from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity

    with heartbeat("verifying the dataset"):
        _with_findings(folder.name, lambda: verify_dataset_integrity(str(folder), processes))


def verify_test_set(dataset: RawDataset, cases: Mapping[str, Case], processes: int) -> None:
    """Read every image and label of the test set, as `verify_integrity` does for the training cases.

    Raises TrainerError with WRONG_DATA and the first findings.
    """
    with heartbeat("verifying the test set"):
        _with_findings(
            f"the test set of {dataset.folder.name}", lambda: _check_cases(dataset, list(cases.values()), processes)
        )


def _check_cases(dataset: RawDataset, cases: list[Case], processes: int) -> None:
    """Call what nnU-Net's verify_dataset_integrity calls for each case; that function knows imagesTr only."""
    from nnunetv2.experiment_planning.verify_dataset_integrity import check_cases, verify_labels
    from nnunetv2.imageio.reader_writer_registry import determine_reader_writer_from_dataset_json
    from nnunetv2.utilities.label_handling.label_handling import LabelManager

    description: dict[str, Any] = dataset.description
    manager = LabelManager(description["labels"], regions_class_order=description.get("regions_class_order"))
    expected = [*manager.all_labels, *([manager.ignore_label] if manager.has_ignore_label else [])]
    images = [[str(path) for path in case.images] for case in cases]
    labels = [str(case.label) for case in cases]
    reader = determine_reader_writer_from_dataset_json(description, images[0][0])
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        good = pool.starmap(verify_labels, [(label, reader, expected) for label in labels])
        good += pool.starmap(
            check_cases,
            [(files, label, dataset.channels, reader) for files, label in zip(images, labels, strict=True)],
        )
    if not all(good):
        raise RuntimeError("some of its cases have errors")


def _with_findings(what: str, verify: Callable[[], None]) -> None:
    """Call a verification of nnU-Net, which prints its findings and raises an error that does not name them."""
    with tempfile.TemporaryFile() as output:
        try:
            with _stdout_to(output.fileno()):
                verify()
        except Exception as error:
            if isinstance(error, PermissionError) or (isinstance(error, OSError) and error.errno in STORAGE_ERRNOS):
                raise
            text = _text(output.fileno())
            raise wrong_data(
                f"nnU-Net's verification refuses {what}: {findings(text) or one_line(str(error))[:1500]}"
            ) from error
        finally:
            sys.stdout.write(_text(output.fileno()))
            sys.stdout.flush()


def findings(text: str) -> str:
    """Return the first findings in what the verification printed, one after the other.

    nnU-Net prints a finding as a line or a paragraph: what follows up to an empty line belongs to it.
    """
    found = []
    for match in _FINDING.finditer(text):
        paragraph = text[match.start() :].split("\n\n", 1)[0]
        following = _FINDING.search(paragraph, len(match.group(0)))
        found.append(one_line(paragraph[: following.start()] if following else paragraph)[:600])
    rest = len(found) - _FINDINGS_NAMED
    more = f" (and {rest} more in the log of this pod)" if rest > 0 else ""
    return "; ".join(found[:_FINDINGS_NAMED]) + more


@contextlib.contextmanager
def _stdout_to(target: int) -> Iterator[None]:
    """Send the standard output of this process and of its workers to a file."""
    sys.stdout.flush()
    saved = os.dup(1)
    os.dup2(target, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(saved, 1)
        os.close(saved)


def _text(fd: int) -> str:
    return os.pread(fd, 1 << 22, 0).decode(errors="replace")
