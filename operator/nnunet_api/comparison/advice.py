"""What to do about the reasons of a comparison."""

from collections.abc import Mapping

from nnunet_api.comparison.reasons import ComparisonReason
from nnunet_api.labels import COMPARISON_LABEL
from nnunet_api.reasons import Reason
from nnunet_api.remedies.remedy import MUTATIONS, Case, Group, Then
from nnunet_api.remedies.table import REMEDIES

RETRY = "To try again: set spec.suspend of the comparison to true, wait for phase Suspended, and set it to false."
_OWN = {
    ComparisonReason.WAITING_FOR_ARMS: "It goes on by itself once all of them are complete and proven.",
    ComparisonReason.ARM_FAILED: (
        "See kubectl nnunet explain NAME of that training; the comparison goes on by itself once it is complete."
    ),
    ComparisonReason.NOT_COMPARABLE: (
        "Name in spec.varies what is to differ, where it may, and train the others under the same conditions; then "
        "create a new comparison."
    ),
    ComparisonReason.ARM_CHANGED: (
        "What was registered can't be compared any more: create a new comparison with the trainings that are there."
    ),
    ComparisonReason.TRAINING_REFUSED: (
        "Put right what stands in the way; it is tried again every minute, and nothing of the template trains before "
        "all of it can. Template and patches can't change: where they are wrong, create the comparison anew."
    ),
}
_SHARED = {
    Reason.WAITING_FOR_QUEUE: (
        "The queue is spec.queueName of the comparison, or of the baseline's first training. Wait for its turn. If "
        "that never comes, see the Workloads of the namespace (kubectl describe workloads.kueue.x-k8s.io), and put the "
        f"queue right. {RETRY}"
    ),
    Reason.OUT_OF_MEMORY: f"Raise spec.resources.memory of the comparison. {RETRY}",
    Reason.OUTCOME_LOST: RETRY,
    Reason.RETRIES_EXHAUSTED: f"See the log of the last attempt. {RETRY}",
    Reason.PODS_LOST: (
        "See what ended its pods (kubectl get events, kubectl describe node NODE). Where a rule of the cluster changes "
        f"Jobs or ends them, have what has the label {COMPARISON_LABEL} left out of it. {RETRY}"
    ),
    Reason.INVALID_SPEC: (
        "Save it (kubectl get nnc with -o yaml), and put right the field that is named; where that may not change, "
        "create the comparison anew. It is tried again when it changes."
    ),
    Reason.WRONG_DATA: "The scores of a run are no longer those that its evaluation reported.",
}
"""Reasons that trainings have, too."""
_FIELDS = (
    "limits.cpu is spec.resources.cpuLimit of the comparison, at least spec.resources.cpu; ephemeral-storage is "
    "spec.resources.ephemeralStorage; memory is spec.resources.memory"
)
_TEMPLATE = "spec.podTemplate of the baseline's first training"
"""Where the placement, pull secrets and security context of the comparison's pod come from: it has none of its own."""
_EXEMPT = f"have what has the label {COMPARISON_LABEL} left out of it ({MUTATIONS})"
_BY_CASE: Mapping[tuple[str, str], str] = {
    (Reason.WAITING_FOR_RESOURCES, ""): (
        "It starts as soon as a node has room. If no node is that large, ask for less in spec.resources of the "
        f"comparison. {RETRY}"
    ),
    (Reason.WAITING_FOR_RESOURCES, Case.NODE_LABELS): (
        f"No free node has the labels that {_TEMPLATE}, the ResourceFlavor of its queue, or a volume asks for: it "
        f"starts as soon as there is one. Or put nodeSelector or affinity right there. {RETRY}"
    ),
    (Reason.WAITING_FOR_RESOURCES, Case.NODE_TAINTS): (
        "See kubectl get nodes. What is NotReady, or short of disk or memory (kubectl describe nodes), has to be put "
        "right; SchedulingDisabled goes by kubectl uncordon NODE: it goes on by itself after that. For taints that "
        f"keep nodes for some pods see tolerations in {_TEMPLATE}; or ask for less in spec.resources of the "
        f"comparison, where other nodes lack room. {RETRY}"
    ),
    (Reason.WAITING_FOR_RESOURCES, Case.FOREIGN_RESOURCE): (
        "The comparison does not ask for the resource that is named: a rule of the cluster has put it into its pod "
        f"({MUTATIONS}). Wait until some is free, or ask who runs the cluster. {Then.BY_ITSELF.value}"
    ),
    (Reason.CLAIM_NOT_BOUND, ""): (
        "Give the claim a StorageClass that can provide a volume, or a volume that matches; who runs the cluster knows "
        f"which. {Then.BY_ITSELF.value}"
    ),
    (Reason.CLAIM_NOT_BOUND, Case.CLAIM_MISSING): (
        "The PersistentVolumeClaim that is named holds the results of an arm: restore it with what was on it. "
        f"{Then.BY_ITSELF.value}"
    ),
    (Reason.VOLUME_UNAVAILABLE, ""): (
        "See whether another node holds the volume: one without the access mode ReadWriteMany is free when the pods "
        "there have ended, and volumes of several claims have to be reached from one node. If the storage is down, its "
        f"people have to mend it. {Then.BY_ITSELF.value}"
    ),
    (Reason.IMAGE_UNAVAILABLE, ""): (
        "See that the registry has the image that is named, which is the chart's trainer.image, and that "
        f"imagePullSecrets in {_TEMPLATE}, or those of the chart, let the node pull it. Where the image itself is "
        f"mended, it goes on by itself. {RETRY}"
    ),
    (Reason.IMAGE_UNAVAILABLE, Case.SIGNATURE): (
        "Have the image that is named, which is the chart's trainer.image, signed by a key that the policy of the "
        f"nodes takes, or ask who runs the cluster to have it take the image's. {Then.BY_ITSELF.value}"
    ),
    (Reason.POD_REJECTED, Case.ABSENT): (
        "Create the ServiceAccount, PriorityClass or RuntimeClass that is named, after which it goes on by itself, or "
        f"put its name in {_TEMPLATE} right. {RETRY}"
    ),
    (Reason.POD_REJECTED, Case.INVALID): (
        f"Unless a webhook has put the value there, it comes from {_TEMPLATE}, or from spec.resources of the "
        "comparison: change it there. What the message calls spec.template.spec.tolerations is tolerations of that "
        f"podTemplate, and so on. {RETRY}"
    ),
    (Reason.POD_REJECTED, Case.POD_SECURITY): (
        "Have the namespace's Pod Security level changed, after which it goes on by itself, or change "
        f"securityContext in {_TEMPLATE}: empty where the cluster assigns users, as OpenShift does; for all trainings "
        f"there is the chart's trainer.securityContext. {RETRY}"
    ),
    (Reason.CONTAINER_CONFIG_ERROR, ""): f"Ask who runs the cluster about what is named. {Then.BY_ITSELF.value}",
    (Reason.CONTAINER_CONFIG_ERROR, Case.FOLDERS): (
        "The folder of a run is gone from its claim, or the node may not enter one above it (NFS with root_squash: "
        f"give it o+x). Restore it. {Then.BY_ITSELF.value}"
    ),
    (Reason.CONTAINER_CONFIG_ERROR, Case.CHANGED): (
        f"A rule of the cluster changes the comparison's pod in a way that it can't work with: {_EXEMPT}. {RETRY}"
    ),
    (Reason.CONTAINER_CONFIG_ERROR, Case.DEADLINE): (
        f"A rule of the cluster sets activeDeadlineSeconds, which the operator never does: {_EXEMPT}. {RETRY}"
    ),
    (Reason.CONTAINER_CONFIG_ERROR, Case.EVICTED): (
        "Raise the limit that is named: ephemeral-storage is spec.resources.ephemeralStorage of the comparison, or "
        "where that is not given the default of a LimitRange (kubectl -n {namespace} describe limitranges). Where the "
        f"node was low on a resource, see which pod filled it. {RETRY}"
    ),
    (Reason.CONTAINER_CONFIG_ERROR, Case.PROFILE): (
        "Have the nodes on which it may run given what is named (a profile of seccomp or AppArmor, a container runtime "
        "that knows supplementalGroupsPolicy or user namespaces), after which it goes on by itself, or put "
        f"securityContext or hostUsers right in {_TEMPLATE}, or the chart's trainer.securityContext. {RETRY}"
    ),
    (Reason.SIDECAR_RUNNING, ""): (
        "Have the container left out of the comparison's pod, or injected as a native sidecar, which ends with the "
        f"comparison: {_EXEMPT}. {RETRY}"
    ),
    (Reason.CHILD_NOT_OWNED, ""): (
        "Delete that Job if nobody needs it (kubectl -n {namespace} delete job NAME): the comparison goes on by itself "
        "after that. Or create it under another name."
    ),
    (Reason.CHILD_NOT_OWNED, Case.OTHER_TRAINING): "Create the comparison under another name.",
    (Reason.CHILD_NOT_OWNED, Case.MANAGED): (
        "The outcome of pods in another cluster can't be read: use a LocalQueue whose ClusterQueue has no admission "
        f"check of MultiKueue. {RETRY}"
    ),
    (Reason.POD_REJECTED, Case.UNSPECIFIED): (
        f"A quota or LimitRange asks for what the comparison leaves open. Give it: {_FIELDS}. {RETRY}"
    ),
    (Reason.POD_REJECTED, Case.LIMITS): (
        "A LimitRange of the namespace (kubectl -n {namespace} describe limitranges) bounds what a container asks for, "
        "or gives it a limit. Have it changed, after which the comparison goes on by itself, or change spec.resources: "
        f"{_FIELDS}. {RETRY}"
    ),
    (Reason.POD_REJECTED, Case.QUOTA): (
        "Have the namespace's quota raised, or free some of it: it goes on by itself after that. Or ask for less in "
        f"spec.resources of the comparison. {RETRY}"
    ),
}


def advice(reason: str, case: str, name: str, namespace: str) -> str:
    """Return what to do about a reason; empty where the matter says all, or for a reason of another version."""
    if reason in _OWN:
        return _OWN[ComparisonReason(reason)]
    if case in (Case.TOLD, Case.SAID):
        return "" if case == Case.SAID else RETRY
    if reason in _SHARED:
        return _SHARED[Reason(reason)]
    if own := _BY_CASE.get((reason, case)):
        return own.format(namespace=namespace)
    row = REMEDIES.get(reason)
    if row is None:
        return ""
    todo = row.cases.get(case, row.todo).format(name=name, namespace=namespace)
    then = {Group.WAITS: Then.BY_ITSELF.value, Group.FAILED: RETRY}.get(row.group, "")
    return " ".join(part for part in (todo, then) if part)
