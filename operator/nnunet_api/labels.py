"""Labels of children and the deterministic names that make creating them idempotent."""

import hashlib

from nnunet_api.base import GROUP
from nnunet_api.fold_key import FoldKey

TRAINING_LABEL = f"{GROUP}/training"
"""Name of the training (cut and hashed where longer than a label value may be)."""
COMPARISON_LABEL = f"{GROUP}/comparison"
"""Name of the comparison (cut and hashed where longer than a label value may be)."""
STAGE_LABEL = f"{GROUP}/stage"
"""On all Jobs and Pods of trainings and comparisons."""
FOLD_LABEL = f"{GROUP}/fold"
"""Name of the fold run."""
CONFIGURATION_LABEL = f"{GROUP}/configuration"
"""Its configuration, where the training has several."""
PREPROCESSED_LABEL = f"{GROUP}/preprocessed"
"""On the planning Job: MAKER of the folder in which it works (see `folders.preprocessed_folder`)."""
ASKED_FOR = f"{GROUP}/asked-for"
OPERATORS_SETTINGS = f"{GROUP}/operators-settings"
"""Annotations on Jobs: marks of what they were made for, by which it is seen that something else is asked for now."""
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY = "nnunet-operator"

STAGE_PLAN = "plan"
STAGE_FOLD = "fold"
STAGE_VERIFY = "verify"
STAGE_EVALUATE = "evaluate"
STAGE_COMPARE = "compare"
"""Of comparisons alone."""

MAX_LABEL = 63


def short_name(name: str, limit: int = MAX_LABEL) -> str:
    """Return `name`, or its head and a hash of the whole where it is longer than `limit` characters.

    The hash keeps two long names apart that differ only in their tails.
    """
    if len(name) <= limit:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: limit - 9].rstrip('-.')}-{digest}"


def job_name(training: str, stage: str, key: FoldKey | None = None) -> str:
    """Return the name of a child Job, at most 63 characters because Kubernetes repeats it in a label."""
    suffix = f"-{stage}-{key.job_suffix}" if key else f"-{stage}"
    # Dots are fine in the name of an object but not in a pod's host name, which derives from it.
    return short_name(training.replace(".", "-"), MAX_LABEL - len(suffix)) + suffix


def child_labels(training: str, stage: str, key: FoldKey | None = None) -> dict[str, str]:
    """Return the labels by which the operator finds the Jobs and Pods of a training, those of a fold run by `key`."""
    labels = {
        TRAINING_LABEL: short_name(training),
        STAGE_LABEL: stage,
        MANAGED_BY_LABEL: MANAGED_BY,
        "app.kubernetes.io/name": "nnunet-training",
        "app.kubernetes.io/instance": short_name(training),
    }
    if key:
        labels[FOLD_LABEL] = key.label
        if key.of_several:
            labels[CONFIGURATION_LABEL] = key.configuration
    return labels


def comparison_labels(comparison: str) -> dict[str, str]:
    """Return the labels by which the operator finds the Job and the Pods of a comparison."""
    return {
        COMPARISON_LABEL: short_name(comparison),
        STAGE_LABEL: STAGE_COMPARE,
        MANAGED_BY_LABEL: MANAGED_BY,
        "app.kubernetes.io/name": "nnunet-comparison",
        "app.kubernetes.io/instance": short_name(comparison),
    }
