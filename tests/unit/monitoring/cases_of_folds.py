"""Alerts on how a fold trains, from what its trainer tells."""

from tests.unit.monitoring.cases import (
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

ATTEMPT = 20
"""Minutes of an attempt in `restarts`."""


def restarts(epochs: str, end: int = 1000) -> list[Series]:
    """Return an attempt for each of the epochs at which it stood, each in another pod."""
    made = []
    for number, epoch in enumerate(epochs.split()):
        before = f"_x{ATTEMPT * number} " if number else ""
        values = {"nnunet_attempts": number + 1, "nnunet_epoch": epoch, "nnunet_end_epoch": end}
        made += [fold(name, f"{before}{value}x19 stale", "abcde"[number]) for name, value in values.items()]
    return made


def losses(train: str, validation: str, epoch: int = 150, then: str = "x600", pod: str = "a") -> list[Series]:
    """Return 20 hours of losses, ten with the first value and ten with the second."""
    made = [
        fold("nnunet_loss", f"{before}x600 {after}{then}", pod, split=split)
        for split, (before, after) in {"train": train.split(), "validation": validation.split()}.items()
    ]
    return [*made, fold("nnunet_epoch", f"{epoch}x600 {epoch}{then}", pod)]


def checkpoints(written: str, epoch: int = 400, median: int = 120, pod: str = "a") -> list[Series]:
    """Return when checkpoints were written, of a fold that has finished so many of 1000 epochs."""
    return [
        fold("nnunet_checkpoint_timestamp_seconds", written, pod),
        fold("nnunet_median_epoch_seconds", f"{median}x900", pod),
        fold("nnunet_epoch", f"{epoch}x900", pod),
        fold("nnunet_end_epoch", "1000x900", pod),
    ]


def volume(available: str, capacity: int, pod: str = "a") -> list[Series]:
    """Return what is left of a results volume, in bytes."""
    return [
        fold("nnunet_volume_available_bytes", available, pod, volume="results"),
        fold("nnunet_volume_capacity_bytes", f"{capacity}x900", pod, volume="results"),
    ]


def gpu(percent: int, number: str = "0", **labels: str) -> Series:
    """Return the use of a GPU as NVIDIA's exporter tells it."""
    return series("DCGM_FI_DEV_GPU_UTIL", f"{percent}x90", gpu=number, **labels)


def trains(epoch: int = 400) -> list[Series]:
    """Return a fold at work."""
    return [
        fold("nnunet_run_info", "1x90", dataset="Dataset004_Hippocampus"),
        fold("nnunet_epoch", f"{epoch}x90"),
        fold("nnunet_end_epoch", "1000x90"),
    ]


POD = {"namespace": "clinic", "pod": "hippo-fold-0-a"}
EXPORTED = {"namespace": "gpu", "pod": "dcgm-1", "exported_namespace": "clinic", "exported_pod": "hippo-fold-0-a"}
IDLE = "The GPU of fold 0 of training clinic/hippo is used to 2 % on average"
GIB = 1 << 30

CASES: list[Case] = [
    fires(
        "TrainingLossNaN",
        "epoch after epoch",
        4,
        [fold("nnunet_nonfinite_loss_epochs", "0 1 2 3 4")],
        {**FOLD, **WARNING},
        "The loss of training clinic/hippo is no number, in fold 0 for 4 epochs",
    ),
    fires(
        "TrainingLossNaN",
        "epoch after epoch, and another pod goes on with it",
        7,
        [
            fold("nnunet_nonfinite_loss_epochs", "0 1 2 3 4 stale"),
            fold("nnunet_nonfinite_loss_epochs", "_x5 4 5 6", pod="b"),
        ],
        {**FOLD, **WARNING},
        "The loss of training clinic/hippo is no number, in fold 0 for 6 epochs",
    ),
    fires(
        "TrainingLossNaN",
        "failed by it",
        5,
        [
            of("nnunet_training_failed", "1x10", reason="LossNotFinite"),
            of("nnunet_training_completion_timestamp_seconds", "60x10"),
        ],
        {**OF, **WARNING},
        "The loss of training clinic/hippo is no number, and it failed by that",
    ),
    quiet("TrainingLossNaN", "one epoch of mixed precision", 5, fold("nnunet_nonfinite_loss_epochs", "0 1x5")),
    quiet("TrainingLossNaN", "its pod is gone", 6, fold("nnunet_nonfinite_loss_epochs", "0 1 2 3 stale")),
    quiet(
        "TrainingLossNaN",
        "failed otherwise",
        5,
        of("nnunet_training_failed", "1x10", reason="StorageFailed"),
        of("nnunet_training_completion_timestamp_seconds", "60x10"),
    ),
    quiet(
        "TrainingLossNaN",
        "failed two days ago",
        2 * DAY,
        of("nnunet_training_failed", f"1x{2 * DAY}", reason="LossNotFinite"),
        of("nnunet_training_completion_timestamp_seconds", f"60x{2 * DAY}"),
    ),
    fires(
        "NoProgressAcrossRestarts",
        "same epoch each time",
        75,
        restarts("4 4 4 4"),
        {**FOLD, **WARNING},
        "Fold 0 of training clinic/hippo was started 3 times more within 2 hours and finished no epoch",
    ),
    fires(
        "NoProgressAcrossRestarts",
        "between two attempts",
        85,
        restarts("4 4 4 4"),
        {**FOLD, **WARNING},
        "Fold 0 of training clinic/hippo was started 3 times more within 2 hours and finished no epoch",
    ),
    quiet("NoProgressAcrossRestarts", "an epoch each time", 75, *restarts("4 5 6 7")),
    quiet("NoProgressAcrossRestarts", "an epoch once", 75, *restarts("4 4 4 5")),
    quiet("NoProgressAcrossRestarts", "one restart", 35, *restarts("4 4")),
    quiet("NoProgressAcrossRestarts", "interrupted in the validation", 75, *restarts("1000 1000 1000 1000")),
    quiet("NoProgressAcrossRestarts", "suspended meanwhile", 82, *restarts("4 4 4 4"), phase("_x78 1x40", "Suspended")),
    quiet("NoProgressAcrossRestarts", "failed meanwhile", 82, *restarts("4 4 4 4"), phase("_x78 1x40", "Failed")),
    quiet("NoProgressAcrossRestarts", "deleted", 100, *restarts("4 4 4 4")),
    fires(
        "Overfitting",
        "losses part",
        14 * HOUR,
        losses("-0.8 -0.9", "-0.7 -0.6"),
        {**FOLD, **INFO},
        "The validation loss of fold 0 of training clinic/hippo has risen by 0.10 in 6 hours while the training loss "
        "fell",
    ),
    fires(
        "Overfitting",
        "losses part, and another pod goes on with it",
        14 * HOUR,
        [*losses("-0.8 -0.9", "-0.7 -0.6", then="x100 stale"), *losses("_ -0.9", "_ -0.6", pod="b", then="x600")],
        {**FOLD, **INFO},
        "The validation loss of fold 0 of training clinic/hippo has risen by 0.10 in 6 hours while the training loss "
        "fell",
    ),
    quiet("Overfitting", "both rise", 14 * HOUR, *losses("-0.9 -0.8", "-0.7 -0.6")),
    quiet("Overfitting", "both fall", 14 * HOUR, *losses("-0.8 -0.9", "-0.6 -0.7")),
    quiet("Overfitting", "not for long", 12 * HOUR, *losses("-0.8 -0.9", "-0.7 -0.6")),
    quiet("Overfitting", "in the first epochs", 14 * HOUR, *losses("-0.8 -0.9", "-0.7 -0.6", epoch=50)),
    quiet("Overfitting", "the fold has ended", 14 * HOUR, *losses("-0.8 -0.9", "-0.7 -0.6", then="x190 stale")),
    fires(
        "CheckpointStale",
        "none for an hour and more",
        90,
        checkpoints("0+60x10 600x100"),
        {**FOLD, **WARNING},
        "The newest checkpoint of fold 0 of training clinic/hippo is 1h 20m 0s old",
    ),
    quiet("CheckpointStale", "half an hour old", 40, *checkpoints("0+60x10 600x100")),
    quiet("CheckpointStale", "one for each epoch", 90, *checkpoints("0+60x100")),
    quiet("CheckpointStale", "epochs take half an hour", 90, *checkpoints("600x100", median=1800)),
    quiet("CheckpointStale", "it validates", 90, *checkpoints("0+60x10 600x100", epoch=1000)),
    quiet(
        "CheckpointStale",
        "another pod writes",
        90,
        *checkpoints("0+60x10 600x100"),
        *checkpoints("_x10 0+60x100", pod="b"),
    ),
    quiet("CheckpointStale", "suspended", 90, *checkpoints("0+60x10 600x40 stale")),
    fires(
        "ResultsVolumeFilling",
        "5 % left",
        6,
        volume(f"{5 * GIB}x10", 100 * GIB),
        {**OF, **WARNING},
        "The results volume of training clinic/hippo has 5GiB left, less than a tenth",
    ),
    quiet("ResultsVolumeFilling", "20 % left", 6, *volume(f"{20 * GIB}x10", 100 * GIB)),
    quiet("ResultsVolumeFilling", "5 % of a large volume", 6, *volume(f"{500 * GIB}x10", 10_000 * GIB)),
    quiet("ResultsVolumeFilling", "the fold has ended", 9, *volume(f"{5 * GIB}x3 stale", 100 * GIB)),
    fires(
        "ResultsVolumeFilling",
        "full within a day",
        5 * HOUR,
        volume("6000-5x300", 10_000),
        {**OF, **INFO},
        "The results volume of training clinic/hippo is full in 15h 0m 0s at its present speed",
    ),
    quiet("ResultsVolumeFilling", "full in a week", 5 * HOUR, *volume(f"{600 * GIB}-{GIB // 20}x300", 1000 * GIB)),
    quiet("ResultsVolumeFilling", "emptier", 5 * HOUR, *volume(f"{600 * GIB}+{5 * GIB}x300", 10_000 * GIB)),
    quiet("ResultsVolumeFilling", "the first checkpoints", 90, *volume(f"{600 * GIB}-{GIB}x90", 1000 * GIB)),
    fires("GpuIdle", "labels honoured", 35, [gpu(2, **POD), *trains()], {**FOLD, **POD, **WARNING}, IDLE),
    fires("GpuIdle", "labels not honoured", 35, [gpu(2, **EXPORTED), *trains()], {**FOLD, **POD, **WARNING}, IDLE),
    fires(
        "GpuIdle", "one of two", 35, [gpu(2, **POD), gpu(85, "1", **POD), *trains()], {**FOLD, **POD, **WARNING}, IDLE
    ),
    quiet("GpuIdle", "computes", 35, gpu(85, **POD), *trains()),
    quiet("GpuIdle", "it validates", 35, gpu(2, **POD), *trains(epoch=1000)),
    quiet("GpuIdle", "somebody else's pod", 35, gpu(2, namespace="clinic", pod="notebook"), *trains()),
    quiet("GpuIdle", "begins slowly", 20, gpu(2, **POD), *trains()),
]
