"""What a dataset.json has to say, and in which form: one verdict for planning and command line. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from nnunet_api.dataset.beside import HALVES
from nnunet_api.dataset.labels import label_problems
from nnunet_api.dataset.layout import name_problem, named, same_names, shown, takes_several_channels
from nnunet_api.dataset.listed import notes_on_listed, order_problems
from nnunet_api.words import counted

_REQUIRED = ("channel_names", "labels", "numTraining", "file_ending")
READER_KEY = "overwrite_image_reader_writer"
"""nnU-Net's key in dataset.json that names the reader."""
READERS = ("SimpleITKIO", "NibabelIO", "NibabelIOWithReorient", "NaturalImage2DIO", "Tiff3DIO")
"""nnU-Net's readers."""
_VOLUMES = (".nii", ".nii.gz", ".nrrd", ".mha", ".gipl")
_PICTURES = (".png", ".bmp", ".jpg", ".jpeg", ".tif", ".tiff")
_NEVER_READS = {
    "NaturalImage2DIO": _VOLUMES,
    "Tiff3DIO": _VOLUMES,
    "NibabelIO": _PICTURES,
    "NibabelIOWithReorient": _PICTURES,
}
"""By reader: endings of files that it can't read. nnU-Net takes a reader that is named for any ending."""
_ENDING = re.compile(r"\.[A-Za-z0-9.]*[A-Za-z0-9]", re.ASCII)
SCHEMES = ("ct", "nonorm", "zscore", "rescale_to_0_1", "rgb_to_0_1")
"""Names of channels that choose a normalization, whatever their capitals."""
_LIKE_SCHEME = re.compile(r"(?i)no[_ -]?norm|none?$|z[_ -]?score|rescale|rgb[_ -]?to")
_LIKE_CT = re.compile(r"(?i)(?<![a-z])(ct|cta|hu|hounsfield)(?![a-z])")


