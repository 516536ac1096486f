"""What there is to know of a reason: what it means, what to do, where to look. The rows are in `api.remedies`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from nnunet_api.conditions import MAX_MESSAGE

ASK_FOR_EXCEPTION = "ask those who may write policies for an exception"
LOOK_FOR_STALL = (
    "Look for a dead data-loader worker, a full /dev/shm (raise spec.resources.sharedMemory) or a hanging volume."
)

SEE_NODE = (
    "Have the node that is named looked at, with its device plugin (kubectl describe node NODE); until it is well, "
    "kubectl cordon NODE keeps pods off it."
)
SEE_EVICTION = (
    "Raise the limit that is named: ephemeral-storage is spec.resources.ephemeralStorage (for pods without a GPU "
    "spec.resources.preprocessing.ephemeralStorage), or where that is not given the default of a LimitRange (kubectl "
    '-n {namespace} describe limitranges); a full /dev/shm is spec.resources.sharedMemory, and volume "local" is '
    "spec.storage.preprocessed.localCopy. A pod that runs keeps what "
    "it has until the training is suspended and resumed. Where the node was low on a resource, see which pod filled it."
)
MUTATIONS = "kubectl get mutatingwebhookconfigurations,mutatingadmissionpolicies"
"""Shows what changes pods when they are made."""
SEE_CHANGED = (
    "A rule of the cluster changes the pods of this operator in a way that it can't work with: have what has the label "
    f"nnunet.dev/training left out of it ({MUTATIONS})."
)
SEE_DEADLINE = (
    "A rule of the cluster sets activeDeadlineSeconds, which the operator never does: have what has the label "
    "nnunet.dev/training left out of it. A fold goes on from its checkpoint, where the time suffices for some epochs, "
    "but what ends pod after pod ends the training at last."
)
SEE_PROFILE = (
    "Have the nodes on which the training may run given what is named (a profile of seccomp or AppArmor, a container "
    "runtime that knows supplementalGroupsPolicy or user namespaces), or put spec.podTemplate.securityContext or "
    "hostUsers right, which is taken up at once, or the chart's trainer.securityContext."
)
SEE_INJECTED = "A webhook of the cluster put this container into the pod: ask who runs the cluster."


class Group(StrEnum):
    """What a reason says about the training as a whole."""

    WORKS = "At work"
    WAITS = "Waiting"
    """Something outside has to change first."""
    HELD = "Held by a policy"
    SUSPENDED = "Suspended"
    FAILED = "Failed"
    COMPLETE = "Complete"
    STALLS = "Not getting on"
    """It runs, and yet does not get on."""
    SLOW = "Slower than it could be"
    """It trains, and its GPU stands idle for much of the time."""
    ASIDE = "Told beside it"
    """It tells of one side of a training, and never leads."""


class Then(StrEnum):
    """How a training goes on after what was to do was done; in the words that everybody gets."""

    NOTHING = ""
    BY_ITSELF = "It goes on by itself after that; no retry is used up."
    RETRY = (
        "To try again (finished folds stay finished, the others go on from their last checkpoints): kubectl nnunet "
        "suspend {name} -n {namespace}, then kubectl nnunet resume {name} -n {namespace}; that is, set spec.suspend to "
        "true, wait for phase Suspended, and set it to false."
    )
    ANEW = (
        "What a training computes can't change after creation: delete this training and create one that is put right. "
        "Before that, kubectl nnunet lint FILE checks what can be known without the image and the data."
    )


class Case(StrEnum):
    """What the operator knows beyond the reason, where that makes something else the thing to do."""

    TOLD = "Told"
    """What is the matter, in the trainer's own words, says what to do."""
    SAID = "Said"
    """What is the matter, as another version put it, says all."""
    JOB_SUSPENDED = "JobSuspended"
    """Somebody has suspended the Job, and it is in no queue."""
    QUEUE_MISSING = "QueueMissing"
    QUEUE_STOPPED = "QueueStopped"
    QUEUE_WITHOUT_RESOURCE = "QueueWithoutResource"
    """The ClusterQueue has no quota for a resource that the Job asks for."""
    QUEUE_TOO_SMALL = "QueueTooSmall"
    """The Job asks for more than the ClusterQueue has in all."""
    QUEUE_FLAVOR = "QueueFlavor"
    """The nodes of the ClusterQueue's flavours are not those that the pods ask for."""
    QUEUE_CLOSED = "QueueClosed"
    """The ClusterQueue does not take Jobs of the namespace."""
    QUEUE_LIMITS = "QueueLimits"
    """Kueue would admit pods that a LimitRange of the namespace forbids."""
    QUEUE_CHECK = "QueueCheck"
    """An admission check of the ClusterQueue has not let it through."""
    QUEUE_CHECK_REJECTED = "QueueCheckRejected"
    """An admission check of the ClusterQueue has rejected it, for good."""
    QUEUE_DEVICES = "QueueDevices"
    """Kueue can't count the devices of its ResourceClaimTemplate."""
    PODS_TOO_SLOW = "PodsTooSlow"
    """Kueue has taken its admission back, as its pod did not start in time."""
    QUEUE_UNNAMED = "QueueUnnamed"
    """Kueue holds back Jobs that name no queue."""
    QUEUE_CHANGED = "QueueChanged"
    """The Job stands in another queue than the training names."""
    DEACTIVATED = "Deactivated"
    """Kueue, or somebody, has deactivated its Workload."""
    NO_WORKLOAD = "NoWorkload"
    """Kueue has taken no notice of the Job."""
    NO_QUEUES = "NoQueues"
    """There is no Kueue in the cluster."""
    NODE_LABELS = "NodeLabels"
    NODE_TAINTS = "NodeTaints"
    UNPLACED = "Unplaced"
    """No scheduler says anything of its pod."""
    NO_POD = "NoPod"
    """Nothing makes the pod of its Job."""
    FOREIGN_RESOURCE = "ForeignResource"
    """Its pod asks for a resource that the training does not ask for."""
    CLAIM_MISSING = "ClaimMissing"
    CLAIM_DELETED = "ClaimDeleted"
    """A claim is being deleted."""
    CLAIM_REFUSED = "ClaimRefused"
    """The API server refuses the claim that a pod has for itself."""
    UNCLAIMED = "Unclaimed"
    """There is no ResourceClaim of the template that it names."""
    DEVICES = "Devices"
    """No node has the devices that its ResourceClaim asks for."""
    INJECTED = "Injected"
    """It is about a container that a webhook of the cluster has put into the pod."""
    CHANGED = "Changed"
    """A rule of the cluster has changed what the operator asked for: a container's name, restartPolicy, ..."""
    DEADLINE = "Deadline"
    """A rule of the cluster limits how long the Job or its pod may take."""
    FOLDERS = "Folders"
    """It is about the container that makes the folders, or about a folder that is gone."""
    SIGNATURE = "Signature"
    """The node's policy on signatures refuses the image."""
    ON_NODE = "OnNode"
    """The kubelet can't start the pod."""
    SILENT_NODE = "SilentNode"
    """The node does not start the pod, and does not say why."""
    BY_NODE = "ByNode"
    """A node turns its pods away, or loses them."""
    EVICTED = "Evicted"
    """A node evicts its pods."""
    FINALIZER = "Finalizer"
    """The training is being deleted, and the finalizer of somebody else holds it."""
    OTHER_TRAINING = "OtherTraining"
    """What has the name that it needs is of another training."""
    WEBHOOK = "Webhook"
    QUOTA = "Quota"
    UNSPECIFIED = "Unspecified"
    """A quota or a LimitRange wants a request or a limit that the pod does not have."""
    LIMITS = "Limits"
    """A LimitRange does not allow what the pod asks for, or has put a limit beside it that is too low."""
    ABSENT = "Absent"
    """An object that spec.podTemplate names does not exist."""
    PROFILE = "Profile"
    """A node lacks what spec.podTemplate.securityContext, or hostUsers, asks for."""
    INVALID = "Invalid"
    """Kubernetes does not take a value that the training has passed on."""
    POD_SECURITY = "PodSecurity"
    RIGHTS = "Rights"
    """What makes it, the operator or Kubernetes, may not."""
    MANAGED = "Managed"
    """Another controller than Kubernetes' own makes the pods of its Job."""
    NO_EVIDENCE = "NoEvidence"
    """The verification has left nothing that can be believed."""
    EVIDENCE_GONE = "EvidenceGone"
    """The verification's pod is gone each time before its evidence is read."""
    POLICY_RAISED = "PolicyRaised"
    """The policies asked for less when it was trained."""
    POLICY_UNREADABLE = "PolicyUnreadable"
    VERIFIER_BY_TAG = "VerifierByTag"
    """A policy asks for digests, and the operator's own trainer image, which verifies, is a tag."""
    SLIPPED_IN = "SlippedIn"
    """Others have put into its pods what a policy forbids."""
    SLOW_VOLUME = "SlowVolume"
    """More workers would hardly help: those that there are wait as well, or are as many as anybody uses."""
    RESTARTED = "Restarted"
    """The operator restarts it by itself."""


