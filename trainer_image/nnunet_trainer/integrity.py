"""nnU-Net's own verification of each case of a dataset, with its findings in the error message."""

import contextlib
import functools
import io
import logging
import multiprocessing
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from nnunet_trainer.contents import CaseContents, Contents, fingerprint
from nnunet_trainer.dataset import Case, RawDataset
from nnunet_trainer.failures import is_missing_or_damaged, one_line, wrong_data
from nnunet_trainer.heartbeat import heartbeat

log = logging.getLogger(__name__)

T = TypeVar("T")

_FINDING = re.compile(r"^(Error: .*|Images contain NaN.*|Segmentation contains NaN.*)$", re.MULTILINE)
_FINDINGS_NAMED = 3


def verify_training_cases(dataset: RawDataset, processes: int) -> Contents:
    """Read every image and label of the training cases and return what they hold; see `_verify`."""
    return _verify("the dataset", dataset, dataset.cases, processes)


def verify_test_cases(dataset: RawDataset, cases: Mapping[str, Case], processes: int) -> Contents:
    """Read every image and label of the test set and return what they hold; see `_verify`."""
    return _verify("the test set", dataset, cases, processes)


def _verify(what: str, dataset: RawDataset, cases: Mapping[str, Case], processes: int) -> Contents:
    """Check shapes, spacings, label values and NaN as nnU-Net's verify_dataset_integrity does.

    That function reads each label image twice and knows imagesTr only; so what it calls for each case is called here,
    on what was read once. What it checks beside that, `load_dataset` has checked.

    Raises TrainerError with WRONG_DATA and the first findings.
    """
    contents: dict[str, CaseContents] = {}
    with heartbeat(f"verifying {what}", lambda: f"{len(contents)}/{len(cases)} cases"):
        _with_findings(f"{what} of {dataset.folder.name}", lambda: _examine_all(dataset, cases, processes, contents))
    return contents


def _examine_all(
    dataset: RawDataset, cases: Mapping[str, Case], processes: int, contents: dict[str, CaseContents]
) -> None:
    from nnunetv2.imageio.reader_writer_registry import determine_reader_writer_from_dataset_json

    image = next(iter(cases.values())).images[0]
    # It tries readers on the image and takes any error for a sign that this one is not it.
    reader = _unless_it_passes(
        [image], lambda: determine_reader_writer_from_dataset_json(dataset.description, str(image))
    )
    examine = functools.partial(_examine, reader, dataset.channels, dataset.labels.values)
    all_good = True
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for name, (good, found) in zip(cases, pool.imap(examine, cases.values()), strict=True):
            all_good = all_good and good
            contents[name] = found
    if not all_good:
        raise RuntimeError("some of its cases have errors")


def _unless_it_passes(files: Sequence[Path], work: Callable[[], T]) -> T:
    """Return what the work on these files returns; an error counts only when it comes back with readable files.

    Libraries report what the storage or the node had to say in words of their own, or as a file that is damaged.
    """
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            result = work()
        sys.stdout.write(printed.getvalue())
        return result
    except Exception as error:
        if not is_missing_or_damaged(error):
            raise
        for file in files:
            with file.open("rb") as stream:
                while stream.read(1 << 20):
                    pass
        log.warning("once more, after %s", one_line(f"{type(error).__name__}: {error}")[:300])
        return work()


def _examine(reader: Any, channels: int, expected: Sequence[int], case: Case) -> tuple[bool, CaseContents]:
    """Tell whether a case is good, after findings were printed, and what it holds. Runs in a worker process."""
    files = [*case.images, case.label]
    return _unless_it_passes(files, lambda: _examine_once(reader, channels, expected, case))


def _examine_once(reader: Any, channels: int, expected: Sequence[int], case: Case) -> tuple[bool, CaseContents]:
    import pandas  # type: ignore[import-untyped]
    from nnunetv2.experiment_planning.verify_dataset_integrity import check_cases, verify_labels

    read = _ReadOnce(reader())
    images, label = [str(path) for path in case.images], str(case.label)
    # nnU-Net's functions take a class of readers and make one.
    good = verify_labels(label, lambda: read, list(expected))
    good = check_cases(images, label, channels, lambda: read) and good
    found = pandas.unique(read.read_seg(label)[0].reshape(-1))
    values = tuple(value for value in expected if value in found)
    return good, CaseContents(fingerprint(read.read_images(images)[0]), values)


class _ReadOnce:
    """A reader for one case that keeps what it has read."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader
        self._images: Any = None
        self._segmentation: Any = None

    def read_images(self, files: Any) -> Any:
        """Return the images and their properties, as the reader does."""
        if self._images is None:
            self._images = self._reader.read_images(files)
        return self._images

    def read_seg(self, file: Any) -> Any:
        """Return the label image and its properties, as the reader does."""
        if self._segmentation is None:
            self._segmentation = self._reader.read_seg(file)
        return self._segmentation


def _with_findings(what: str, verify: Callable[[], None]) -> None:
    """Call a verification of nnU-Net, which prints its findings and raises an error that does not name them."""
    with tempfile.TemporaryFile() as output:
        try:
            with _stdout_to(output.fileno()):
                verify()
        except Exception as error:
            if not is_missing_or_damaged(error):
                # The storage's, the memory's or the node's fault, not the data's.
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
