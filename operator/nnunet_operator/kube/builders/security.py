"""As whom a pod runs: what the training says, or else the operator's settings, within the `restricted` standard."""

from collections.abc import Sequence

from nnunet_operator.core.training import Training
from nnunet_operator.kube.builders.mounts import Mount, may_own
from nnunet_operator.kube.builders.options import JobOptions
from nnunet_operator.kube.objects import Manifest

CONFINED: Manifest = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
"""Security context of each container."""


def security_context(training: Training, options: JobOptions, mounts: Sequence[Mount]) -> Manifest:
    """Return the security context of a pod that mounts these folders."""
    given = training.spec.pod_template.security_context or options.security
    owns = given.fs_group is not None and may_own(mounts, options)
    return {
        "runAsNonRoot": True,
        **(given if owns else given.model_copy(update={"fs_group": None})).to_pod(),
        "seccompProfile": {"type": "RuntimeDefault"},
    }
