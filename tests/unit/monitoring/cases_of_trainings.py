"""Alerts on trainings, policies and the operator, from what the operator and the API server tell."""

from tests.unit.monitoring.cases import (
    CRITICAL,
    DAY,
    FOLD,
    HOUR,
    INFO,
    OF,
    WARNING,
    Case,
    Series,
    fires,
    fold,
    of,
    phase,
    quiet,
    series,
)


def decisions(values: str, outcome: str = "Denied", pod: str = "a") -> Series:
    """Return decisions of the policy clinical."""
    name = "nnunet_policy_decisions_total"
    return series(name, values, policy="clinical", rule="minEpochs", outcome=outcome, pod=pod)


def checks(values: str, policy: str = "nnunet-policy-enforce", action: str = "deny", error: str = "no_error") -> Series:
    """Return what an admission policy of the API server did."""
    name = "apiserver_validating_admission_policy_check_total"
    return series(name, values, policy=policy, policy_binding="x", enforcement_action=action, error_type=error)


def expiry(days: int, minutes: int = 5) -> Series:
    """Return the end of an exception for hippo, so many days after the beginning."""
    name = "nnunet_policy_exception_expiry_timestamp_seconds"
    return series(name, f"{days * 86400}x{minutes}", policy="house", **OF)


def reconciles(values: str, result: str = "error", name: str = "reconciles") -> Series:
    """Return the operator's work, by how it ended."""
    return series(f"nnunet_operator_{name}_total", values, namespace="nnunet-system", pod="a", result=result)


def looks(namespace: str, total: int, pod: str = "a") -> Series:
    """Return how often a test set was looked at in a namespace."""
    return series("nnunet_test_set_looks", f"{total}x5", namespace=namespace, test_set="sha256-7", pod=pod)


def bounds(*most: int) -> list[Series]:
    """Return how often policies allow it."""
    return [series("nnunet_policy_max_test_looks", f"{one}x5", policy=f"p{one}") for one in most]


WAITS = "Training clinic/hippo has waited for more than 6 hours"

