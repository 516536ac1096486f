"""As whom a pod runs: what the training says, or else the operator's settings, within the `restricted` standard."""

from collections.abc import Sequence

from nnunet_operator.core.training import Training
from nnunet_operator.kube.builders.mounts import Mount, owning_group
from nnunet_operator.kube.builders.options import JobOptions
from nnunet_operator.kube.objects import Manifest

CONFINED: Manifest = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
"""Security context of each container."""


def security_context(training: Training, options: JobOptions, mounts: Sequence[Mount]) -> Manifest:
    """Return the security context of a pod that mounts these folders.

    A training may ask for the group that its claims have anyway, or for none. With another one it would take the files
    of all others on them: so the pod is in that group, which reaches what has been the group's before, and the claim
    stays as it is. Where the cluster assigns users and groups, it is left out.
    """
    given, group = training.spec.pod_template.security_context, owning_group(training.namespace, mounts, options)
    if given is None:
        context = options.security.model_copy(update={"fs_group": group})
    elif given.fs_group in (None, group):
        context = given
    else:
        groups = [*given.supplemental_groups, given.fs_group] if options.security.run_as_user else []
        left = list(dict.fromkeys(groups)) or given.supplemental_groups
        context = given.model_copy(update={"fs_group": None, "supplemental_groups": left})
    return {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}, **context.to_pod()}
