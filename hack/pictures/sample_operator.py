"""The operator's part of the sample data: what it tells of trainings, and of itself."""

import math
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from hack.pictures.curves import Epoch
from hack.pictures.model import Span
from hack.pictures.openmetrics import lognormal, sample
from nnunet_api.reasons import Phase, Reason

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
HOUR = 3600.0
DAY = 24 * HOUR
POD = {"job": "nnunet-operator", "instance": "10.0.0.5:9090", "pod": "nnunet-operator-7c9d5-x2b4k"}
OUTAGE_HOURS = (5.0, 5.3)
"""When, after the start, the API server answers badly."""


@dataclass(frozen=True)
class Known:
    """A training of which only the operator tells."""

    namespace: str
    name: str
    phases: tuple[tuple[float, Phase], ...]
    """Hours after the start, and the phase from then on."""
    figures: dict[str, float] = field(default_factory=dict)
    ended_hours: float | None = None
    failed: Reason | None = None
    excepted: bool = False
    created_hours: float = -60.0


KNOWN = (
    Known("clinical", "liver-tumours", ((0, Phase.PLANNING), (0.2, Phase.TRAINING)), created_hours=-0.1),
    Known(
        *("research", "prostate"),
        ((7.0, Phase.WAITING_FOR_GPU), (7.9, Phase.PLANNING), (8.0, Phase.TRAINING)),
        created_hours=7.0,
    ),
    Known("research", "pancreas", ((10.5, Phase.WAITING_FOR_GPU),), created_hours=10.5),
    Known("research", "lung", ((12.7, Phase.WAITING_FOR_GPU),), created_hours=12.7),
    Known(
        *("clinical", "hippocampus"),
        ((0, Phase.TRAINING), (3.1, Phase.VERIFYING), (3.3, Phase.EVALUATING), (4.2, Phase.COMPLETED)),
        {
            "epochs": 5000,
            "epochs_target": 5000,
            "required_epochs": 1000,
            "proven_epochs": 1000,
            "validation_dice": 0.8912,
            "test_dice": 0.8897,
            "held_gpu_seconds": 74.2 * HOUR,
            "lost_gpu_seconds": 0.6 * HOUR,
        },
        ended_hours=4.2,
    ),
    Known(
        *("clinical", "cardiac-cine"),
        ((0, Phase.COMPLETED),),
        {
            "epochs": 2500,
            "epochs_target": 2500,
            "required_epochs": 500,
            "proven_epochs": 500,
            "validation_dice": 0.9154,
            "test_dice": 0.9102,
            "held_gpu_seconds": 41.0 * HOUR,
            "lost_gpu_seconds": 0.0,
        },
        ended_hours=-20,
        excepted=True,
        created_hours=-72,
    ),
    Known("clinical", "spleen-fast", ((9.4, Phase.POLICY_DENIED),), created_hours=9.4),
    Known(
        *("research", "kidney-large-patch"),
        ((1.0, Phase.TRAINING), (1.4, Phase.FAILED)),
        {"epochs": 12, "epochs_target": 5000, "held_gpu_seconds": 1.6 * HOUR, "lost_gpu_seconds": 0.4 * HOUR},
        ended_hours=1.4,
        failed=Reason.GPU_OUT_OF_MEMORY,
        created_hours=0.9,
    ),
)
EXCEPTIONS = {
    ("clinical-models", "clinical", "cardiac-cine"): 9 * DAY,
    ("clinical-models", "clinical", "aorta"): -3 * DAY,
}
"""Policy, namespace and training, and when the exception ends after the end of the data."""
VERDICT = ("own", "Inferior", -0.0205, -0.0291, -0.0113)
"""Arm, verdict, difference of Dice and its interval."""
COMPARISONS = {
    ("clinical", "own-planner"): ("Completed", {"default": "cardiac-cine", "own": "hippocampus"}),
    ("clinical", "faster-spleen"): ("WaitingForArms", {"standard": "liver-tumours", "fast": "spleen-fast"}),
    ("research", "patch-size"): ("ArmFailed", {"default": "prostate", "large": "kidney-large-patch"}),
}
"""Namespace and name, phase, and the training of each arm. One of them has a verdict."""
DECISIONS = {
    ("clinical-models", "", "Allowed"): (0.0, 1.2, 4.0, 11.0),
    ("clinical-models", "", "Excepted"): (0.0,),
    ("clinical-models", "minEpochs", "Denied"): (9.4, 9.6),
    ("clinical-models", "requireTestSet", "Denied"): (9.4,),
    ("research-advice", "requireSeed", "Warned"): (0.9, 7.0, 10.5, 12.7),
    ("research-advice", "", "Allowed"): (0.0, 0.0),
}
"""Policy, rule and outcome, and after how many hours such a decision was taken."""


