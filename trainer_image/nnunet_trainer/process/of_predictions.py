"""What to do about a failure, in words for who predicts: most causes are those of a training, the remedies are not.

A prediction is started by `kubectl nnunet predict`, has the options of that, and goes on where the same command is
called again. To suspend and resume the training would mend nothing, and trains a complete one anew.
"""

from nnunet_trainer.process.failures import FINISH_AGAIN

_AGAIN = "call the same command again"
_CPU_ONLY = "predict with --cpu-only"
_OF_TRAINING = "the training's podTemplate."
"""Of which the pod takes where it runs, and which may change."""
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
    (FINISH_AGAIN, "Restore the folder of the run, or train anew"),
    (
        "trainer.device is cuda, but torch in this image is built for the CPU only. Use an image that is built for "
        "GPUs",
        f"the pod has a GPU, but torch in this image is built for the CPU only. Either {_CPU_ONLY}, or give an image "
        "that is built for GPUs with --image",
    ),
    ("and podTemplate.runtimeClassName", f"and {_OF_TRAINING}runtimeClassName. Or {_CPU_ONLY}"),
    ("Use an image with another one: ", f"Either {_CPU_ONLY}, or give an image with another one with --image: "),
    (
        "Have the pods run on other GPUs (podTemplate.nodeSelector), or use an image with a torch for this one",
        f"Have the pod run on another GPU ({_OF_TRAINING}nodeSelector), give an image with a torch for this one with "
        f"--image, or {_CPU_ONLY}",
    ),
)
"""Words of `failures`, `gpu`, `merging` and others, and what stands in their place. A longer one comes before its
parts."""


def in_words_of_predictions(message: str) -> str:
    """Return the message of a failure with the remedies of a prediction."""
    for of_trainings, own in REMEDIES:
        message = message.replace(of_trainings, own)
    return message
