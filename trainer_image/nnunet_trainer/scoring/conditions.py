"""Under which conditions the scores of a run were made: kept in summary.json, so that runs can be compared."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_api.dataset.beside import spacing_files
from nnunet_trainer.dataset.identity import contents_hash, dataset_hash, file_hashes, named_hash
from nnunet_trainer.process.installed import nnunet_version
from nnunet_trainer.scoring.ensemble import MIRROR_AXES, HeldOut

METRIC = "nnunetv2.evaluation.evaluate_predictions"
"""What computes the Dice."""


@dataclass(frozen=True)
class TestSetHashes:
    """What a test set is, by its content."""

    __test__ = False  # pytest: not a test class

    images: str
    """SHA-256 over names and contents of the images, and of what lies beside them."""
    labels: str
    """The same of the labels."""
    contents: str
    """SHA-256 over the contents of the images alone: who looked at it counts, whatever it is called."""


def held_out_hashes(test_set: HeldOut, workers: int) -> TestSetHashes:
    """Return the hashes of a test set; each file is read once."""
    images: dict[str, Path] = {}
    labels: dict[str, Path] = {}
    for case in test_set.cases.values():
        images |= {path.name: path for path in case.images}
        labels[case.label.name] = case.label
        beside = spacing_files(case.images, None), spacing_files((), case.label)
        for paths, files in zip(beside, (images, labels), strict=True):
            files |= {path.name: path for path in paths if path.is_file()}
    hashes = file_hashes(f"hashing {len(images)} files of test images", images, workers)
    cases = {path.name for case in test_set.cases.values() for path in case.images}
    contents = contents_hash(digest for name, digest in hashes.items() if name in cases)
    return TestSetHashes(named_hash(hashes), dataset_hash(labels, workers), contents)


def stated_conditions(
    labels: Mapping[str, Any], tolerance: float, inference: Mapping[str, Any], hashes: TestSetHashes | None
) -> dict[str, Any]:
    """Return the conditions for summary.json, by the paths under which comparisons know them."""
    stated: dict[str, Any] = {
        "labels": dict(labels),
        "metric": {"implementation": METRIC, "version": nnunet_version(), "surfaceTolerance": tolerance},
    }
    if hashes:
        stated["testSet"] = {"imagesHash": hashes.images, "labelsHash": hashes.labels}
        # Which axes are mirrored is the network's: its trainer class, or its dimensions, may leave some out.
        stated["inference"] = {key: value for key, value in inference.items() if key != MIRROR_AXES}
        stated[MIRROR_AXES] = inference.get(MIRROR_AXES)
    return stated
