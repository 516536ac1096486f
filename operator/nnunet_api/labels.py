"""Labels of children and the deterministic names that make creating them idempotent."""

import hashlib

from nnunet_api.base import GROUP

TRAINING_LABEL = f"{GROUP}/training"
"""Name of the training (cut and hashed where longer than a label value may be)."""
STAGE_LABEL = f"{GROUP}/stage"
FOLD_LABEL = f"{GROUP}/fold"
PREPROCESSED_LABEL = f"{GROUP}/preprocessed"
"""On the planning Job: MAKER of the folder in which it works (see `folders.preprocessed_folder`)."""
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY = "nnunet-operator"

STAGE_PLAN = "plan"
STAGE_FOLD = "fold"
STAGE_VERIFY = "verify"
STAGE_EVALUATE = "evaluate"

MAX_LABEL = 63


def short_name(name: str, limit: int = MAX_LABEL) -> str:
    """Return `name`, or its head and a hash of the whole where it is longer than `limit` characters.

    The hash keeps two long names apart that differ only in their tails.
    """
    if len(name) <= limit:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: limit - 9].rstrip('-.')}-{digest}"


def job_name(training: str, stage: str, fold: str = "") -> str:
    """Return the name of a child Job, at most 63 characters because Kubernetes repeats it in a label."""
    suffix = f"-{stage}-{fold}" if fold else f"-{stage}"
    # Dots are fine in the name of an object but not in a pod's host name, which derives from it.
    return short_name(training.replace(".", "-"), MAX_LABEL - len(suffix)) + suffix


def child_labels(training: str, stage: str, fold: str = "") -> dict[str, str]:
    """Return the labels by which the operator finds the Jobs and Pods of a training."""
    labels = {
        TRAINING_LABEL: short_name(training),
        STAGE_LABEL: stage,
        MANAGED_BY_LABEL: MANAGED_BY,
        "app.kubernetes.io/name": "nnunet-training",
        "app.kubernetes.io/instance": short_name(training),
    }
    if fold:
        labels[FOLD_LABEL] = fold
    return labels
