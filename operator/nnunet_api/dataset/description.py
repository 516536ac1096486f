"""What a dataset.json has to say, and in which form: one verdict for planning and command line. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from nnunet_api.dataset.beside import HALVES
from nnunet_api.dataset.labels import label_problems
from nnunet_api.dataset.layout import SEVERAL_CHANNELS, name_problem, named, shown

_REQUIRED = ("channel_names", "labels", "numTraining", "file_ending")
_ENDING = re.compile(r"\.[A-Za-z0-9.]*[A-Za-z0-9]", re.ASCII)


def channel_names(description: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the channels of a dataset.json (older files call them modality); none where they are no mapping."""
    channels = description.get("channel_names", description.get("modality"))
    return channels if isinstance(channels, dict) else {}


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


def _listed_problems(entries: Any, channels: int, ending: Any) -> Iterator[str]:
    """Yield what is wrong with cases that are named one by one, nnU-Net's other way of describing them."""
    if not isinstance(entries, dict) or not entries:
        yield (
            f"dataset is {shown(entries)}, must map the name of each training case to its images and label: add the "
            "cases, or leave dataset out if the files are in imagesTr and labelsTr"
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
        counts.add(len(images))
        if len(images) != channels and not (len(images) < channels and ending in SEVERAL_CHANNELS):
            yield f"dataset.{name} has {len(images)} images, must have {channels}, one for each channel"
    if ending in SEVERAL_CHANNELS and len(counts) > 1:
        yield f"dataset has cases with {' and '.join(map(str, sorted(counts)))} images, must have the same for each"


def _path_problems(name: str, paths: list[str], ending: Any) -> Iterator[str]:
    # nnU-Net replaces variables of the environment, so what it reads would depend on the pod.
    if odd := [path for path in paths if "$" in path or "\0" in path]:
        yield f"dataset.{name} names {named(map(repr, odd))}: write paths out, without $"
    if isinstance(ending, str) and (odd := [path for path in paths if not path.endswith(ending)]):
        yield f"dataset.{name} names {named(odd)}, must name files {ending}, as file_ending says"