def trainings(
    moment: float, span: Span, progress: Mapping[tuple[str, str], list[list[Epoch]]], required: int
) -> Iterator[str]:
    """Yield what the operator tells of each training at a Unix time."""
    hours = (moment - span.start) / HOUR
    for known in KNOWN:
        begun = [phase for since, phase in known.phases if since <= hours]
        if not begun:
            continue
        labels = {"namespace": known.namespace, "training": known.name, **POD}
        figures = {"creation_timestamp_seconds": span.start + known.created_hours * HOUR, **known.figures}
        figures.update(_so_far(progress.get((known.namespace, known.name), []), moment))
        if (known.namespace, known.name) == ("clinical", "liver-tumours"):
            figures["required_epochs"] = required
        if begun[-1] in (Phase.TRAINING, Phase.COMPLETED):
            figures["stalled"] = 0
        if known.ended_hours is not None and known.ended_hours > hours:
            for late in ("proven_epochs", "validation_dice", "test_dice"):
                figures.pop(late, None)
            share = (hours - known.created_hours) / (known.ended_hours - known.created_hours)
            grown = {name: value * share for name, value in figures.items() if name.endswith("gpu_seconds")}
            figures.update(grown, epochs=math.floor(figures["epochs"] * share))
        elif known.ended_hours is not None:
            figures["completion_timestamp_seconds"] = span.start + known.ended_hours * HOUR
            if known.failed:
                yield sample("nnunet_training_failed", {**labels, "reason": known.failed}, 1, moment)
        for name, value in figures.items():
            yield sample(f"nnunet_training_{name}", labels, value, moment)
        yield sample("nnunet_training_phase", {**labels, "phase": begun[-1]}, 1, moment)
        if known.excepted:
            yield sample("nnunet_training_policy_excepted", labels, 1, moment)
    for (policy, namespace, training), after in EXCEPTIONS.items():
        about = {"policy": policy, "namespace": namespace, "training": training, **POD}
        yield sample("nnunet_policy_exception_expiry_timestamp_seconds", about, span.end + after, moment)


def comparisons(moment: float) -> Iterator[str]:
    """Yield what the operator tells of each comparison at a Unix time."""
    for (namespace, name), (phase, arms) in COMPARISONS.items():
        labels = {"namespace": namespace, "comparison": name, **POD}
        yield sample("nnunet_comparison_phase", {**labels, "phase": phase}, 1, moment)
        for place, (arm, training) in enumerate(arms.items(), 1):
            yield sample("nnunet_comparison_arm", {**labels, "arm": arm, "training": training}, place, moment)
        if phase == "Completed":
            arm, verdict, difference, low, high = VERDICT
            of_arm = {**labels, "arm": arm}
            yield sample("nnunet_comparison_difference_dice", {**of_arm, "verdict": verdict}, difference, moment)
            yield sample("nnunet_comparison_difference_low_dice", of_arm, low, moment)
            yield sample("nnunet_comparison_difference_high_dice", of_arm, high, moment)


