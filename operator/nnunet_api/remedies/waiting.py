"""Remedies of what keeps a training from running although nothing has failed."""

from collections.abc import Mapping

from nnunet_api.reasons import Reason
from nnunet_api.remedies.commands import CLAIMS, DESCRIBE, JOBS, NAMESPACE, PODS, POLICIES, QUOTA, WORKLOADS
from nnunet_api.remedies.remedy import (
    ASK_FOR_EXCEPTION,
    MUTATIONS,
    SEE_CHANGED,
    SEE_DEADLINE,
    SEE_EVICTION,
    SEE_INJECTED,
    SEE_NODE,
    SEE_PROFILE,
    Case,
    Group,
    Remedy,
    Then,
)

_LIMITS = (
    "limits.cpu is spec.resources.cpuLimit, at least spec.resources.cpu; ephemeral-storage is "
    "spec.resources.ephemeralStorage; memory is spec.resources.memory; for pods without a GPU the same fields under "
    "spec.resources.preprocessing"
)

WAITING: Mapping[str, Remedy] = {
    Reason.WAITING_FOR_GPU: Remedy(
        Group.WAITS,
        "no node has a free GPU",
        "Wait: it starts as soon as one is free. Or free one: kubectl nnunet suspend OTHER. If no node has GPUs of the "
        "kind in spec.resources.gpuResourceName, change it: what waits is made anew with it at once.",
        look=(
            "kubectl nnunet list -A",
            "kubectl get nodes -o custom-columns='NAME:.metadata.name,GPUS:.status.allocatable.{gpu}'",
            PODS,
        ),
        cases={
            Case.UNCLAIMED: "Create that ResourceClaimTemplate, which starts it at once, or put "
            "spec.resources.gpuClaimTemplateName right: what waits is made anew with it at once.",
            Case.DEVICES: "Wait: it starts as soon as such devices are free. Or free some: kubectl nnunet suspend "
            "OTHER. If kubectl get deviceclasses,resourceslices shows none of the class that the ResourceClaimTemplate "
            "in spec.resources.gpuClaimTemplateName asks for, name another: what waits is made anew with it at once.",
        },
    ),
    Reason.WAITING_FOR_RESOURCES: Remedy(
        Group.WAITS,
        "no node has the CPU, the memory, the labels or the tolerated taints that it asks for",
        "It starts as soon as a node has room. If no node is that large, ask for less in spec.resources: what waits is "
        "made anew with it at once.",
        look=("kubectl describe nodes", PODS),
        cases={
            Case.NODE_LABELS: "No free node has the labels that spec.podTemplate, the ResourceFlavor of its queue, or "
            "a volume asks for: put spec.podTemplate.nodeSelector or affinity right, which is taken up at once, or "
            "wait for such a node.",
            Case.UNPLACED: "A claim may wait for a provisioner that does not answer: kubectl -n {namespace} describe "
            "pvc tells. Else see whether the scheduler runs that the pod's schedulerName names.",
            Case.NODE_TAINTS: "See kubectl get nodes. What is NotReady, or short of disk or memory (kubectl describe "
            "nodes), has to be put right; SchedulingDisabled goes by kubectl uncordon NODE. For taints that keep nodes "
            "for some pods see spec.podTemplate.tolerations: a change is taken up at once. Where other nodes lack room "
            "it starts as soon as one has some; or ask for less in spec.resources.",
            Case.NO_POD: "See whether kube-controller-manager runs, which makes the pods of all Jobs (kubectl -n "
            "kube-system get pods,leases): who runs the cluster has to put it right.",
            Case.FOREIGN_RESOURCE: "The training does not ask for the resource that is named: a rule of the cluster "
            f"has put it into its pods ({MUTATIONS}). Wait until some is free, or ask who runs the cluster.",
        },
    ),
    Reason.WAITING_FOR_QUEUE: Remedy(
        Group.WAITS,
        "its Job is suspended, or its pod held back: the queue has not admitted it yet",
        "Wait for its turn. If it never comes, see whether spec.queueName is a LocalQueue of the namespace, and "
        "whether its ClusterQueue has enough quota.",
        Then.BY_ITSELF,
        (WORKLOADS, "kubectl -n {namespace} describe localqueues.kueue.x-k8s.io", JOBS, PODS),
        cases={
            Case.JOB_SUSPENDED: "The operator suspends no Job where spec.queueName is not set, and scales none down: "
            "resume it (its suspend is false then, its parallelism 1), or see what has changed it.",
            Case.QUEUE_MISSING: "Set spec.queueName to a LocalQueue of the namespace (kubectl -n {namespace} get "
            "localqueues.kueue.x-k8s.io): what waits is made anew in it. Or have the queue made that is named.",
            Case.QUEUE_STOPPED: "Ask who runs the queues: kubectl describe clusterqueues.kueue.x-k8s.io, or kubectl -n "
            "{namespace} describe localqueues.kueue.x-k8s.io, says why it is stopped. Or set spec.queueName to another "
            "LocalQueue: what waits is made anew in it.",
            Case.QUEUE_WITHOUT_RESOURCE: "Ask who runs the queues to give the ClusterQueue quota for the resource "
            "(every Job asks for cpu and memory, beside GPUs), or to have Kueue leave it out "
            "(resources.excludeResourcePrefixes of its configuration).",
            Case.QUEUE_TOO_SMALL: "Ask for less in spec.resources (preprocessing and verification: "
            "spec.resources.preprocessing): what waits is made anew. Or ask who runs the queues for more.",
            Case.QUEUE_FLAVOR: "Put spec.podTemplate right (nodeSelector, affinity, tolerations against the queue's "
            "ResourceFlavors): what waits is made anew.",
            Case.QUEUE_CLOSED: "Ask who runs the queues to have the ClusterQueue's namespaceSelector take namespace "
            "{namespace}. Or set spec.queueName to another LocalQueue: what waits is made anew in it.",
            Case.QUEUE_LIMITS: "A LimitRange of the namespace (kubectl -n {namespace} describe limitranges) does "
            "not allow what it asks for. Have it changed, or change spec.resources, and what waits is made anew: "
            f"{_LIMITS}.",
            Case.QUEUE_CHECK: "Wait: a check of the ClusterQueue decides when its Jobs may start, such as one that "
            "asks for nodes (kubectl -n {namespace} get provisioningrequests). If it lasts, ask who runs the queues: "
            "kubectl describe admissionchecks.kueue.x-k8s.io.",
            Case.QUEUE_CHECK_REJECTED: "Kueue does not take it back by itself. Ask who runs the queues about the check "
            "(kubectl describe admissionchecks.kueue.x-k8s.io; one that asks for nodes: kubectl -n {namespace} "
            "describe provisioningrequests). Then change spec.resources or spec.podTemplate to what can be had, or "
            "spec.queueName: what waits is made anew. Where nothing of the training has to change, suspend and resume.",
            Case.QUEUE_DEVICES: "Ask who runs the queues to have Kueue count those devices (deviceClassMappings of its "
            "configuration). Or take spec.resources.gpuClaimTemplateName out: what waits is made anew.",
            Case.PODS_TOO_SLOW: "Kueue admits it again by itself after a pause that grows, and may give it up at last. "
            "See what keeps its pods from starting in that time (kubectl -n {namespace} get events): an image that "
            "takes long to pull, a node, a claim. Or ask who runs the queues for more time (waitForPodsReady).",
            Case.QUEUE_UNNAMED: "Set spec.queueName to a LocalQueue of the namespace (kubectl -n {namespace} get "
            "localqueues.kueue.x-k8s.io): what waits is made anew in it.",
            Case.QUEUE_CHANGED: "Its Job stands in another queue than spec.queueName names. Suspend and resume the "
            "training, and its Jobs are made in that one; or wait for its turn where it stands.",
            Case.DEACTIVATED: "See what deactivated it (a limit on the pods' start or on the time of the Job, or a "
            "person), then suspend and resume: new Jobs have Workloads that are active.",
            Case.NO_WORKLOAD: "See whether Kueue runs, whether it manages Jobs (integration batch/job) in this "
            "namespace, and whether the WorkloadPriorityClass or PriorityClass exists that is named. Where it is gone, "
            "have it made again, or name another in spec.queuePriorityClassName or spec.podTemplate.priorityClassName: "
            "what waits is made anew. That of verification and evaluation may be the chart's "
            "settings.finishingPriorityClass. Or take spec.queueName out: what waits is made anew without a queue.",
            Case.NO_QUEUES: "Take spec.queueName out: what waits is made anew. Or have Kueue installed.",
        },
    ),
    Reason.WAITING_FOR_WEIGHTS: Remedy(
        Group.WAITS,
        "the training whose weights it begins with is not there, or not complete",
        "Wait until it is complete, or see what stands in its way (kubectl nnunet explain OTHER). Where the name or "
        "the fold in spec.initialWeights is wrong, which can't change, delete this training and create it anew.",
        Then.BY_ITSELF,
        ("kubectl nnunet list",),
    ),
    Reason.CLAIM_NOT_BOUND: Remedy(
        Group.WAITS,
        "a PersistentVolumeClaim does not exist or has no volume",
        "Give the claim a StorageClass that can provide a volume, or a volume that matches; who runs the cluster knows "
        "which. That of a claim whose name ends with -local is spec.storage.preprocessed.localCopy.claim, a change of "
        "which is taken up at once.",
        Then.BY_ITSELF,
        (CLAIMS, "kubectl get storageclasses"),
        cases={
            Case.CLAIM_MISSING: "Create the PersistentVolumeClaim that is named. Where its name in spec.dataset or "
            "spec.storage is wrong, which can't change, delete this training and create it anew.",
            Case.CLAIM_DELETED: "The claim that is named was deleted, and is gone as soon as no pod uses it, with its "
            "data unless its volume is kept. That can't be taken back: copy what you need while a pod still uses it, "
            "then create the claim again.",
            Case.CLAIM_REFUSED: "Have the namespace's quota on storage, or its LimitRange, allow it where one is named "
            "(kubectl -n {namespace} describe resourcequotas,limitranges), else ask who runs the cluster about what is "
            "named. Or change spec.storage.preprocessed.localCopy (the size of its claim, or none), which is taken up "
            "at once.",
        },
    ),
    Reason.VOLUME_UNAVAILABLE: Remedy(
        Group.WAITS,
        "a volume is bound and can't be attached to the node or mounted there",
        "See whether another node holds the volume: folds on several nodes need claims with the access mode "
        "ReadWriteMany, or spec.maxParallelFolds 1. If the storage is down, its people have to mend it.",
        Then.BY_ITSELF,
        (PODS, CLAIMS),
    ),
    Reason.IMAGE_UNAVAILABLE: Remedy(
        Group.WAITS,
        "the image of the trainer can't be pulled",
        "See that the registry has the image that is named, and that spec.podTemplate.imagePullSecrets let the node "
        "pull it (a change is taken up at once). A wrong spec.trainer.image can't change: delete this training and "
        "create it anew. Where that is empty, and for the verification, the image is the chart's trainer.image; a run "
        "that has begun keeps the one that it began with, so the registry has to keep it, too.",
        Then.BY_ITSELF,
        (PODS, "kubectl -n {namespace} get nnt {name} -o jsonpath='{{.spec.trainer.image}}'"),
        cases={
            Case.FOLDERS: "Check the chart's trainer.image, which makes the folders, the registry, and "
            "spec.podTemplate.imagePullSecrets.",
            Case.SIGNATURE: "Have the image that is named signed by a key that the policy of the nodes takes, or ask "
            "who runs the cluster to have it take the image's. Where spec.trainer.image is a wrong one, which can't "
            "change, delete this training and create it anew.",
            Case.INJECTED: SEE_INJECTED,
        },
    ),
    Reason.POD_REJECTED: Remedy(
        Group.WAITS,
        "the API server refuses to create its pod",
        "Ask who runs the cluster about what is named.",
        Then.BY_ITSELF,
        (QUOTA, JOBS),
        cases={
            Case.RIGHTS: "The account that is named lacks the right. Where it is the operator's, have its chart "
            "installed anew (helm upgrade), which grants all that it needs.",
            Case.WEBHOOK: "A webhook of the cluster does not answer: ask who runs the cluster.",
            Case.QUOTA: "Have the namespace's quota raised, free some of it (suspend another training), or ask for "
            "less in spec.resources.",
            Case.UNSPECIFIED: f"A quota or LimitRange asks for what the training leaves open. Give it: {_LIMITS}.",
            Case.LIMITS: "A LimitRange of the namespace (kubectl -n {namespace} describe limitranges) bounds what a "
            f"container asks for, or gives it a limit. Have it changed, or change spec.resources: {_LIMITS}.",
            Case.ABSENT: "Create the ServiceAccount, PriorityClass or RuntimeClass that is named, or put its name in "
            "spec.podTemplate right.",
            Case.INVALID: "The value comes from this training, unless a webhook has put it there: change it in "
            "spec.podTemplate or spec.resources. What the message calls spec.template.spec.tolerations is "
            "spec.podTemplate.tolerations, and so on. A field that can't change needs a new training.",
            Case.POD_SECURITY: "Change spec.podTemplate, or have the namespace's Pod Security level changed. Where the "
            "cluster assigns users, as OpenShift does, leave them to it by an empty spec.podTemplate.securityContext, "
            "or for all trainings by the chart's trainer.securityContext.",
        },
    ),
    Reason.CONTAINER_CONFIG_ERROR: Remedy(
        Group.WAITS,
        "its node can't create the pod or its container, or a container of others keeps the trainer from starting",
        "Put right what is named: usually a Secret or ConfigMap that spec.trainer.env or spec.podTemplate.volumes name "
        "and that does not exist or lacks the key. Create it; spec.trainer.env can't change.",
        Then.BY_ITSELF,
        (PODS,),
        cases={
            Case.FOLDERS: "A folder of the training is gone from its claim, or the node may not enter one above it "
            "(NFS with root_squash: give it o+x). Suspend and resume the training to have its folders made again.",
            Case.INJECTED: SEE_INJECTED,
            Case.CHANGED: SEE_CHANGED,
            Case.DEADLINE: SEE_DEADLINE,
            Case.BY_NODE: SEE_NODE,
            Case.EVICTED: SEE_EVICTION,
            Case.PROFILE: SEE_PROFILE,
            Case.ON_NODE: "The kubelet tries again by itself; if it lasts, ask who runs the cluster.",
            Case.SILENT_NODE: "It may still pull a large image: see kubectl -n {namespace} describe pods. Else have "
            "the node that is named looked at (kubectl describe node NODE): its kubelet may be away, or wait for a "
            "volume. kubectl cordon NODE keeps other pods off it. To have this one elsewhere, have the node drained, "
            "or its Node deleted where it does not come back; a pod that is deleted by hand may use up a retry.",
        },
    ),
    Reason.SIDECAR_RUNNING: Remedy(
        Group.WAITS,
        "the trainer has ended, and another container of its pod has not, so the pod goes on and holds what it has",
        "Have the container left out of the pods (for Istio spec.podTemplate.annotations with "
        "sidecar.istio.io/inject: 'false'; the verification gets no annotations: exempt pods with the label "
        "nnunet.dev/stage=verify, or the namespace), or injected as a native sidecar, which ends with the trainer. "
        "A change of spec.podTemplate is taken up at once; after any other suspend and resume. What is done is not "
        "done again.",
        Then.BY_ITSELF,
        (PODS,),
    ),
    Reason.CHILD_NOT_OWNED: Remedy(
        Group.WAITS,
        "a Job with a name that it needs exists and is not its own, or its pods are made by somebody else",
        "Delete that Job if nobody needs it (kubectl -n {namespace} delete job NAME): the training goes on by itself "
        "after that. Or create it under another name.",
        look=("kubectl -n {namespace} get jobs --show-labels",),
        cases={
            Case.OTHER_TRAINING: "Delete this training and create it under another name.",
            Case.MANAGED: "Progress and evidence of pods in another cluster can't be read: use a LocalQueue whose "
            "ClusterQueue has no admission check of MultiKueue, then suspend and resume.",
        },
    ),
}

