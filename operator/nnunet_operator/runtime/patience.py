"""How long the operator waits for more of the same before it acts: one write then tells of all of it."""

from dataclasses import dataclass

from nnunet_operator.kube.slow import UNSEEN_SECONDS


@dataclass(frozen=True)
class Patience:
    """Waits in seconds. They are for a cluster's API server and its users; no setting changes them."""

    created: float = 1.5
    """From the creation of a Job to the status that tells of it: long enough for its pod to show, so that one write
    says all, and for the Jobs of other trainings that were applied at once to be created first."""
    children: float = 0.5
    """Changes of Jobs and Pods come in bursts, of which one look at the end sees the whole."""
    policies: float = 5.0
    """Trainings are applied by the hundred: one write of a policy's status tells of all of them."""
    relists: float = 2.0
    """Watches that start over do so together: one list answers all of them."""
    first_lists: float = 5.0
    """Time after the start in which the watches make their own first lists."""
    refused: float = 15.0
    """Least time between two requests of the watches for what the API server refuses or does not have (403, 404)."""
    errors: float = 15.0
    """The longest delay before an object is looked at again after errors in a row. Bounds how late an operator is when
    an API server comes back."""
    sign_of_life: float = 10.0
    """Age up to which the last answer of the API server says that it can be reached; then it is asked."""
    moment: float = 10.0
    """For how long an API server may say that it can't, before a status tells of it."""
    job_without_pod: float = 5.0
    """Age up to which a Job without a pod, or whose pod no scheduler has seen, is nothing to wonder about: the first
    status waits for it, and Events are not asked for. Where hundreds of trainings are applied at once their pods show
    after seconds, and a list of Events makes the API server read all of the namespace."""
    pod_not_started: float = 20.0
    """The same for a pod that has a node: volumes are attached and mounted, the image is pulled."""
    unseen: float = UNSEEN_SECONDS
    """Age from which it is told that a Job counts a pod which is not seen, or that no scheduler speaks of a pod."""
    pod_events: float = 15.0
    """How long is believed what Events said."""


USUAL = Patience()
