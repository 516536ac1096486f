"""All kinds. Whatever goes through them one by one goes through these: handlers, full lists, cache, queue, metrics."""

from collections.abc import Callable

from nnunet_api.labels import STAGE_LABEL
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
from nnunet_operator.runtime.controllers import comparisons, policies, test_sets, trainings
from nnunet_operator.runtime.controllers.parts import Parts
from nnunet_operator.runtime.informers.controller import Controller
from nnunet_operator.runtime.informers.groups import (
    label_of,
    label_of_comparison,
    label_of_training,
    namespace_labels,
    policy_content,
)
from nnunet_operator.runtime.informers.informer import Informer
from nnunet_operator.runtime.informers.store import Text, View
from nnunet_operator.runtime.summary import summarize, summarize_comparison, summarize_test_set

INFORMERS: tuple[Informer, ...] = (
    Informer(POLICIES, Text(trim_resource), summarize=policy_content, in_namespaces=False, needed=True),
    Informer(NAMESPACES, Text(trim_namespace), summarize=namespace_labels, in_namespaces=False, needed=True),
    Informer(TRAININGS, Text(trim_training), label_of_training, summarize),
    Informer(COMPARISONS, Text(trim_training), label_of_comparison, summarize_comparison),
    Informer(TEST_SETS, Text(trim_resource), summarize=summarize_test_set),
    # The label that the Jobs and Pods of trainings and of comparisons share. What a Job came to that is deleted
    # as soon as it has ended counts, and so does what its pods have said.
    Informer(JOBS, View(job_view), label_of, outlives=lambda job: bool(job.ended), selector=STAGE_LABEL),
    Informer(PODS, View(pod_view), label_of, outlives=lambda pod: bool(pod.over), selector=STAGE_LABEL),
)
"""Which objects are listed, watched and kept, in the order in which they are listed."""

CONTROLLERS: tuple[Callable[[Parts], Controller], ...] = (
    trainings.controller,
    policies.controller,
    comparisons.controller,
    test_sets.controller,
)
"""What is reconciled."""
