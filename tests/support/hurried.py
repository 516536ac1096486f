"""How long Kubernetes' own Job controller waits in tests."""

import os

from tests.support.sizes import SOAK


def hurry_jobs() -> None:
    """Have the local clusters that this process starts wait a tenth as long in the Job controller.

    By itself it writes a Job's status a second after a change, and makes the next pod 10 s after one that failed: of a
    training with four stages that is most of what a test waits for. Soak tests have it as it is.
    """
    os.environ["KUBE_HURRIED_JOBS"] = "" if SOAK else "1"
