"""By what the objects of a kind are found together, and what of one is a reason to look again."""

import json

from nnunet_api.labels import COMPARISON_LABEL, TRAINING_LABEL, short_name
from nnunet_operator.kube.objects import Manifest
from nnunet_operator.kube.trim import trim_namespace
from nnunet_operator.runtime.informers.informer import name_of
from nnunet_operator.runtime.keys import Key

_OF_COMPARISON = "comparison/"
"""How the names of groups of comparisons begin: no label's value has a slash, so no training's group is one."""


def label_of(body: Manifest) -> str:
    """Return the name of the group of a Job or Pod, from the label that names its training or comparison."""
    labels = body["metadata"].get("labels") or {}
    if TRAINING_LABEL in labels:
        return str(labels[TRAINING_LABEL])
    return f"{_OF_COMPARISON}{labels.get(COMPARISON_LABEL, '')}"


def group_of(training: Key) -> Key:
    """Return the group of a training's Jobs and Pods."""
    return Key(training.namespace, short_name(training.name))


def comparison_group(comparison: Key) -> Key:
    """Return the group of a comparison's Job and Pods."""
    return Key(comparison.namespace, f"{_OF_COMPARISON}{short_name(comparison.name)}")


def label_of_comparison(body: Manifest) -> str:
    """Return what `label_of` returns of a comparison's Job and Pods, from the comparison itself."""
    return comparison_group(Key("", name_of(body))).name


def label_of_training(body: Manifest) -> str:
    """Return what `label_of` returns of a training's Jobs and Pods, from the training itself."""
    return short_name(name_of(body))


def policy_content(body: Manifest) -> tuple[str, str]:
    """Return what of a policy is a reason to judge anew. Its status, which we write, is none."""
    return str(body["metadata"]["uid"]), json.dumps(body["spec"], sort_keys=True)


def namespace_labels(body: Manifest) -> str:
    """Return the labels of a namespace by which policies may select."""
    return json.dumps(trim_namespace(body)["metadata"]["labels"], sort_keys=True)
