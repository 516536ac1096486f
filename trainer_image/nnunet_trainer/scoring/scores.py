"""Reading nnU-Net's summary.json files and averaging them as nnU-Net does. No torch in here."""

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnunet_trainer.process.files import read_json
from nnunet_trainer.process.numbers import number

CaseScores = dict[str, dict[str, float]]
"""Case -> class (nnU-Net's key) -> score; NaN where it is undefined, as for a class in neither of the segmentations."""


@dataclass(frozen=True)
class EnsembleScores:
    """What an ensemble scored on the test set."""

    dice: CaseScores
    nsd: CaseScores
    """Normalized surface Dice."""
    hd95: CaseScores
    """95th percentile of the Hausdorff distance, in `unit`."""
    missing: dict[str, dict[str, str]]
    """Case -> class -> which of the segmentations has none of it while the other has: prediction or reference."""
    unit: str = "mm"
    """Unit of distances: mm, or px for image formats that hold no spacing."""
    inference: Mapping[str, Any] = field(default_factory=dict)
    """How was predicted: with what decides on the result."""
    workers: int | None = None
    """Workers that predicted, 0 for one case after the other; None where all was predicted before."""


def class_names(labels: Mapping[str, Any]) -> dict[str, str]:
    """Return the name of each foreground class or region by nnU-Net's key, in nnU-Net's order."""
    foreground = {name: value for name, value in labels.items() if name != "ignore" and not _background(value)}
    has_regions = any(isinstance(value, list) and len(value) > 1 for value in foreground.values())
    if has_regions:
        return {_key(value): name for name, value in foreground.items()}
    numbers = {name: int(value[0] if isinstance(value, list) else value) for name, value in foreground.items()}
    return {str(value): name for name, value in sorted(numbers.items(), key=lambda item: item[1])}


def read_scores(summary: Path, ending: str) -> CaseScores:
    """Return the Dice of each case and class in a summary.json of nnU-Net. Raises OSError or ValueError."""
    content = read_json(summary)
    try:
        return {
            Path(case["prediction_file"]).name.removesuffix(ending): {
                key: float(metrics["Dice"]) for key, metrics in case["metrics"].items()
            }
            for case in content["metric_per_case"]
        }
    except (KeyError, TypeError) as error:
        raise ValueError(f"{summary} is not a summary of nnU-Net: {error!r}") from error


def class_means(cases: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean score of each class over the cases that have one (nnU-Net's nanmean); absent classes drop out."""
    values: dict[str, list[float]] = {}
    for case in cases:
        for key, score in case.items():
            if not math.isnan(score):
                values.setdefault(key, []).append(score)
    return {key: math.fsum(found) / len(found) for key, found in values.items()}


def foreground_mean(cases: Iterable[Mapping[str, float]]) -> float | None:
    """Return the mean over the classes' means, as nnU-Net's foreground_mean; None without any number."""
    means = class_means(cases)
    means.pop("0", None)
    return math.fsum(means.values()) / len(means) if means else None


def mean(values: Iterable[float | None]) -> float | None:
    """Return the mean of the numbers among the values; None without any."""
    numbers = [value for value in map(number, values) if value is not None]
    return math.fsum(numbers) / len(numbers) if numbers else None


def spread(values: Iterable[float | None]) -> float | None:
    """Return the sample standard deviation (n - 1) of the numbers among the values, whose mean `mean` is.

    None for fewer than two. The operator says the same of what the status holds.
    """
    numbers = [value for value in map(number, values) if value is not None]
    return statistics.stdev(numbers) if len(numbers) >= 2 else None


def named_classes(means: Mapping[str, float], labels: Mapping[str, Any]) -> dict[str, float]:
    """Return the means by class name, in nnU-Net's order."""
    return {name: means[key] for key, name in class_names(labels).items() if key in means}


def by_case(cases: CaseScores, labels: Mapping[str, Any]) -> dict[str, dict[str, float | None]]:
    """Return the scores for a JSON file: class names, null for NaN."""
    names = class_names(labels)
    return {
        case: {names.get(key, key): number(dice) for key, dice in scores.items()}
        for case, scores in sorted(cases.items())
    }


def _background(value: Any) -> bool:
    return value == 0 or (isinstance(value, list) and set(value) == {0})


def _key(value: Any) -> str:
    return str(tuple(value)) if isinstance(value, list) else str(value)