@dataclass(frozen=True)
class Remedy:
    """What a person needs to know of a reason.

    In `todo`, `cases` and `then` {name} and {namespace} are filled in; in `look` {label} (of the training's pods) and
    {gpu} (its resource, for a JSONPath) as well.
    """

    group: Group
    meaning: str
    """What it means, a sentence without its capital and its full stop."""
    todo: str = ""
    then: Then = Then.NOTHING
    look: tuple[str, ...] = ()
    """Commands to look further, the best first."""
    cases: Mapping[str, str] = field(default_factory=dict)
    """By Case: what is to do in place of `todo`."""
    exit_code: int | None = None
    """Code with which the trainer ends for it."""

    @property
    def sentence(self) -> str:
        """What it means, as a sentence."""
        has_failed = "It has failed: " if self.group is Group.FAILED else ""
        code = f" (exit code {self.exit_code})" if self.exit_code else ""
        words = f"{has_failed}{self.meaning}{code}."
        return f"{words[0].upper()}{words[1:]}"

    def advice(self, case: str, name: str, namespace: str) -> str:
        """Return what to do about it for a training. A case of a newer version counts for none."""
        if case == Case.SAID:
            return ""
        todo = "" if case == Case.TOLD else self.cases.get(case, self.todo)
        text = " ".join(part for part in (todo, self.then.value) if part)
        return text.format(name=name, namespace=namespace)


def told(matter: str, *advice: str) -> str:
    """Return the message of a condition: what is the matter, and what to do.

    The only place where the two are joined; nothing takes them apart again. What is the matter is cut where it is too
    long, what to do never is.
    """
    todo = " ".join(dict.fromkeys(text for text in advice if text))
    if not todo:
        return matter
    room = MAX_MESSAGE - len(todo) - len(" ... ")
    if len(matter) > room:
        return f"{matter[:room]} ... {todo}"
    return f"{matter.rstrip('. ')}. {todo}"