def channel_names(description: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the channels of a dataset.json (older files call them modality); none where they are no mapping."""
    channels = description.get("channel_names", description.get("modality"))
    return channels if isinstance(channels, dict) else {}


def description_notes(content: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is odd in a dataset.json that is in order, and may be meant so."""
    for number, name in channel_names(content).items():
        if isinstance(name, str) and name.strip().casefold() != "ct" and _LIKE_CT.search(name):
            yield (
                f"channel {number} is called {name!r}, and only what is called CT is normalized as CT: call it CT if "
                "its values are Hounsfield units"
            )
        elif isinstance(name, str) and _LIKE_SCHEME.match(name) and name.casefold() not in SCHEMES:
            yield (
                f"channel {number} is called {name!r}, which is no normalization that nnU-Net knows, and is normalized "
                f"by zscore: those are {', '.join(SCHEMES)}"
            )
    if isinstance(content.get("dataset"), dict):
        yield from notes_on_listed(content["dataset"], str(content.get("file_ending")))
    reader = content.get(READER_KEY, "None")
    if isinstance(reader, str) and reader not in (*READERS, "None"):
        yield f"{READER_KEY} is {shown(reader)}, none of nnU-Net's readers: planning refuses it unless its image has it"


def description_problems(content: Mapping[str, Any]) -> Iterator[str]:
    """Yield everything that is wrong with a dataset.json, whatever files there are, with the remedy."""
    for key in _REQUIRED:
        if key not in content and not (key == "channel_names" and "modality" in content):
            yield f"{key} is missing"
    yield from _channel_problems(content)
    ending = content.get("file_ending")
    if "file_ending" in content:
        yield from _ending_problems(ending)
    count = content.get("numTraining")
    if "numTraining" in content and (type(count) is not int or count < 1):
        yield f"numTraining is {count!r}, must be the number of training cases"
    if "labels" in content:
        yield from label_problems(content)
    yield from _reader_problems(content.get(READER_KEY, ""), ending)
    if "dataset" in content:
        yield from _listed_problems(content["dataset"], len(channel_names(content)), ending)


def _channel_problems(content: Mapping[str, Any]) -> Iterator[str]:
    key = "channel_names" if "channel_names" in content else "modality"
    if key not in content:
        return
    channels = content[key]
    wanted = [str(number) for number in range(len(channels))] if isinstance(channels, dict) else []
    if not wanted or sorted(channels) != sorted(wanted):
        yield f'{key} is {channels!r}, must name the channels by number from 0, such as {{"0": "CT"}}'
    elif list(channels) != wanted:
        # nnU-Net goes by the order in the file: it would normalize CT as MRI and the other way round.
        yield f"{key} is {channels!r}, must have its channels in order: {', '.join(wanted)}"
    elif not all(isinstance(name, str) for name in channels.values()):
        yield f'{key} is {channels!r}, must give each channel a name, such as {{"0": "CT"}}'
    elif padded := [name for name in channels.values() if name != name.strip()]:
        # "CT " is no CT to nnU-Net, and would be normalized as an MRI.
        yield f"{key} has {named(map(repr, padded))}, must have no blanks around a name: nnU-Net goes by the very name"
    elif len(content.get("modality", channels)) != len(channels):
        yield "modality and channel_names have different numbers of channels: remove modality"


def _ending_problems(ending: Any) -> Iterator[str]:
    if not isinstance(ending, str) or not _ENDING.fullmatch(ending):
        yield f"file_ending is {ending!r}, must be an ending with its dot, of letters and digits, such as .nii.gz"
    elif ending.lower() in HALVES:
        yield (
            f"file_ending is {ending}, a format that keeps header and voxels in two files: save each image as one, "
            "such as .nii.gz or .mha"
        )


def _reader_problems(reader: Any, ending: Any) -> Iterator[str]:
    if not isinstance(reader, str):
        yield (
            f"{READER_KEY} is {reader!r}, must be the name of one of nnU-Net's readers, such as SimpleITKIO: correct "
            "it, or leave it out"
        )
    elif isinstance(ending, str) and ending.lower() in _NEVER_READS.get(reader, ()):
        yield f"{READER_KEY} is {reader}, which can't read files {ending}: correct it, or leave it out"


def _listed_problems(entries: Any, channels: int, ending: Any) -> Iterator[str]:
    """Yield what is wrong with cases that are named one by one, nnU-Net's other way of describing them."""
    if not isinstance(entries, dict) or not entries:
        yield (
            f"dataset is {shown(entries, 'null')}, must map the name of each training case to its images and label: "
            "add the cases, or leave dataset out if the files are in imagesTr and labelsTr"
        )
        return
    counts = set()
    for name, entry in entries.items():
        if problem := name_problem(name):
            yield f"dataset.{shown(name)}: the name of a case {problem}"
        images, label = (entry.get("images"), entry.get("label")) if isinstance(entry, dict) else (None, None)
        texts = isinstance(images, list) and all(isinstance(path, str) for path in images)
        if not texts or not images or not isinstance(label, str):
            yield (
                f"dataset.{name} has images {shown(images)} and label {shown(label)}: it needs images, a list of "
                "paths, and label, a path"
            )
            continue
        yield from _path_problems(name, [*images, label], ending)
        if len({*images, label}) <= len(images):
            yield f"dataset.{name} names a file twice: each image and the label is a file of its own"
        counts.add(len(images))
        if len(images) != channels and not (len(images) < channels and takes_several_channels(ending)):
            yield f"dataset.{name} has {counted(len(images), 'image')}, must have {channels}, one for each channel"
    yield from same_names(entries)
    if isinstance(ending, str):
        yield from order_problems(entries, ending)
    if takes_several_channels(ending) and len(counts) > 1:
        yield f"dataset has cases with {' and '.join(map(str, sorted(counts)))} images, must have the same for each"


def _path_problems(name: str, paths: list[str], ending: Any) -> Iterator[str]:
    # nnU-Net replaces variables of the environment, so what it reads would depend on the pod.
    if odd := [path for path in paths if "$" in path or "\0" in path]:
        yield f"dataset.{name} names {named(map(repr, odd))}: write paths out, without $"
    if isinstance(ending, str) and (odd := [path for path in paths if not path.endswith(ending)]):
        yield f"dataset.{name} names {named(odd)}, must name files {ending}, as file_ending says"
