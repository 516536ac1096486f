"""What to do about a failure, in words for who predicts: most causes are those of a training, the remedies are not.

A prediction is started by `kubectl nnunet predict`, has the options of that, and goes on where the same command is
called again. To suspend and resume the training would mend nothing, and trains a complete one anew.
"""

_AGAIN = "call the same command again"
REMEDIES = (
    ("suspend and resume the training; it goes on from the last checkpoint", f"{_AGAIN}; it goes on with what is done"),
    ("suspend and resume the training", _AGAIN),
    (
        "counts against retryLimit, and folds go on from their last checkpoints",
        f"goes on with what is done; after the last one, {_AGAIN}",
    ),
    (
        "create the training anew with a smaller planning.gpuMemoryTargetGB, patch_size or batch_size",
        "predict with --cpu-only",
    ),
    ("Raise resources.sharedMemory, or lower resources.cpu", "Lower --cpu"),
    (" or resources.sharedMemory (/dev/shm", " (/dev/shm"),
    ("resources.memory (resources.preprocessing.memory for planning)", "--memory"),
    ("resources.cpu (resources.preprocessing.cpu for planning)", "--cpu"),
    ("resources.cpu", "--cpu"),
)
"""Words of `failures`, `merging` and others, and what stands in their place. A longer one comes before its parts."""


def in_words_of_predictions(message: str) -> str:
    """Return the message of a failure with the remedies of a prediction."""
    for of_trainings, own in REMEDIES:
        message = message.replace(of_trainings, own)
    return message
