"""What a case's files hold, read by one of nnU-Net's readers, and all that is wrong. Runs in worker processes."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

from nnunet_api.dataset.geometry import GRID_REMEDY, ODD_REMEDY, Grid, grid_problems
from nnunet_api.dataset.truncation import is_damaged
from nnunet_api.words import counted
from nnunet_trainer.dataset.contents import CaseContents, fingerprint
from nnunet_trainer.dataset.raw import Case
from nnunet_trainer.dataset.readers import (
    PRINTED,
    attempt,
    errors_in,
    forms_of,
    grid_of,
    hidden_not_finite,
    in_several_files,
    is_turned,
    numbers_in_a_voxel,
    read_image,
    read_label,
    two_spacings,
)
from nnunet_trainer.process.failures import is_missing_or_damaged, one_line

LARGEST = 1e18
"""Values above can't be normalized: their squares are infinite in single precision."""
DAMAGED = "is damaged: its checksum does not fit"


class Kind(Enum):
    """Kinds of findings; the words follow the number of findings, one or several."""

    UNREADABLE = "file can't be read", "files can't be read"
    OTHER_READER = (
        "file can't be read by the reader that reads the others",
        "files can't be read by the reader that reads the others",
    )
    CHANNELS = (
        "case has another number of channels than dataset.json",
        "cases have another number of channels than dataset.json",
    )
    GRID = (
        "file lies on another grid than the first image of its case",
        "files lie on another grid than the first image of their case",
    )
    VOXELS = "image has voxels that are not finite numbers", "images have voxels that are not finite numbers"
    LARGE = "image has values too large to be normalized", "images have values too large to be normalized"
    LABELS = (
        "label image has values that labels of dataset.json does not",
        "label images have values that labels of dataset.json does not",
    )
    COLOURS = (
        "image of a channel rgb_to_0_1 has values outside of 0 to 255",
        "images of a channel rgb_to_0_1 have values outside of 0 to 255",
    )
    SAME = "image holds what its label image holds", "images hold what their label images hold"
    ODD = "image is of another kind than the others", "images are of another kind than the others"
    OTHER = "case is refused by nnU-Net's own verification", "cases are refused by nnU-Net's own verification"

    def counted(self, number: int) -> str:
        """Return the words behind a number."""
        return counted(number, *self.value)


REMEDIES: Mapping[Kind, str] = {
    Kind.UNREADABLE: "Make or copy them again",
    Kind.CHANNELS: "Correct channel_names, or the images",
    Kind.GRID: GRID_REMEDY,
    Kind.VOXELS: "Replace NaN and infinity by values that make sense for the images",
    Kind.LARGE: "Replace what marks the outside of a scan, such as 1e30, by a value of the scan's own range",
    Kind.COLOURS: "nnU-Net divides them by 255 and takes no others. Correct the images, or name the channel otherwise",
    Kind.SAME: "Put the images in their place: nothing can be learned from an answer",
    Kind.ODD: ODD_REMEDY,
    Kind.LABELS: "Correct the label images, or labels in dataset.json",
    Kind.OTHER: "Correct them",
}


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with a case."""

    kind: Kind
    text: str
    """Names the file, what is wrong with it, and the number."""


@dataclass(frozen=True)
class Examined:
    """What became of a case."""

    findings: tuple[Finding, ...] = ()
    contents: CaseContents | None = None
    """None where something is wrong."""
    by_first: bool = True
    """Whether the first of nnU-Net's readers for the file ending can read the case's first image."""
    name: str = ""
    """Of the first image."""
    grid: Grid | None = None
    """Of the first image; None where it can't be read."""
    answers: Mapping[int, str] | None = None
    """Channels that are the label image, with their files in words; None where that is empty, or something is wrong."""


@dataclass(frozen=True)
class ReaderChoice:
    """The reader for a whole dataset, one of nnU-Net's classes."""

    reader: Any
    first: Any = None
    """The one that nnU-Net would have taken, had it been able to read the first case."""
    later: tuple[Any, ...] = ()
    """Those that nnU-Net would have tried next."""
    why: str = ""


