"""The kinds that several controllers read."""

import json

from nnunet_api.labels import COMPARISON_LABEL, STAGE_LABEL, TRAINING_LABEL, short_name
from nnunet_operator.kube.objects import Manifest
from nnunet_operator.kube.reading import job_view, pod_view
from nnunet_operator.kube.trim import trim_namespace, trim_resource, trim_training
from nnunet_operator.runtime.client.resources import (
    COMPARISONS,
    JOBS,
    NAMESPACES,
    PODS,
    POLICIES,
    TEST_SETS,
    TRAININGS,
)
from nnunet_operator.runtime.informers.informer import Informer, name_of
from nnunet_operator.runtime.informers.store import Text, View
from nnunet_operator.runtime.keys import Key
from nnunet_operator.runtime.summary import summarize, summarize_comparison, summarize_test_set

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


def _comparison(body: Manifest) -> str:
    return comparison_group(Key("", name_of(body))).name


def _short_name(body: Manifest) -> str:
    return short_name(name_of(body))


def _policy(body: Manifest) -> tuple[str, str]:
    """Return what of a policy is a reason to judge anew. Its status, which we write, is none."""
    return str(body["metadata"]["uid"]), json.dumps(body["spec"], sort_keys=True)


def _labels(body: Manifest) -> str:
    """Return the labels of a namespace by which policies may select."""
    return json.dumps(trim_namespace(body)["metadata"]["labels"], sort_keys=True)


KINDS = (
    Informer(POLICIES, Text(trim_resource), summarize=_policy, in_namespaces=False, needed=True),
    Informer(NAMESPACES, Text(trim_namespace), summarize=_labels, in_namespaces=False, needed=True),
    Informer(TRAININGS, Text(trim_training), _short_name, summarize),
    Informer(COMPARISONS, Text(trim_training), _comparison, summarize_comparison),
    Informer(TEST_SETS, Text(trim_resource), summarize=summarize_test_set),
    # The label that the Jobs and Pods of trainings and of comparisons share. What a Job came to that is deleted
    # as soon as it has ended counts, and so does what its pods have said.
    Informer(JOBS, View(job_view), label_of, outlives=lambda job: bool(job.ended), selector=STAGE_LABEL),
    Informer(PODS, View(pod_view), label_of, outlives=lambda pod: bool(pod.over), selector=STAGE_LABEL),
)
"""In the order in which they are listed."""
