"""For each reason: what is the matter, what to do, and the commands to look further. A table."""

from dataclasses import dataclass

from nnunet_cli.concerns import EARLY_STOP_BELOW_POLICY
from nnunet_operator.api.base import GROUP
from nnunet_operator.api.labels import TRAINING_LABEL
from nnunet_operator.api.reasons import Reason


@dataclass(frozen=True)
class Remedy:
    """What a person needs to know of a reason. In all texts {name}, {namespace}, {label} (of its pods) and {gpu}
    (its resource, for a JSONPath) are filled in."""

    matter: str
    """What is the matter, a sentence; what the operator says is added to it."""
    todo: str
    look: tuple[str, ...]


_POD = f"kubectl -n {{namespace}} describe pods -l {TRAINING_LABEL}={{label}}"
_DESCRIBE = "kubectl -n {namespace} describe nnt {name}"
_LOGS = "kubectl nnunet logs {name} -n {namespace}"
_WATCH = "kubectl nnunet watch {name} -n {namespace}"
_QUOTA = "kubectl -n {namespace} describe resourcequota"
_CLAIMS = "kubectl -n {namespace} describe pvc"
_POLICIES = f"kubectl get nnunettrainingpolicies.{GROUP} -o yaml"
_AUDIT = "kubectl nnunet audit -n {namespace}"
_OPERATOR = (
    "kubectl get pods --all-namespaces -l app.kubernetes.io/name=nnunet-operator",
    "kubectl -n nnunet-system logs deployment/nnunet-operator --tail=50",
)
_LIST = "kubectl nnunet list -n {namespace}"

_BY_ITSELF = "It goes on by itself after that; no retry is used up."
_RETRY = (
    "To try again: kubectl nnunet suspend {name} -n {namespace}, then kubectl nnunet resume {name} -n {namespace}. "
    "Finished folds stay finished, the others go on from their last checkpoints."
)
_ANEW = (
    "What a training computes can't be changed: delete this one and create one that is put right. Check it before: "
    "kubectl nnunet lint FILE."
)
_EXCEPTION = "ask those who may write policies for an exception"

