"""What the metrics and the policies' statuses count of trainings and comparisons, without JSON being read again."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from nnunet_api.comparison.reasons import ComparisonPhase
from nnunet_api.reasons import ConditionType, Phase
from nnunet_operator.kube.objects import Manifest, parse_time, true_condition


@dataclass(frozen=True, slots=True)
class Summary:
    """The part of a training's status that is told of it from outside."""

    phase: str = ""
    failed: str = ""
    """Reason of condition Failed, where it is True."""
    decisions: tuple[tuple[str, str], ...] = ()
    """Names of the policies that decided on it, and what they came to."""
    excepted: bool = False
    """It ran under an exception at any time."""
    figures: Mapping[str, float] = field(default_factory=dict)
    """What is known of it, by the names in `metrics.FIGURES`."""


def summarize(body: Manifest) -> Summary:
    """Return the summary of a training."""
    status = body.get("status") or {}
    policy = status.get("policy") or {}
    failed = true_condition(body, ConditionType.FAILED)
    return Summary(
        phase=str(status.get("phase") or Phase.PENDING),
        failed=str(failed.get("reason")) if failed else "",
        decisions=tuple((str(d.get("policy")), str(d.get("outcome"))) for d in policy.get("decisions") or ()),
        excepted=bool(policy.get("exceptions")),
        figures=dict(_figures(body, status)),
    )


@dataclass(frozen=True, slots=True)
class ComparisonSummary:
    """The part of a comparison that is told of it from outside."""

    phase: str
    trainings: frozenset[str]
    """Names of the trainings of its arms."""
    verdicts: tuple[tuple[str, str, float], ...] = ()
    """Arm, verdict and difference of Dice to the baseline."""


def summarize_comparison(body: Manifest) -> ComparisonSummary:
    """Return the summary of a comparison."""
    status = body.get("status") or {}
    arms = (body.get("spec") or {}).get("arms") or ()
    return ComparisonSummary(
        phase=str(status.get("phase") or ComparisonPhase.PENDING),
        trainings=frozenset(str(name) for arm in arms for name in arm.get("trainings") or ()),
        verdicts=tuple(
            (str(one.get("arm")), str(one.get("verdict")), float(one.get("difference") or 0.0))
            for one in status.get("verdicts") or ()
        ),
    )


def _figures(body: Manifest, status: Manifest) -> Iterator[tuple[str, float]]:
    created = parse_time(body["metadata"].get("creationTimestamp"))
    stalled = _condition(status, ConditionType.STALLED).get("status")
    usage = status.get("usage") or {}
    values: dict[str, Any] = {
        "creation_timestamp_seconds": created.timestamp() if created else None,
        **_progress(status),
        "held_gpu_seconds": usage.get("gpuSeconds"),
        "lost_gpu_seconds": usage.get("lostGpuSeconds"),
        "required_epochs": (status.get("policy") or {}).get("minEpochs"),
        "stalled": float(stalled == "True") if stalled else None,
        **_finals(status),
    }
    yield from ((name, float(value)) for name, value in values.items() if value is not None)


def _progress(status: Manifest) -> dict[str, Any]:
    progress = status.get("progress") or {}
    trains = status.get("phase") == Phase.TRAINING
    return {
        "epochs": progress.get("epoch"),
        "epochs_target": progress.get("epochsTarget"),
        "left_seconds": progress.get("estimatedSecondsLeft") if trains else None,
    }


def _finals(status: Manifest) -> dict[str, Any]:
    end = parse_time(status.get("completionTime"))
    if end is None:
        return {}
    results = status.get("results") or {}
    proven = [fold.get("provenEpochs") for fold in status.get("folds") or []]
    return {
        "completion_timestamp_seconds": end.timestamp(),
        "test_dice": (results.get("testDice") or {}).get("mean"),
        "validation_dice": results.get("meanValidationDice"),
        "proven_epochs": min(proven) if proven and None not in proven else None,
    }


def _condition(status: Manifest, type_: str) -> Manifest:
    conditions: list[Manifest] = status.get("conditions") or []
    return next((condition for condition in conditions if condition.get("type") == type_), {})