@dataclass(frozen=True)
class Examiner:
    """Examines cases. It is sent to worker processes."""

    choice: ReaderChoice
    channels: int
    labels: tuple[int, ...]
    folder: Path
    """Of the dataset: files are named from there."""
    colours: tuple[int, ...] = ()
    """Channels that are called as colours are, by their number."""
    named_as_normalized: bool = True
    """Whether what is called so is normalized so, see `configurations.normalizes_by_names`."""

    def __call__(self, case: Case) -> Examined:
        """Return what a case holds. Raises what says nothing about the case: storage, memory, permissions."""
        try:
            return replace(self._examined(case), name=self._name(case.images[0]))
        except Exception as error:
            if not is_missing_or_damaged(error):
                raise
            # Whatever a library thinks of a file, it is the file that has to be named.
            words = one_line(f"{type(error).__name__}: {error}")[:PRINTED]
            return Examined((Finding(Kind.OTHER, f"{self._name(case.images[0])}: {words}"),))

    def _examined(self, case: Case) -> Examined:
        by_first, findings = self._read_by_first(case)
        read = Reading(self.choice, case, self._name)
        found = read.findings or list(read.inconsistencies())
        grid = None if read.findings else grid_of(read.images[0], read.properties[0])
        found = found or [*self._about_channels(read), *_about_voxels(read), *self._about_labels(read)]
        answers = None if found else _answers(read)
        if answers is not None and len(answers) == self.channels:
            found = [Finding(Kind.SAME, text) for text in answers.values()]
        colours = [] if found else [*self._about_colours(read)]
        found = found or (colours if self.named_as_normalized else [])
        found = found or self._refused_by_nnunet(read)
        if found:
            return Examined((*findings, *found), by_first=by_first, grid=grid)
        present = tuple(value for value in self.labels if value in read.label_values())
        doubts = [f"{text}, voxel for voxel, and other channels are not" for text in (answers or {}).values()]
        doubts += (f"{colour.text}, and its channel is called as one of colours, from 0 to 255" for colour in colours)
        contents = CaseContents(fingerprint(read.array()), present, (*_notes(read), *doubts))
        return Examined(tuple(findings), contents, by_first, grid=grid, answers=answers)

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self.folder)) if path.is_relative_to(self.folder) else str(path)

    def _read_by_first(self, case: Case) -> tuple[bool, list[Finding]]:
        """Tell whether the reader that could not read the dataset's first case can read this one, and what it can't."""
        first = self.choice.first
        if first is None:
            return True, []
        troubles = {path: attempt(partial(read_image, first, path), [path])[1] for path in case.images}
        troubles[case.label] = attempt(partial(read_label, first, case.label), [case.label])[1]
        # A file that is damaged is told of as such: another reader may take it, and is none to take.
        troubles = {path: trouble for path, trouble in troubles.items() if trouble is not None and not is_damaged(path)}
        findings = [Finding(Kind.OTHER_READER, f"{self._name(path)}: {trouble}") for path, trouble in troubles.items()]
        return case.images[0] not in troubles, findings

    def _about_channels(self, read: "Reading") -> Iterator[Finding]:
        count = len(read.array())
        if count != self.channels:
            yield Finding(
                Kind.CHANNELS,
                f"{read.names[0]} and what belongs to it: {count} instead of {self.channels}"
                if len(read.names) > 1
                else f"{read.names[0]}: {count} instead of {self.channels}",
            )

    def _about_colours(self, read: "Reading") -> Iterator[Finding]:
        # nnU-Net would stop at the first of them, in the middle of preprocessing, without its name.
        for number in self.colours:
            low, high = float(read.array()[number].min()), float(read.array()[number].max())
            if low < 0 or high > 255:
                yield Finding(Kind.COLOURS, f"{read.name_of_channel(number)} has {low:g} to {high:g}")

    def _about_labels(self, read: "Reading") -> Iterator[Finding]:
        unknown = [value for value in sorted(read.label_values()) if value not in self.labels]
        if unknown:
            told = ", ".join(map(_number, unknown[:5])) + (", ..." if len(unknown) > 5 else "")
            allowed = ", ".join(map(str, self.labels[:20]))
            yield Finding(Kind.LABELS, f"{read.label_name} has {told} (labels has {allowed})")

    def _refused_by_nnunet(self, read: "Reading") -> list[Finding]:
        """Call nnU-Net's own checks as well: a later version may look at more."""
        from nnunetv2.experiment_planning.verify_dataset_integrity import check_cases, verify_labels

        images, label = [str(path) for path in read.case.images], str(read.case.label)

        def verify() -> bool:
            # They take a class of readers and make one.
            good = verify_labels(label, lambda: read, list(self.labels))
            return bool(check_cases(images, label, self.channels, lambda: read)) and bool(good)

        with redirect_stdout(StringIO()) as printed:
            good, trouble = attempt(verify)
        if good:
            return []
        return [Finding(Kind.OTHER, f"{read.names[0]}: {trouble or one_line(printed.getvalue())[:PRINTED]}")]