CASES: list[Case] = [
    fires(
        "TrainingStalled",
        "stalled",
        6,
        [of("nnunet_training_stalled", "1x10")],
        {**OF, **WARNING},
        "Training clinic/hippo finishes no epochs",
    ),
    quiet("TrainingStalled", "trains", 6, of("nnunet_training_stalled", "0x10")),
    quiet("TrainingStalled", "restarted in time", 9, of("nnunet_training_stalled", "1x3 0x10")),
    quiet("TrainingStalled", "deleted", 9, of("nnunet_training_stalled", "1x6 stale")),
    fires(
        "DataStarved",
        "starved",
        65,
        [of("nnunet_training_data_starved", "1x70")],
        {**OF, **WARNING},
        "Training clinic/hippo waits for data, and its GPU stands idle",
    ),
    quiet("DataStarved", "fed", 65, of("nnunet_training_data_starved", "0x70")),
    quiet("DataStarved", "mended in time", 90, of("nnunet_training_data_starved", "1x50 0x50")),
    fires(
        "QueueWaitLong",
        "waits for a GPU",
        365,
        [phase("1x400", "WaitingForGPU")],
        {**OF, **INFO},
        f"{WAITS}, WaitingForGPU",
    ),
    fires(
        "QueueWaitLong",
        "waits for one thing after the other",
        370,
        [phase("1x200 stale", "WaitingForGPU"), phase("_x201 1x200", "WaitingForResources")],
        {**OF, **INFO},
        f"{WAITS}, WaitingForResources",
    ),
    fires(
        "QueueWaitLong",
        "the operator was replaced meanwhile",
        370,
        [phase("1x198 stale _x3 1x200", "WaitingForQueue")],
        {**OF, **INFO},
        f"{WAITS}, WaitingForQueue",
    ),
    fires(
        "QueueWaitLong",
        "waits for the weights of a training that has failed",
        365,
        [phase("1x400", "WaitingForWeights")],
        {**OF, **INFO},
        f"{WAITS}, WaitingForWeights",
    ),
    quiet("QueueWaitLong", "not that long", 350, phase("1x400", "WaitingForGPU")),
    quiet(
        "QueueWaitLong",
        "trained in between",
        400,
        phase("1x200 stale _x19 1x200", "WaitingForGPU"),
        phase("_x201 1x18 stale", "Training"),
    ),
    quiet("QueueWaitLong", "trains now", 370, phase("1x368 stale", "WaitingForGPU"), phase("_x369 1x20", "Training")),
    quiet("QueueWaitLong", "suspended", 400, phase("1x500", "Suspended")),
    fires(
        "TrainingBlocked",
        "no image",
        16,
        [phase("1x20", "ImageUnavailable")],
        {**OF, **WARNING, "phase": "ImageUnavailable"},
        "Training clinic/hippo can't start, ImageUnavailable",
    ),
    quiet("TrainingBlocked", "a slow registry", 10, phase("1x20", "ImageUnavailable")),
    quiet("TrainingBlocked", "waits for a GPU", 16, phase("1x20", "WaitingForGPU")),
    fires(
        "EarlyStopBelowPolicy",
        "proven below",
        2,
        [of("nnunet_training_proven_epochs", "700x5"), of("nnunet_training_required_epochs", "1000x5")],
        {**OF, **CRITICAL},
        "Training clinic/hippo ends with 700 epochs, fewer than policies ask for",
    ),
    fires(
        "EarlyStopBelowPolicy",
        "is going to end below",
        2,
        [fold("nnunet_end_epoch", "300x5"), fold("nnunet_policy_min_epochs", "1000x5")],
        {**FOLD, **CRITICAL},
        "Training clinic/hippo ends with 300 epochs in fold 0, fewer than policies ask for",
    ),
    fires(
        "EarlyStopBelowPolicy",
        "a stop that was held back",
        2,
        [fold("nnunet_early_stopping_suppressed_epoch", "80x5")],
        {**FOLD, **INFO},
        "The early-stopping rule of fold 0 of training clinic/hippo would have acted after 80 epochs, below what "
        "policies ask for",
    ),
    quiet(
        "EarlyStopBelowPolicy",
        "an exception leaves less",
        2,
        of("nnunet_training_proven_epochs", "700x5"),
        of("nnunet_training_required_epochs", "600x5"),
    ),
    quiet(
        "EarlyStopBelowPolicy",
        "the whole schedule",
        2,
        fold("nnunet_end_epoch", "1000x5"),
        fold("nnunet_policy_min_epochs", "1000x5"),
        of("nnunet_training_required_epochs", "1000x5"),
    ),
    quiet(
        "EarlyStopBelowPolicy",
        "the next pod is told of a stricter policy",
        4,
        fold("nnunet_end_epoch", "600x5"),
        fold("nnunet_policy_min_epochs", "600x5"),
        fold("nnunet_end_epoch", "1000x5", pod="b"),
        fold("nnunet_policy_min_epochs", "1000x5", pod="b"),
    ),
    fires(
        "PolicyDenials",
        "held",
        6,
        [phase("1x9", "PolicyChanged")],
        {**OF, **WARNING, "phase": "PolicyChanged"},
        "Training clinic/hippo is held by a policy, PolicyChanged",
    ),
    fires(
        "PolicyDenials",
        "many at once",
        20,
        [decisions("_x9 12x20")],
        {**WARNING, "policy": "clinical", "rule": "minEpochs"},
        "Policy clinical denied 12 trainings within an hour by its rule minEpochs",
    ),
    fires(
        "PolicyDenials",
        "many more",
        80,
        [decisions("1x59 1+1x20")],
        {**WARNING, "policy": "clinical", "rule": "minEpochs"},
        "Policy clinical denied 20 trainings within an hour by its rule minEpochs",
    ),
    fires(
        "PolicyDenials",
        "refused at admission",
        20,
        [checks("_x9 6x20")],
        {**INFO, "policy": "nnunet-policy-enforce", "error_type": "no_error"},
        "Admission policy nnunet-policy-enforce refused 6 requests within an hour",
    ),
    fires(
        "PolicyDenials",
        "admission can't judge",
        20,
        [checks("_x9 6x20", error="invalid_error")],
        {**INFO, "policy": "nnunet-policy-enforce", "error_type": "invalid_error"},
        "Admission policy nnunet-policy-enforce refused 6 requests within an hour because it can't be evaluated "
        "(invalid_error)",
    ),
    quiet("PolicyDenials", "trains", 6, phase("1x9", "Training")),
    quiet("PolicyDenials", "just applied", 3, phase("1x9", "PolicyDenied")),
    quiet("PolicyDenials", "suspended by its user", 6, phase("1x9", "Suspended")),
    quiet("PolicyDenials", "many, hours ago", 200, decisions("_x9 12x200")),
    quiet("PolicyDenials", "the operator was replaced", 100, decisions("12x90 stale"), decisions("_x91 1x20", pod="b")),
    quiet("PolicyDenials", "Prometheus was away an hour ago", 110, decisions("12x40 stale _x19 12x60")),
    quiet("PolicyDenials", "nobody scraped the API server an hour ago", 110, checks("12x40 stale _x19 12x60")),
    quiet("PolicyDenials", "many that were only warned", 20, decisions("_x9 12x20", outcome="Warned")),
    quiet("PolicyDenials", "somebody tried twice", 20, checks("_x9 2x20")),
    quiet("PolicyDenials", "only warned at admission", 20, checks("_x9 6x20", "nnunet-policy-warn", "warn")),
    quiet("PolicyDenials", "refused by others", 20, checks("_x9 6x20", "no-latest-tags")),
    fires(
        "ExceptionExpiring",
        "in 13 days",
        2,
        [expiry(13), phase("1x5", "Training")],
        {**OF, **INFO, "policy": "house"},
        "The exception of policy house for clinic/hippo ends in 12d 23h 58m 0s",
    ),
    quiet("ExceptionExpiring", "in 20 days", 2, expiry(20), phase("1x5", "Training")),
    quiet("ExceptionExpiring", "over", DAY + 5, expiry(1, DAY + HOUR), phase(f"1x{DAY + HOUR}", "PolicyChanged")),
    quiet("ExceptionExpiring", "the training is complete", 2, expiry(13), phase("1x5", "Completed")),
    fires(
        "TestSetWornOut",
        "in two namespaces, by two operators",
        2,
        [looks("clinic", 12), looks("lab", 9), looks("lab", 9, pod="b"), *bounds(20, 100)],
        {**INFO, "test_set": "sha256-7"},
        "Test set sha256-7 has been looked at 21 times, more often than a policy allows",
    ),
    quiet("TestSetWornOut", "as often as it may", 2, looks("clinic", 20), *bounds(20)),
    quiet("TestSetWornOut", "no policy bounds it", 2, looks("clinic", 1000)),
    fires(
        "OperatorDown",
        "gone",
        20,
        [series("nnunet_operator_build_info", "1x2 stale", version="1")],
        CRITICAL,
        "No nnunet-operator has been seen for 10 minutes",
    ),
    quiet(
        "OperatorDown", "being replaced", 11, series("nnunet_operator_build_info", "1x5 stale _x6 1x10", version="1")
    ),
    fires(
        "ReconcileErrors",
        "one training, again and again",
        30,
        [reconciles("0+4x40"), reconciles("0+100x40", result="ok")],
        {**WARNING, "namespace": "nnunet-system"},
        "20 times within 5 minutes the operator in nnunet-system failed at its work",
    ),
    fires(
        "ReconcileErrors",
        "it may not list namespaces",
        30,
        [reconciles("0+20x40", name="resyncs")],
        {**WARNING, "namespace": "nnunet-system"},
        "100 times within 5 minutes the operator in nnunet-system failed at its work",
    ),
    quiet("ReconcileErrors", "others were faster", 30, reconciles("0+9x40", result="conflict")),
    quiet("ReconcileErrors", "the API server was away for five minutes", 18, reconciles("0x9 0+80x5 400x40")),
    quiet("ReconcileErrors", "a few", 30, reconciles("0x9 4x40")),
]
