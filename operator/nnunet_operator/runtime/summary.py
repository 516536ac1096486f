"""What the metrics and the policies' statuses count of trainings and comparisons, without JSON being read again."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from nnunet_api.comparison.reasons import ComparisonPhase
from nnunet_api.comparison.template import made_name
from nnunet_api.reasons import ConditionType, Phase
from nnunet_operator.kube.objects import Manifest, parse_time, true_condition

_SHA256 = re.compile("[0-9a-f]{64}")


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
    look: tuple[str, str, str] | None = None
    """Hash of the test set that it has been scored on, its UID, and when that was; None before that."""
    weights_from: str = ""
    """Name of the training whose weights it begins with, and that it may wait for."""
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
        look=_look(body, status),
        weights_from=_weights_from(body),
        figures=dict(_figures(body, status)),
    )


def _weights_from(body: Manifest) -> str:
    wanted = ((body.get("spec") or {}).get("initialWeights") or {}).get("training") or {}
    return str(wanted.get("name") or "")


@dataclass(frozen=True, slots=True)
class ArmVerdict:
    """What a comparison came to for an arm."""

    arm: str
    verdict: str
    difference: float
    """Of Dice, to the baseline."""
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ComparisonSummary:
    """The part of a comparison that is told of it from outside."""

    phase: str
    arms: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Names of the arms and of their trainings, the baseline first."""
    verdicts: tuple[ArmVerdict, ...] = ()
    look: tuple[str, str] | None = None
    """Its UID, and when it came to a verdict on a test set; None before that."""

    @property
    def trainings(self) -> frozenset[str]:
        """Names of the trainings of its arms."""
        return frozenset(name for _, names in self.arms for name in names)


def summarize_comparison(body: Manifest) -> ComparisonSummary:
    """Return the summary of a comparison."""
    status = body.get("status") or {}
    spec = body.get("spec") or {}
    name = str(body["metadata"]["name"])
    arms = [(str(arm.get("name")), tuple(_of_arm(name, arm))) for arm in spec.get("arms") or ()]
    arms.sort(key=lambda arm: arm[0] != spec.get("baseline"))  # else as they stand
    return ComparisonSummary(
        phase=str(status.get("phase") or ComparisonPhase.PENDING),
        arms=tuple(arms),
        verdicts=tuple(
            ArmVerdict(
                str(one.get("arm")),
                str(one.get("verdict")),
                *(float(one.get(key) or 0.0) for key in ("difference", "low", "high")),
            )
            for one in status.get("verdicts") or ()
        ),
        look=(str(body["metadata"].get("uid")), str(status["completionTime"]))
        if status.get("verdicts") and status.get("indicative") is False and status.get("completionTime")
        else None,
    )


@dataclass(frozen=True, slots=True)
class TestSetSummary:
    """What of a ledger is told from outside."""

    __test__ = False  # pytest: not a test class

    images_hash: str
    total: int


def summarize_test_set(body: Manifest) -> TestSetSummary:
    """Return the summary of the ledger of a test set."""
    spec, status = body.get("spec") or {}, body.get("status") or {}
    return TestSetSummary(str(spec.get("imagesHash")), int(status.get("total") or 0))


def _look(body: Manifest, status: Manifest) -> tuple[str, str, str] | None:
    images_hash, time = (status.get("results") or {}).get("testSetHash"), status.get("completionTime")
    # The hash is the word of the trainer's image.
    if not time or not isinstance(images_hash, str) or not _SHA256.fullmatch(images_hash):
        return None
    return images_hash, str(body["metadata"].get("uid")), str(time)


def _of_arm(comparison: str, arm: Manifest) -> list[str]:
    if arm.get("patch") is not None:
        return [made_name(comparison, str(arm.get("name")))]
    return [str(name) for name in arm.get("trainings") or ()]


def _figures(body: Manifest, status: Manifest) -> Iterator[tuple[str, float]]:
    created = parse_time(body["metadata"].get("creationTimestamp"))
    usage = status.get("usage") or {}
    values: dict[str, Any] = {
        "creation_timestamp_seconds": created.timestamp() if created else None,
        **_progress(status),
        "held_gpu_seconds": usage.get("gpuSeconds"),
        "lost_gpu_seconds": usage.get("lostGpuSeconds"),
        "required_epochs": (status.get("policy") or {}).get("minEpochs"),
        "stalled": _holds(status, ConditionType.STALLED),
        "data_starved": _holds(status, ConditionType.DATA_STARVED),
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
    chosen = results.get("selection") or {}
    proven = [fold.get("provenEpochs") for fold in status.get("folds") or []]
    return {
        "completion_timestamp_seconds": end.timestamp(),
        "test_dice": (results.get("testDice") or {}).get("mean"),
        "validation_dice": results.get("meanValidationDice", chosen.get("meanValidationDice")),
        "proven_epochs": min(proven) if proven and None not in proven else None,
    }


def _holds(status: Manifest, type_: str) -> float | None:
    """Return 1 where a condition is True, else 0; None where there is none."""
    stated = _condition(status, type_).get("status")
    return float(stated == "True") if stated else None


def _condition(status: Manifest, type_: str) -> Manifest:
    conditions: list[Manifest] = status.get("conditions") or []
    return next((condition for condition in conditions if condition.get("type") == type_), {})