@dataclass
class Reading:
    """The files of a case, each read once by itself, so that it can be said which of them is wrong."""

    choice: ReaderChoice
    case: Case
    name_of: Callable[[Path], str]
    images: list[Any] = field(default_factory=list)
    """Arrays with channels first."""
    properties: list[dict[str, Any]] = field(default_factory=list)
    segmentation: Any = None
    label_properties: dict[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    _values: frozenset[float] | None = None

    def __post_init__(self) -> None:
        for path in self.case.images:
            if (found := self._read(path, read_image)) is not None:
                self.images.append(found[0])
                self.properties.append(found[1])
        if (found := self._read(self.case.label, read_label)) is not None:
            self.segmentation, self.label_properties = found

    @property
    def names(self) -> list[str]:
        """Names of the images."""
        return [self.name_of(path) for path in self.case.images]

    @property
    def label_name(self) -> str:
        """Name of the label image."""
        return self.name_of(self.case.label)

    def _read(self, path: Path, read: Callable[[Any, Path], Any]) -> Any:
        with redirect_stdout(StringIO()) as printed:
            found, trouble = attempt(partial(read, self.choice.reader, path), [path])
            if trouble is None:
                return found
            another = any(attempt(partial(read, reader, path), [path])[1] is None for reader in self.choice.later)
        words = "; ".join(part for part in (errors_in(printed.getvalue()), trouble) if part)
        kind = Kind.OTHER_READER if another else Kind.UNREADABLE
        if is_damaged(path):
            # Some readers take it nevertheless.
            kind, words = Kind.UNREADABLE, DAMAGED
        self.findings.append(Finding(kind, f"{self.name_of(path)}: {words[:PRINTED]}"))
        return None

    def inconsistencies(self) -> Iterator[Finding]:
        """Yield what keeps the files from being put together."""
        names, files = [*self.names, self.label_name], [*self.case.images, self.case.label]
        arrays, properties_of = [*self.images, self.segmentation], [*self.properties, self.label_properties]
        for name, array, properties in zip(names, arrays, properties_of, strict=True):
            if (numbers := numbers_in_a_voxel(array, properties)) > 1:
                text = f"{name} has {numbers} numbers in a voxel: save each in an image of its own"
                yield Finding(Kind.CHANNELS if name != self.label_name else Kind.LABELS, text)
                return
            if len(properties.get("sitk_stuff", {}).get("spacing", ())) > 3:
                yield Finding(
                    Kind.CHANNELS, f"{name} has 4 axes: give each channel a file of its own, _0000, _0001 and so on"
                )
                return
        if several := [name for name, path in zip(names, files, strict=True) if in_several_files(path)]:
            words = "takes voxels from other files (OME-TIFF): save each image as one file"
            yield Finding(Kind.OTHER, f"{', '.join(several)} {words}")
        if len(self.segmentation) != 1:
            yield Finding(Kind.LABELS, f"{self.label_name} has {len(self.segmentation)} channels: save it with one")
        grids = {
            name: grid_of(array, properties)
            for name, array, properties in zip(names, arrays, properties_of, strict=True)
        }
        if any(grid_problems(grids)):
            # Only now, since it opens the files once more.
            grids = {
                name: replace(grid, forms=forms_of(path, properties))
                for (name, grid), path, properties in zip(grids.items(), files, properties_of, strict=True)
            }
        yield from (Finding(Kind.GRID, text) for text in grid_problems(grids))

    @property
    def channels_of_files(self) -> list[Any]:
        """Return the channels of each image file."""
        return [self.array()] if len(self.names) == 1 else list(self.array())

    def name_of_channel(self, number: int) -> str:
        """Return the name of the file that a channel is in: a file may hold several."""
        return self.names[min(number, len(self.names) - 1)]

    def array(self) -> Any:
        """Return all channels in one array, as nnU-Net's readers do."""
        import numpy as np

        if len(self.images) > 1:
            self.images = [np.vstack(self.images, dtype=np.float32, casting="unsafe")]
        return self.images[0]

    def label_values(self) -> frozenset[float]:
        """Return the values in the label image."""
        if self._values is None:
            import pandas  # type: ignore[import-untyped]

            self._values = frozenset(pandas.unique(self.segmentation.reshape(-1)).tolist())
        return self._values

    def read_images(self, files: Any) -> Any:
        """Return the images and their properties, in the place of a reader."""
        return self.array(), self.properties[0]

    def read_seg(self, file: Any) -> Any:
        """Return the label image and its properties, in the place of a reader."""
        return self.segmentation, self.label_properties


def _about_voxels(read: Reading) -> Iterator[Finding]:
    import numpy as np

    array = read.array()
    if not np.isfinite(array.min() - array.max()):
        for number, channel in enumerate(array):
            if count := int(channel.size - np.count_nonzero(np.isfinite(channel))):
                yield Finding(Kind.VOXELS, f"{read.name_of_channel(number)} has {count}")
    elif (largest := max(abs(float(array.max())), abs(float(array.min())))) > LARGEST:
        yield Finding(Kind.LARGE, f"{read.names[0]} and what belongs to it has {largest:.3g}")
    count = int(read.segmentation.size - np.count_nonzero(np.isfinite(read.segmentation)))
    if count := count or hidden_not_finite(read.case.label, read.segmentation, read.label_properties):
        yield Finding(Kind.VOXELS, f"{read.label_name} has {count}")


def _answers(read: Reading) -> dict[int, str] | None:
    """Return the channels that are the label image; None where that has one value everywhere.

    The mask of an organ as a channel is the label image of each case without a tumour: a case has other channels then.
    """
    (answer,) = read.segmentation
    if answer.min() == answer.max():
        return None
    return {
        number: f"{read.name_of_channel(number)} is {read.label_name}"
        for number, channel in enumerate(read.array())
        if channel.shape == answer.shape and (channel == answer).all()
    }


def _number(value: float) -> str:
    """Return a number in a few digits, and in all of them where it would look like another one."""
    short = f"{value:g}"
    return short if float(short) == value else repr(float(value))


def _notes(read: Reading) -> Iterator[str]:
    files = zip(read.names, read.case.images, read.channels_of_files, read.properties, strict=True)
    for name, path, image, properties in files:
        if count := hidden_not_finite(path, image, properties):
            yield f"{name} has {counted(count, 'voxel')} that are not finite, which nnU-Net reads as 0"
        if two := two_spacings(path):
            taken = " x ".join(f"{length:g}" for length in grid_of(image[None], properties).spacing)
            yield f"{name} {two}; {read.choice.reader.__name__} takes {taken}"
        if is_turned(path):
            yield f"{name} says that it is to be turned before it is shown (EXIF), which nnU-Net's reader does not do"
    for number, channel in enumerate(read.array()):
        if channel.min() == channel.max():
            yield f"{read.name_of_channel(number)} has the same value everywhere ({channel.min():g})"
    if len(read.names) > 1:
        digests = [hash(channel.tobytes()) for channel in read.array()]
        for number, digest in enumerate(digests):
            if (first := digests.index(digest)) < number:
                yield f"{read.names[number]} holds the same as {read.names[first]}"
    shape = read.array().shape[1:]
    if 1 in shape[1:] and len(shape) == 3:
        yield (
            f"{read.names[0]} is one voxel thick, and not along the axis that nnU-Net takes for that of slices: save "
            "slices as (x, y, 1)"
        )
