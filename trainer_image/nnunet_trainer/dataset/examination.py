"""What a case's files hold, read by one of nnU-Net's readers, and all that is wrong. Runs in worker processes."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

from nnunet_api.dataset.geometry import GRID_REMEDY, Grid, grid_problems
from nnunet_trainer.dataset.contents import CaseContents, fingerprint
from nnunet_trainer.dataset.raw import Case
from nnunet_trainer.process.failures import is_missing_or_damaged, one_line

_PRINTED = 300
"""Characters of what a reader says that a finding takes along."""


class Kind(StrEnum):
    """Kinds of findings; the words follow a number of findings."""

    UNREADABLE = "files can't be read"
    OTHER_READER = "files can't be read by the reader that reads the others"
    CHANNELS = "cases have another number of channels than dataset.json"
    GRID = "files lie on another grid than the first image of their case"
    VOXELS = "images have voxels that are not finite numbers"
    LABELS = "label images have values that labels of dataset.json does not"
    OTHER = "cases are refused by nnU-Net's own verification"


REMEDIES: Mapping[Kind, str] = {
    Kind.UNREADABLE: "Make or copy them again",
    Kind.CHANNELS: "Correct channel_names, or the images",
    Kind.GRID: GRID_REMEDY,
    Kind.VOXELS: "Replace NaN and infinity by values that make sense for the images",
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
    notes: tuple[str, ...] = ()
    """What is odd, and may be meant so."""
    contents: CaseContents | None = None
    """None where something is wrong."""
    by_first: bool = True
    """Whether the first of nnU-Net's readers for the file ending can read the case's first image."""


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

    def __call__(self, case: Case) -> Examined:
        """Return what a case holds. Raises what says nothing about the case: storage, memory, permissions."""
        by_first, findings = self._read_by_first(case)
        read = Reading(self.choice, case, self._name)
        found = read.findings or list(read.inconsistencies())
        found = found or [*self._about_channels(read), *_about_voxels(read), *self._about_labels(read)]
        found = found or self._refused_by_nnunet(read)
        if found:
            return Examined((*findings, *found), by_first=by_first)
        present = tuple(value for value in self.labels if value in read.label_values())
        contents = CaseContents(fingerprint(read.array()), present)
        return Examined(tuple(findings), tuple(_notes(read)), contents, by_first)

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self.folder)) if path.is_relative_to(self.folder) else str(path)

    def _read_by_first(self, case: Case) -> tuple[bool, list[Finding]]:
        """Tell whether the reader that could not read the dataset's first case can read this one, and what it can't."""
        first = self.choice.first
        if first is None:
            return True, []
        troubles = {path: attempt(partial(_image, first, path), [path])[1] for path in case.images}
        troubles[case.label] = attempt(partial(_label, first, case.label), [case.label])[1]
        findings = [
            Finding(Kind.OTHER_READER, f"{self._name(path)}: {trouble}")
            for path, trouble in troubles.items()
            if trouble is not None
        ]
        return troubles[case.images[0]] is None, findings

    def _about_channels(self, read: "Reading") -> Iterator[Finding]:
        count = len(read.array())
        if count != self.channels:
            yield Finding(
                Kind.CHANNELS,
                f"{read.names[0]} and what belongs to it: {count} instead of {self.channels}"
                if len(read.names) > 1
                else f"{read.names[0]}: {count} instead of {self.channels}",
            )

    def _about_labels(self, read: "Reading") -> Iterator[Finding]:
        unknown = [value for value in sorted(read.label_values()) if value not in self.labels]
        if unknown:
            told = ", ".join(f"{value:g}" for value in unknown[:5]) + (", ..." if len(unknown) > 5 else "")
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
        return [Finding(Kind.OTHER, f"{read.names[0]}: {trouble or one_line(printed.getvalue())[:_PRINTED]}")]


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
            if (found := self._read(path, _image)) is not None:
                self.images.append(found[0])
                self.properties.append(found[1])
        if (found := self._read(self.case.label, _label)) is not None:
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
        words = "; ".join(part for part in (_errors(printed.getvalue()), trouble) if part)
        kind = Kind.OTHER_READER if another else Kind.UNREADABLE
        self.findings.append(Finding(kind, f"{self.name_of(path)}: {words[:_PRINTED]}"))
        return None

    def inconsistencies(self) -> Iterator[Finding]:
        """Yield what keeps the files from being put together."""
        names, files = [*self.names, self.label_name], [*self.case.images, self.case.label]
        for name, properties in zip(names, [*self.properties, self.label_properties], strict=True):
            if len(properties.get("sitk_stuff", {}).get("spacing", ())) > 3:
                yield Finding(
                    Kind.CHANNELS, f"{name} has 4 axes: give each channel a file of its own, _0000, _0001 and so on"
                )
                return
        if several := [name for name, path in zip(names, files, strict=True) if _in_several_files(path)]:
            words = "takes voxels from other files (OME-TIFF): save each image as one file"
            yield Finding(Kind.OTHER, f"{', '.join(several)} {words}")
        if len(self.segmentation) != 1:
            yield Finding(Kind.LABELS, f"{self.label_name} has {len(self.segmentation)} channels: save it with one")
        arrays, properties_of = [*self.images, self.segmentation], [*self.properties, self.label_properties]
        grids = {
            name: grid_of(array, properties)
            for name, array, properties in zip(names, arrays, properties_of, strict=True)
        }
        if any(grid_problems(grids)):
            # Only now, since it opens the files once more.
            grids = {
                name: replace(grid, forms=_forms(path)) for (name, grid), path in zip(grids.items(), files, strict=True)
            }
        yield from (Finding(Kind.GRID, text) for text in grid_problems(grids))

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


def grid_of(array: Any, properties: Mapping[str, Any]) -> Grid:
    """Return where the voxels lie that a reader has read, by what its properties say."""
    shape = tuple(array.shape[1:])[::-1]
    if itk := properties.get("sitk_stuff"):
        return Grid.of_itk(shape[: len(itk["spacing"])], itk["spacing"], itk["origin"], itk["direction"])
    spacing = tuple(float(length) for length in properties["spacing"])[::-1]
    if nibabel := properties.get("nibabel_stuff"):
        affine = nibabel.get("reoriented_affine", nibabel["original_affine"])
        return Grid.of_affine(shape, spacing, affine.tolist())
    return Grid(shape, spacing)


def _forms(path: Path) -> tuple[Grid, ...]:
    """Return the grids that the header of a NIfTI file gives; none for other formats."""
    if not path.name.endswith((".nii", ".nii.gz")):
        return ()
    import nibabel

    return Grid.of_nifti(nibabel.load(path)).forms


def _image(reader: Any, path: Path) -> Any:
    # As nnU-Net hands images over: several files, which may be one.
    return reader().read_images((str(path),))


def _label(reader: Any, path: Path) -> Any:
    return reader().read_seg(str(path))


def _in_several_files(path: Path) -> bool:
    """Tell whether tifffile puts an image together from several files, which no hash of this one covers."""
    if path.suffix.lower() not in (".tif", ".tiff"):
        return False
    import tifffile

    with tifffile.TiffFile(path) as file:
        return bool(file.series and file.series[0].is_multifile)


def _about_voxels(read: Reading) -> Iterator[Finding]:
    import numpy as np

    array = read.array()
    if not np.isfinite(array.min() - array.max()):
        for number, channel in enumerate(array):
            if count := int(channel.size - np.count_nonzero(np.isfinite(channel))):
                # A file may hold several channels.
                name = read.names[min(number, len(read.names) - 1)]
                yield Finding(Kind.VOXELS, f"{name} has {count}")
    if count := int(read.segmentation.size - np.count_nonzero(np.isfinite(read.segmentation))):
        yield Finding(Kind.VOXELS, f"{read.label_name} has {count}")


def _notes(read: Reading) -> Iterator[str]:
    for number, channel in enumerate(read.array()):
        if channel.min() == channel.max():
            name = read.names[min(number, len(read.names) - 1)]
            yield f"{name} has the same value everywhere ({channel.min():g})"
    shape = read.array().shape[1:]
    if 1 in shape[1:] and len(shape) == 3:
        yield (
            f"{read.names[0]} is one voxel thick, and not along the axis that nnU-Net takes for that of slices: save "
            "slices as (x, y, 1)"
        )


def attempt(work: Callable[[], Any], files: Iterable[Path] = ()) -> tuple[Any, str | None]:
    """Return what the work on some files gives, and in words what it raised.

    What says nothing about the files is raised. Libraries tell what the storage or the node had to say in words of
    their own, or as a file that is damaged: so an error counts only when it comes back with files that can be read.
    """
    try:
        return work(), None
    except Exception as error:
        if not is_missing_or_damaged(error):
            raise
    for file in files:
        _require_readable(file)
    try:
        return work(), None
    except Exception as error:
        if not is_missing_or_damaged(error):
            raise
        text = one_line(str(error))
        if "ITK ERROR:" in text:
            text = text.split("ITK ERROR:")[-1].strip()
        return None, text or type(error).__name__


def _require_readable(file: Path) -> None:
    try:
        with file.open("rb") as stream:
            while stream.read(1 << 20):
                pass
    except OSError as error:
        if not is_missing_or_damaged(error):
            error.filename = error.filename or str(file)
            raise


def _errors(printed: str) -> str:
    """Return what a reader printed before it raised an error without words."""
    at = printed.find("ERROR")
    return one_line(printed[at:])[:_PRINTED] if at >= 0 else ""