REMEDIES: dict[str, Remedy] = {
    # Something outside has to change first.
    Reason.WAITING_FOR_GPU: Remedy(
        "No node has a free GPU.",
        "Wait: it starts as soon as one is free. Or free one, by suspending another training: "
        "kubectl nnunet suspend OTHER. If no node has GPUs of the kind in spec.resources.gpuResourceName, change it, "
        "then suspend and resume.",
        (
            "kubectl nnunet list -A",
            "kubectl get nodes -o custom-columns='NAME:.metadata.name,GPUS:.status.allocatable.{gpu}'",
            _POD,
        ),
    ),
    Reason.WAITING_FOR_RESOURCES: Remedy(
        "No node has the CPU, the memory, the labels or the tolerated taints that it asks for.",
        "Wait, if nodes of that size are only busy. If none is that large, ask for less in spec.resources (kubectl "
        "edit nnt {name} -n {namespace}), or put spec.podTemplate right (nodeSelector, tolerations), then suspend and "
        "resume.",
        ("kubectl describe nodes", _POD),
    ),
    Reason.WAITING_FOR_QUEUE: Remedy(
        "Its Job is suspended from outside: the queue has not admitted it yet.",
        "Wait for its turn. If it never comes, look whether spec.queueName is a LocalQueue of the namespace, and "
        f"whether its ClusterQueue has enough quota. {_BY_ITSELF}",
        (
            "kubectl -n {namespace} describe localqueues.kueue.x-k8s.io",
            f"kubectl -n {{namespace}} describe workloads.kueue.x-k8s.io,jobs -l {TRAINING_LABEL}={{label}}",
        ),
    ),
    Reason.CLAIM_NOT_BOUND: Remedy(
        "A PersistentVolumeClaim does not exist or has no volume.",
        "Create the claim that is named, or give it a StorageClass that can provide a volume; who runs the cluster "
        f"knows which. {_BY_ITSELF}",
        (_CLAIMS, "kubectl get storageclasses"),
    ),
    Reason.VOLUME_UNAVAILABLE: Remedy(
        "A volume is bound and can't be attached to the node or mounted there.",
        "Look whether another node holds the volume: folds on several nodes need claims with the access mode "
        "ReadWriteMany. Or set spec.maxParallelFolds to 1. If the storage itself is down, its people have to mend it. "
        f"{_BY_ITSELF}",
        (_POD, _CLAIMS),
    ),
    Reason.IMAGE_UNAVAILABLE: Remedy(
        "The image of the trainer can't be pulled.",
        "Check its name and tag, whether the node reaches the registry, and spec.podTemplate.imagePullSecrets. The "
        "image is spec.trainer.image, or where that is empty (and for the verification) the chart's trainer.image: "
        "whoever changes that has to suspend and resume the training after it.",
        (_POD, "kubectl -n {namespace} get nnt {name} -o jsonpath='{{.spec.trainer.image}}'"),
    ),
    Reason.POD_REJECTED: Remedy(
        "The API server refuses to create its pod.",
        "If a quota is exceeded, have it raised or free some of it: suspend another training of the namespace. If it "
        "is Pod Security or another rule of admission, change spec.podTemplate, or ask who runs the cluster. "
        f"{_BY_ITSELF}",
        (_QUOTA, f"kubectl -n {{namespace}} describe jobs -l {TRAINING_LABEL}={{label}}"),
    ),
    Reason.CONTAINER_CONFIG_ERROR: Remedy(
        "Its node can't create the pod or its container.",
        "Put right what is named: usually a Secret or ConfigMap of spec.trainer.env that does not exist, a runtime "
        f"class or a subPath. {_BY_ITSELF}",
        (_POD,),
    ),
    Reason.CHILD_NOT_OWNED: Remedy(
        "A Job with a name that it needs exists and is not its own.",
        "Delete that Job if nobody needs it (kubectl -n {namespace} delete job NAME), or create the training under "
        f"another name. {_BY_ITSELF}",
        ("kubectl -n {namespace} get jobs --show-labels",),
    ),
    # Held by a policy.
    Reason.POLICY_DENIED: Remedy(
        "A policy forbids this training, and it has not begun.",
        "Delete it and create it anew with values that are allowed, which kubectl nnunet lint FILE checks beforehand; "
        f"or {_EXCEPTION}. With an exception it begins by itself.",
        (_DESCRIBE, _POLICIES),
    ),
    Reason.POLICY_CHANGED: Remedy(
        "It had begun, and is no longer allowed: a policy, an exception or a label of the namespace has changed, or an "
        "exception has ended. It stands at its last checkpoint and nothing is lost.",
        f"Ask those who may write policies what has changed, or {_EXCEPTION}. It goes on from its checkpoint by itself "
        "as soon as it is allowed.",
        (_DESCRIBE, _POLICIES, "kubectl get namespace {namespace} --show-labels"),
    ),
    Reason.POLICY_MISSING: Remedy(
        "Its namespace is clinical, and there nothing trains without a policy.",
        "Ask those who may write policies for one that selects namespace {namespace}; or if no model from here goes "
        "into clinical use, for taking the label nnunet.dev/clinical off it. It begins by itself after that.",
        (_POLICIES, "kubectl get namespace {namespace} --show-labels"),
    ),
    # Suspended.
    Reason.SUSPENDED_BY_USER: Remedy(
        "It is suspended: spec.suspend is true.",
        "Resume it; it goes on from its last checkpoint: kubectl nnunet resume {name} -n {namespace}",
        ("kubectl -n {namespace} get nnt {name} --show-managed-fields -o yaml", _DESCRIBE),
    ),
    # Failed.
    Reason.WRONG_CONFIGURATION: Remedy(
        "It has failed: it asks for a configuration, planner, trainer class or fold that does not exist or can't be "
        "used (exit code 64).",
        _ANEW,
        (_LOGS,),
    ),
    Reason.WRONG_DATA: Remedy(
        "It has failed: the dataset is missing, incomplete or inconsistent (exit code 65).",
        f"Put right the files that are named. {_RETRY}",
        (_LOGS, _CLAIMS),
    ),
    Reason.CHECKPOINT_UNUSABLE: Remedy(
        "It has failed: there are checkpoints of a fold and none of them loads (exit code 69).",
        f"Restore them from a backup, or delete the fold's folder to begin that fold again. {_RETRY}",
        (_LOGS, _DESCRIBE),
    ),
    Reason.EPOCHS_NOT_REACHED: Remedy(
        "It has failed: a fold ended without the epochs that were asked for, or its checkpoint does not prove them "
        "(exit code 70).",
        "Read evidence.json in the run folder. If a trainer class or an image ends early, create a new training "
        f"without it. {_RETRY}",
        (_LOGS + " --stage verify", _DESCRIBE),
    ),
    Reason.POLICY_EPOCHS_NOT_PROVEN: Remedy(
        "It has failed: its checkpoints prove fewer epochs than a policy asks for (exit code 70). It can't be complete "
        "under this policy.",
        f"Create a new training that trains them all, or {_EXCEPTION}. {_RETRY}",
        (_LOGS + " --stage verify", _AUDIT),
    ),
    Reason.STORAGE_FAILED: Remedy(
        "It has failed: a volume is full, over its quota or read-only, or may not be used (exit code 74).",
        f"Make room on it, or enlarge the claim, or give the files that are named to UID and GID 1000. {_RETRY}",
        (_CLAIMS, _LOGS),
    ),
    Reason.LOSS_NOT_FINITE: Remedy(
        "It has failed: again and again an epoch left weights that are no numbers (exit code 77).",
        "Create a new training with a lower spec.schedule.initialLearningRate, or check the data and a network of your "
        f"own. {_RETRY}",
        (_LOGS,),
    ),
    Reason.GPU_OUT_OF_MEMORY: Remedy(
        "It has failed: the network does not fit into the memory of the GPU (exit code 76).",
        "Give it a larger GPU (spec.resources.gpuResourceName, spec.podTemplate.nodeSelector), then try again; or "
        f"create a new training with a smaller spec.planning.gpuMemoryTargetGB. {_RETRY}",
        (_LOGS, "kubectl get nodes --show-labels"),
    ),
    Reason.OUT_OF_MEMORY: Remedy(
        "It has failed: a pod was killed at its memory limit (exit code 137).",
        f"Raise the field that is named, with kubectl edit nnt {{name}} -n {{namespace}}. {_RETRY}",
        (_POD, _LOGS),
    ),
    Reason.RETRIES_EXHAUSTED: Remedy(
        "It has failed: more attempts have failed than spec.retryLimit forgives.",
        f"Read the log of the last attempt for the cause, and put it right. {_RETRY}",
        (_LOGS, _LOGS + " --previous-attempts"),
    ),
    Reason.STALLED: Remedy(
        "It has failed: a fold stood still again and again.",
        "Look for a dead data-loader worker, a full /dev/shm (raise spec.resources.sharedMemory) or a volume that "
        f"hangs. {_RETRY}",
        (_LOGS, _POD),
    ),
    Reason.INVALID_SPEC: Remedy(
        "It has failed: the stored object is not valid for this operator. It was written under an older version of the "
        "API.",
        f"Save it (kubectl get nnt {{name}} -n {{namespace}} -o yaml), put right the field that is named. {_ANEW}",
        (_DESCRIBE,),
    ),
    # It runs, and yet does not get on.
    Reason.NO_EPOCH_FINISHED: Remedy(
        "It runs, but a fold has not finished an epoch for too long.",
        "Look at its log for a dead data-loader worker, a full /dev/shm (spec.resources.sharedMemory) or a volume that "
        "hangs. Deleting the pod lets the fold go on from its checkpoint; spec.restartOnStall: true does so by itself.",
        (_LOGS, _POD),
    ),
    # Nothing is wrong.
    Reason.STARTING: Remedy(
        "It is starting: Jobs and pods are being created, images pulled, containers started.",
        "Wait. A large image may take minutes on a node that has not had it before.",
        (_POD, _WATCH),
    ),
    Reason.PLANNING: Remedy(
        "It is at work: the dataset is being checked, planned and preprocessed.", "Nothing.", (_LOGS + " -f", _WATCH)
    ),
    Reason.TRAINING: Remedy("It is at work: it trains.", "Nothing.", (_WATCH, _LOGS + " -f")),
    Reason.VERIFYING: Remedy(
        "It is at work: the final checkpoints are read, to prove the epochs.", "Nothing.", (_LOGS + " -f", _WATCH)
    ),
    Reason.EVALUATING: Remedy("It is at work: the folds are being scored.", "Nothing.", (_LOGS + " -f", _WATCH)),
    Reason.STOPPING: Remedy(
        "Its pods are being stopped; each leaves after the checkpoint that it is writing.",
        "Wait. A pod on a node that does not answer stays until the node is back or is deleted.",
        (_POD, _WATCH),
    ),
    Reason.TRAINING_COMPLETE: Remedy(
        "It is complete.",
        "Nothing. The model is in the results claim, and plain nnUNetv2_predict uses it.",
        (_DESCRIBE, _AUDIT),
    ),
}
"""By the reason of the condition that says most."""