_NOT_FOR_ITS_OWNER: Mapping[str, str] = {
    Case.POLICY_UNREADABLE: "Ask those who may write policies to put it right, or upgrade the operator.",
    Case.VERIFIER_BY_TAG: "Ask who runs the operator to give its trainer image by digest (trainer.image.digest of the "
    f"chart), or {ASK_FOR_EXCEPTION}. It goes on by itself after that.",
    Case.SLIPPED_IN: f"Ask who runs the cluster which webhook puts that into pods ({MUTATIONS}), and to exempt pods "
    "with the label nnunet.dev/training from it; then delete the training and create it anew, as what has run stays "
    "what it is. Or ask those who may write the policy to allow it (allowedEnv, allowedImages), or for an exception: "
    "it goes on by itself after that.",
}

HELD: Mapping[str, Remedy] = {
    Reason.POLICY_DENIED: Remedy(
        Group.HELD,
        "a policy forbids this training, and it has not begun",
        "Delete it and create it anew with values that are allowed (kubectl nnunet lint FILE checks them), or "
        f"{ASK_FOR_EXCEPTION}. With an exception it begins by itself.",
        look=(DESCRIBE, POLICIES),
        cases=_NOT_FOR_ITS_OWNER,
    ),
    Reason.POLICY_CHANGED: Remedy(
        Group.HELD,
        "it had begun, and is no longer allowed: a policy, an exception or a label of the namespace has changed, an "
        "exception has ended, or others have put into its pods what a policy forbids. It stands at its last checkpoint "
        "and nothing is lost",
        f"Ask those who may write policies what has changed, or {ASK_FOR_EXCEPTION}. It goes on from its checkpoint by "
        "itself as soon as it is allowed.",
        look=(DESCRIBE, POLICIES, NAMESPACE),
        cases=_NOT_FOR_ITS_OWNER,
    ),
    Reason.POLICY_MISSING: Remedy(
        Group.HELD,
        "its namespace is clinical, and there nothing trains without a policy",
        "Ask those who may write policies for one that selects namespace {namespace}; or, if no model from here goes "
        "into clinical use, for taking the label nnunet.dev/clinical off it. It begins by itself after that.",
        look=(POLICIES, NAMESPACE),
    ),
    Reason.SUSPENDED_BY_USER: Remedy(
        Group.SUSPENDED,
        "it is suspended: spec.suspend is true",
        "To have it go on from its last checkpoint, set spec.suspend to false: kubectl nnunet resume {name} -n "
        "{namespace}",
        look=("kubectl -n {namespace} get nnt {name} --show-managed-fields -o yaml", DESCRIBE),
    ),
}