def _so_far(folds: list[list[Epoch]], moment: float) -> dict[str, float]:
    """Return progress, time left and GPU-seconds of a training that runs."""
    done = [[epoch for epoch in fold if epoch.end <= moment] for fold in folds]
    if not all(done) or not folds:
        return {}
    lost = sum(35.0 * (fold[-1].attempt - 1) for fold in done)
    return {
        "epochs": sum(len(fold) for fold in done),
        "epochs_target": sum(len(fold) for fold in folds),
        "left_seconds": max(
            (len(fold) - len(past)) * statistics.median(epoch.seconds for epoch in past[-50:])
            for fold, past in zip(folds, done, strict=True)
        ),
        "held_gpu_seconds": sum(epoch.seconds for fold in done for epoch in fold) + lost,
        "lost_gpu_seconds": lost,
    }


def operator(moment: float, span: Span) -> Iterator[str]:
    """Yield what the operator tells of itself at a Unix time."""
    hours = (moment - span.start) / HOUR
    busy = _integral(hours)
    bad = max(0.0, min(hours, OUTAGE_HOURS[1]) - OUTAGE_HOURS[0])
    is_bad = 0 < bad < OUTAGE_HOURS[1] - OUTAGE_HOURS[0]
    looks = [(912 * busy, 0.011), (700 * bad, 0.4)]
    waits = [(912 * busy, 0.002), (700 * bad, 0.05)]
    own = "nnunet_operator_"
    counters = {
        ("reconciles", ("result", "ok")): 900 * busy,
        ("reconciles", ("result", "conflict")): 12 * busy,
        ("reconciles", ("result", "error")): 700 * bad,
        ("scrapes", ("result", "ok")): 1680 * hours,
        ("scrapes", ("result", "failed")): 14 * busy,
        ("resyncs", ("result", "ok")): math.floor(6 * hours),
        ("resyncs", ("result", "error")): math.floor(6 * bad),
        ("resync_repairs", ("", "")): math.floor(hours / 6),
        ("watch_restarts", ("", "")): 1 if bad else 0,
    }
    for (name, (label, value)), count in counters.items():
        yield sample(f"{own}{name}_total", {**({label: value} if label else {}), **POD}, count, moment)
    requests = {"GET": 80, "PATCH": 420, "POST": 40, "DELETE": 6}
    for method, rate in requests.items():
        labels = {"method": method, "resource": "nnunettrainings", **POD}
        code = "201" if method == "POST" else "200"
        yield sample(f"{own}api_requests_total", {**labels, "code": code}, rate * busy, moment)
        usual = {"GET": 0.004, "PATCH": 0.008, "POST": 0.011, "DELETE": 0.009}[method]
        parts = [(rate * busy, usual), (rate * bad, 30 * usual)]
        yield from lognormal(f"{own}api_request_duration_seconds", {"method": method, **POD}, parts, SECONDS, moment)
    for code, count in {"409": 12 * busy, "503": 650 * bad}.items():
        labels = {"method": "PATCH", "resource": "nnunettrainings", "code": code, **POD}
        yield sample(f"{own}api_requests_total", labels, count, moment)
    yield from lognormal(f"{own}reconcile_duration_seconds", POD, looks, SECONDS, moment)
    yield from lognormal(f"{own}queue_wait_seconds", POD, waits, SECONDS, moment)
    yield sample(f"{own}queue_depth", POD, 9 if is_bad else round(1.4 * abs(math.sin(37 * hours))), moment)
    yield sample(f"{own}build_info", {"version": "0.1.0", **POD}, 1, moment)
    yield sample("process_resident_memory_bytes", POD, 66e6 + 3e6 * (1 - math.exp(-hours / 3)), moment)
    yield sample("process_cpu_seconds_total", POD, 40 * busy, moment)
    for (policy, rule, outcome), taken in DECISIONS.items():
        labels = {"policy": policy, "rule": rule, "outcome": outcome, **POD}
        if count := sum(1 for at in taken if at <= hours):
            yield sample("nnunet_policy_decisions_total", labels, count, moment)
    for phase in Phase:
        now = [[one for since, one in known.phases if since <= hours][-1:] for known in KNOWN]
        yield sample(f"{own}trainings", {"phase": phase, **POD}, now.count([phase]), moment)


def _integral(hours: float) -> float:
    """Return hours of work up to now: more is done in some hours than in others."""
    return hours + 0.25 * math.sin(1.7 * hours) + 0.04 * math.sin(9 * hours)
