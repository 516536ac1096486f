"""What may stand in a training's way and has no row among the obstacles, and where it is tested."""

from collections.abc import Mapping

from nnunet_api.reasons import Reason
from nnunet_api.remedies.remedy import Case

_KUEUE = "tests/integration/kueue, which run a real Kueue, and tests/unit/kube/test_queues.py"
_KUEUES = (
    Case.QUEUE_MISSING,
    Case.QUEUE_STOPPED,
    Case.QUEUE_WITHOUT_RESOURCE,
    Case.QUEUE_TOO_SMALL,
    Case.QUEUE_FLAVOR,
    Case.QUEUE_CLOSED,
    Case.QUEUE_LIMITS,
    Case.QUEUE_CHECK,
    Case.QUEUE_CHECK_REJECTED,
    Case.QUEUE_DEVICES,
    Case.PODS_TOO_SLOW,
    Case.QUEUE_UNNAMED,
    Case.QUEUE_CHANGED,
    Case.DEACTIVATED,
    Case.NO_WORKLOAD,
)
ELSEWHERE: Mapping[tuple[Reason, str], str] = {
    (Reason.WAITING_FOR_QUEUE, ""): _KUEUE,
    **{(Reason.WAITING_FOR_QUEUE, case): _KUEUE for case in _KUEUES},
    (Reason.POD_REJECTED, ""): "tests/unit/kube/test_blocked.py: whatever else refuses a pod, in its words",
    (Reason.POD_REJECTED, Case.RIGHTS): "tests/unit/kube/test_blocked.py: its words alone tell it from other refusals",
    (
        Reason.WAITING_FOR_RESOURCES,
        Case.UNPLACED,
    ): "tests/unit/kube/test_blocked.py: a scheduler that is silent for half a minute",
    (
        Reason.WAITING_FOR_RESOURCES,
        Case.NO_POD,
    ): "tests/unit/kube/test_slow.py: a Job controller that is silent for half a minute",
    (Reason.NO_EPOCH_FINISHED, Case.RESTARTED): "tests/integration/runtime/test_trust.py: it lasts for a moment",
    (
        Reason.POLICY_DENIED,
        Case.POLICY_UNREADABLE,
    ): "tests/unit/runtime/test_policies.py: no schema admits such a policy",
    (
        Reason.POLICY_CHANGED,
        Case.POLICY_UNREADABLE,
    ): "tests/unit/runtime/test_policies.py: no schema admits such a policy",
    (
        Reason.POLICY_CHANGED,
        Case.VERIFIER_BY_TAG,
    ): "tests/unit/core/test_verifier.py: an operator that is installed anew by a tag",
    (
        Reason.POLICY_DENIED,
        Case.SLIPPED_IN,
    ): "tests/unit/core/test_slipped_in.py: an operator that ended before it could write that the training has begun",
    (Reason.POLICY_EPOCHS_NOT_PROVEN, Case.POLICY_RAISED): "tests/unit/core/test_policy.py",
    (
        Reason.PODS_LOST,
        Case.EVICTED,
    ): "tests/unit/kube/test_outside.py: Kubernetes waits for longer after each eviction",
    (Reason.PODS_LOST, ""): "tests/unit/core/test_renewals.py: the pauses between eleven Jobs take 50 minutes",
    (
        Reason.PODS_LOST,
        Case.DEADLINE,
    ): "tests/unit/core/test_renewals.py: the pauses between eleven Jobs take 50 minutes",
    (
        Reason.PODS_LOST,
        Case.CHANGED,
    ): "tests/unit/core/test_renewals.py: the pauses between eleven Jobs take 50 minutes",
    (
        Reason.PODS_LOST,
        Case.PROFILE,
    ): "tests/unit/core/test_renewals.py: the pauses between eleven Jobs take 50 minutes",
    (
        Reason.PODS_LOST,
        Case.INJECTED,
    ): "tests/unit/core/test_renewals.py: the pauses between eleven Jobs take 50 minutes",
}
"""What has no row, and where it is tested, or why it is not."""
