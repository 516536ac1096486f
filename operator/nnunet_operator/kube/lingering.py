"""Pods that go on after their trainer has ended: another container in them runs, so neither pod nor Job ends."""

from dataclasses import dataclass
from datetime import datetime

from nnunet_api.reasons import Reason
from nnunet_operator.core.observation import Trouble
from nnunet_operator.kube.views import PodView

GRACE_SECONDS = 30.0
"""Time that the other containers have to end. It goes by the clocks of node and operator: where these differ, it is
shorter or longer by that, and none where the node's is ahead by more."""


@dataclass(frozen=True)
class Lingering:
    """A pod whose trainer has ended, and which other containers keep running."""

    pod: str
    containers: tuple[str, ...]
    seconds_left: float
    """Seconds until their time is over; 0 where it is."""

    @property
    def trouble(self) -> Trouble:
        """Why the child does not get on."""
        *others, last = self.containers
        kept = f"containers {', '.join(others)} and {last} keep" if others else f"container {last} keeps"
        return Trouble(
            Reason.SIDECAR_RUNNING, f"waits because {kept} pod {self.pod} running after the trainer has ended"
        )


def lingering(pod: PodView, now: datetime | None) -> Lingering | None:
    """Return what keeps a pod running whose trainer has ended, or None.

    Native sidecars are none: the kubelet ends them, within the pod's time for that.
    """
    ended = pod.termination
    if ended is None or pod.deleting or pod.phase in ("Succeeded", "Failed"):
        return None
    names = tuple(one.name for one in pod.containers if one.running)
    if not names:
        return None
    passed = (now - ended.finished).total_seconds() if now and ended.finished else GRACE_SECONDS
    if passed < -GRACE_SECONDS:  # a node whose clock is so far ahead tells nothing, and would be waited for
        passed = GRACE_SECONDS
    return Lingering(pod.name, names, min(GRACE_SECONDS, max(0.0, GRACE_SECONDS - passed)))
