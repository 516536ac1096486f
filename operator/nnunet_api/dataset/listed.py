"""Cases that dataset.json names one by one: do the names of their files say what they are listed as? Pure.

nnU-Net goes by the order of the files and by nothing in their names, so a slip exchanges channels, or patients, and
nothing fails.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from nnunet_api.dataset.layout import named


def order_problems(entries: Mapping[str, Any], ending: str) -> Iterator[str]:
    """Yield which cases list their channels, by the numbers in the names, in another order than most do.

    Only the same numbers in another order are a slip: numbers may be those of cases or scans (t1/BRATS_0001.nii.gz).
    """
    orders = {case: order for case, entry in entries.items() if len(order := _channels(entry, ending)) > 1}
    orders = {case: order for case, order in orders.items() if len(set(order)) == len(order)}
    usual = max(Counter(orders.values()).items(), key=lambda entry: entry[1], default=((), 0))[0]
    same_numbers = {case: order for case, order in orders.items() if sorted(order) == sorted(usual)}
    if odd := [f"{case} ({', '.join(order)})" for case, order in same_numbers.items() if order != usual]:
        yield (
            f"dataset lists the channels {', '.join(usual)} of most cases in this order, and others of {named(odd)}: "
            "nnU-Net goes by the order of the files, and by nothing in their names. List them in the same order"
        )


def notes_on_listed(entries: Mapping[str, Any], ending: str) -> Iterator[str]:
    """Yield which cases have a file that is called as those of another case are."""
    stems = {case: _stems(entry, ending) for case, entry in entries.items()}
    owners = {stem: case for case, (images, _) in stems.items() for stem in images[:1]}
    for case, (images, label) in stems.items():
        for stem in dict.fromkeys((*images, label)):
            if stem not in images[:1] and owners.get(stem, case) != case:
                yield f"dataset.{case} has a file that is called as those of {owners[stem]} are: {stem}"


def _files(entry: Any, ending: str) -> tuple[list[str], str]:
    """Return the names of images and label, without folder and ending."""
    images, label = (entry.get("images"), entry.get("label")) if isinstance(entry, dict) else (None, None)
    texts = images if isinstance(images, list) and all(isinstance(path, str) for path in images) else []
    label = label if isinstance(label, str) else ""
    return [_name(path, ending) for path in texts], _name(label, ending)


def _name(path: str, ending: str) -> str:
    return path.rsplit("/", 1)[-1].removesuffix(ending)


def _channels(entry: Any, ending: str) -> tuple[str, ...]:
    """Return the channels' numbers in the names of images; none where not all of them have one."""
    found = [re.search(r"_(\d{4})$", name, re.ASCII) for name in _files(entry, ending)[0]]
    return tuple(match[1] for match in found if match) if all(found) else ()


def _stems(entry: Any, ending: str) -> tuple[tuple[str, ...], str]:
    """Return what the names of images, and of the label, have before a channel's number."""
    images, label = _files(entry, ending)
    return tuple(re.sub(r"_\d{4}$", "", name, flags=re.ASCII) for name in images), label