OF_FOLDS: dict[str, Remedy] = {
    Reason.LOSS_NOT_FINITE: Remedy(
        "It trains, and what it learns is worth little or nothing.",
        "Suspend it until the cause is found: kubectl nnunet suspend {name} -n {namespace}. If the loss was so from "
        "the first epochs on, look for NaN or infinite voxels in the raw data, or create a new training with a lower "
        "spec.schedule.initialLearningRate. If it came suddenly after many epochs, let it go on once from its last "
        "checkpoint: kubectl nnunet resume {name} -n {namespace}. If it comes back at other epochs, and on one node "
        "only, have that node's GPU checked.",
        (_LOGS, _POD, "kubectl nnunet curves {name} -n {namespace}"),
    ),
    EARLY_STOP_BELOW_POLICY: Remedy(
        "It trains, and it will fail: its checkpoints will prove fewer epochs than a policy asks for.",
        "Suspend it: kubectl nnunet suspend {name} -n {namespace}. If a trainer class or an image of your own ends "
        "early, create a new training without it. If fewer epochs are wanted, ask those who may write policies for an "
        "exception, and resume it then.",
        (_WATCH, _AUDIT, _POLICIES),
    ),
}
"""By what is wrong with folds that train."""

DELETING = Remedy(
    "It is being deleted.",
    "Wait until its pods have ended. If it stays for minutes, look at its finalizers and at pods on lost nodes.",
    ("kubectl -n {namespace} get nnt {name} -o yaml", _POD),
)
NEW = Remedy(
    "It was created a moment ago, and the operator has not looked at it yet.",
    "Wait a minute, and ask again.",
    (_DESCRIBE, _LIST),
)
NO_OPERATOR = Remedy(
    "No operator has looked at it, although it was created {age} ago: the operator does not run, can't reach the API "
    "server, or does not watch namespace {namespace}.",
    "Ask who runs the cluster to look at the operator. It picks the training up by itself when it is back.",
    _OPERATOR,
)
UNREADABLE = Remedy(
    "Its status can't be read by this program.",
    "Use a kubectl nnunet of the operator's version (kubectl nnunet --version).",
    (_DESCRIBE,),
)
UNKNOWN = Remedy(
    "The operator gives a reason that this program does not know.",
    "Do what the message says. A kubectl nnunet of the operator's version may know more.",
    (_DESCRIBE, *_OPERATOR[:1]),
)
LOOK_AT_OPERATOR = _OPERATOR


def without_retry(text: str) -> str:
    """Return the operator's words without how to try again: the remedies say that in commands."""
    return " ".join(text.split()).split(" To try again (", 1)[0].rstrip()
