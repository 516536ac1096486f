"""What may stand in a training's way: each is brought about by a test on a real API server, and a row of a page.

A row says which reason and case the operator gives, and words that its message holds. The rest of the page follows from
both. `tests/integration/runtime/test_obstacles.py` has a function for each row.
"""

from dataclasses import dataclass

from nnunet_api.reasons import Reason
from nnunet_api.remedies.remedy import Case


@dataclass(frozen=True)
class Obstacle:
    """What stands in the way, and how that is told."""

    name: str
    """Name of what brings it about in the test."""
    what: str
    """What stands in the way, for the page."""
    reason: Reason
    says: str
    """Words of the message, where it says what is the matter."""
    case: str = ""


WAITING = (
    Obstacle("no_gpu", "no node has a free GPU", Reason.WAITING_FOR_GPU, "Insufficient nvidia.com/gpu"),
    Obstacle(
        "no_template",
        "the ResourceClaimTemplate of `resources.gpuClaimTemplateName` does not exist",
        Reason.WAITING_FOR_GPU,
        "has not made of ResourceClaimTemplate gone",
        Case.UNCLAIMED,
    ),
    Obstacle(
        "no_device",
        "no node has a free device for the claim of `resources.gpuClaimTemplateName`",
        Reason.WAITING_FOR_GPU,
        "cannot allocate all claims",
        Case.DEVICES,
    ),
    Obstacle("too_large", "no node has so much CPU or memory", Reason.WAITING_FOR_RESOURCES, "Insufficient memory"),
    Obstacle(
        "no_such_node",
        "no node has the labels of `podTemplate.nodeSelector`",
        Reason.WAITING_FOR_RESOURCES,
        "didn't match Pod's node affinity/selector",
        Case.NODE_LABELS,
    ),
    Obstacle("tainted", "all nodes are tainted", Reason.WAITING_FOR_RESOURCES, "untolerated taint", Case.NODE_TAINTS),
    Obstacle(
        "foreign_resource",
        "a rule of the cluster has the pods ask for a resource that no node has",
        Reason.WAITING_FOR_RESOURCES,
        "Insufficient example.org/fpga",
        Case.FOREIGN_RESOURCE,
    ),
    Obstacle(
        "job_suspended",
        "somebody suspends its Job",
        Reason.WAITING_FOR_QUEUE,
        "waits because its Job is suspended",
        Case.JOB_SUSPENDED,
    ),
    Obstacle(
        "no_kueue",
        "`queueName` is set, and no Kueue is in the cluster",
        Reason.WAITING_FOR_QUEUE,
        "no Kueue is in this cluster",
        Case.NO_QUEUES,
    ),
    Obstacle(
        "weights_missing",
        "the training that `initialWeights` names is not there, or not complete",
        Reason.WAITING_FOR_WEIGHTS,
        "waits for training gone, whose weights it begins with: there is none in this namespace",
    ),
    Obstacle(
        "claim_missing",
        "a claim does not exist",
        Reason.CLAIM_NOT_BOUND,
        'persistentvolumeclaim "gone" not found',
        Case.CLAIM_MISSING,
    ),
    Obstacle(
        "claim_deleted",
        "somebody has deleted a claim that pods still use",
        Reason.CLAIM_NOT_BOUND,
        'persistentvolumeclaim "leaving" is being deleted',
        Case.CLAIM_DELETED,
    ),
    Obstacle(
        "claim_refused",
        "a quota refuses the claim of a pod's local copy",
        Reason.CLAIM_NOT_BOUND,
        "exceeded quota: storage, requested: requests.storage=100Gi",
        Case.CLAIM_REFUSED,
    ),
    Obstacle(
        "claim_unbound", "a claim has no volume", Reason.CLAIM_NOT_BOUND, "unbound immediate PersistentVolumeClaims"
    ),
    Obstacle(
        "volume",
        "a volume can't be attached or mounted",
        Reason.VOLUME_UNAVAILABLE,
        "Multi-Attach error for volume pvc-1",
    ),
    Obstacle("image", "the trainer's image can't be pulled", Reason.IMAGE_UNAVAILABLE, "manifest unknown"),
    Obstacle(
        "image_of_folders",
        "the operator's trainer image, which makes the folders, can't be pulled",
        Reason.IMAGE_UNAVAILABLE,
        "waits for image registry.example/trainer:1",
        Case.FOLDERS,
    ),
    Obstacle(
        "image_of_others",
        "the image of a container that a webhook put into the pod can't be pulled",
        Reason.IMAGE_UNAVAILABLE,
        "of container proxy",
        Case.INJECTED,
    ),
    Obstacle(
        "no_service_account",
        "the ServiceAccount of `podTemplate` does not exist",
        Reason.POD_REJECTED,
        'serviceaccount "nobody" not found',
        Case.ABSENT,
    ),
    Obstacle(
        "value",
        "Kubernetes does not take a value of `podTemplate`",
        Reason.POD_REJECTED,
        "is invalid:",
        Case.INVALID,
    ),
    Obstacle(
        "quota_on_limits",
        "a quota asks for a limit that the training leaves open",
        Reason.POD_REJECTED,
        "must specify limits.cpu",
        Case.UNSPECIFIED,
    ),
    Obstacle(
        "limit_range",
        "a LimitRange gives a container less than it asks for",
        Reason.POD_REJECTED,
        "must be less than or equal to",
        Case.LIMITS,
    ),
    Obstacle(
        "webhook",
        "a webhook of the cluster does not answer",
        Reason.POD_REJECTED,
        'failed calling webhook "vjob.example.org"',
        Case.WEBHOOK,
    ),
    Obstacle("quota", "a quota is used up", Reason.POD_REJECTED, "exceeded quota", Case.QUOTA),
    Obstacle(
        "pod_security", "Pod Security refuses the pod", Reason.POD_REJECTED, "violates PodSecurity", Case.POD_SECURITY
    ),
    Obstacle(
        "no_secret",
        "a Secret or ConfigMap is missing",
        Reason.CONTAINER_CONFIG_ERROR,
        'secret "wandb" not found',
    ),
    Obstacle(
        "no_folder",
        "a folder of the training is gone from its claim",
        Reason.CONTAINER_CONFIG_ERROR,
        "failed to create subPath directory",
        Case.FOLDERS,
    ),
    Obstacle(
        "no_profile",
        "a node lacks the profile of `podTemplate.securityContext`",
        Reason.CONTAINER_CONFIG_ERROR,
        "cannot load seccomp profile",
        Case.PROFILE,
    ),
    Obstacle(
        "container_of_others",
        "a container that a webhook put into the pod can't be created",
        Reason.CONTAINER_CONFIG_ERROR,
        "container proxy of its pod can't be created",
        Case.INJECTED,
    ),
    Obstacle(
        "restarted",
        "a rule of the cluster has the pods' containers restarted",
        Reason.CONTAINER_CONFIG_ERROR,
        "container trainer of its pod ends again and again",
        Case.CHANGED,
    ),
    Obstacle(
        "deadline",
        "a rule of the cluster gives Jobs a deadline",
        Reason.CONTAINER_CONFIG_ERROR,
        "was active for longer than its activeDeadlineSeconds",
        Case.DEADLINE,
    ),
    Obstacle(
        "signature",
        "the image's signature is not the one that the node asks for",
        Reason.IMAGE_UNAVAILABLE,
        "no key matches",
        Case.SIGNATURE,
    ),
    Obstacle(
        "silent_node",
        "a node does not start the pod for long, and does not say why",
        Reason.CONTAINER_CONFIG_ERROR,
        "has not started its trainer for more than 10 min",
        Case.SILENT_NODE,
    ),
    Obstacle(
        "slow_container",
        "a container that a webhook put before the trainer does not end",
        Reason.CONTAINER_CONFIG_ERROR,
        "container vault-init of its pod, which comes before the trainer, has not ended for more than 10 min",
        Case.INJECTED,
    ),
    Obstacle(
        "slow_folders",
        "a volume does not answer while the folders are made",
        Reason.VOLUME_UNAVAILABLE,
        "its folders have not been made for more than 10 min",
    ),
    Obstacle(
        "turned_away",
        "a node turns the pod away",
        Reason.CONTAINER_CONFIG_ERROR,
        "(UnexpectedAdmissionError): Pod was rejected: Allocate failed",
        Case.BY_NODE,
    ),
    Obstacle(
        "over_its_limit",
        "the pod is evicted for a limit of its own",
        Reason.CONTAINER_CONFIG_ERROR,
        "ephemeral local storage usage exceeds",
        Case.EVICTED,
    ),
    Obstacle(
        "sandbox",
        "the node can't make the pod",
        Reason.CONTAINER_CONFIG_ERROR,
        "failed to set up sandbox",
        Case.ON_NODE,
    ),
    Obstacle(
        "sidecar",
        "a container of others outlives the trainer",
        Reason.SIDECAR_RUNNING,
        "container proxy keeps pod",
    ),
    Obstacle("name_taken", "somebody else's Job has the name", Reason.CHILD_NOT_OWNED, "exists and belongs to nobody"),
    Obstacle(
        "name_of_other_training",
        "another training's Job has the name (a.b beside a-b)",
        Reason.CHILD_NOT_OWNED,
        "belongs to NnunetTraining",
        Case.OTHER_TRAINING,
    ),
    Obstacle(
        "managed",
        "another controller makes the pods, as MultiKueue does",
        Reason.CHILD_NOT_OWNED,
        "is managed by kueue.x-k8s.io/multikueue",
        Case.MANAGED,
    ),
    Obstacle(
        "finalizer",
        "the training is deleted, and somebody's finalizer holds it",
        Reason.STOPPING,
        "finalizer backup.example.org/wait holds it",
        Case.FINALIZER,
    ),
    Obstacle("stall", "a fold stands still", Reason.NO_EPOCH_FINISHED, "no epoch was finished for more than"),
    Obstacle(
        "starved",
        "the GPU waits for data, as too few workers augment",
        Reason.DATA_TOO_SLOW,
        "waits 38 % of its time for data: raise spec.resources.cpu from 8 to 16",
    ),
    Obstacle(
        "starved_by_volume",
        "the GPU waits for data, and the workers wait as well",
        Reason.DATA_TOO_SLOW,
        "waits 38 % of its time for data, and its workers (8) compute in only 20 % of theirs",
        Case.SLOW_VOLUME,
    ),
)
HELD = (
    Obstacle("suspended", "`spec.suspend` is true", Reason.SUSPENDED_BY_USER, "no pod runs and no GPU is held"),
    Obstacle(
        "denied", "a policy forbids it", Reason.POLICY_DENIED, "spec.schedule.epochs is 10, must be at least 1000"
    ),
    Obstacle(
        "verifier_by_tag",
        "a policy asks for digests, and the operator's own trainer image is a tag",
        Reason.POLICY_DENIED,
        "the operator's own trainer image is",
        Case.VERIFIER_BY_TAG,
    ),
    Obstacle(
        "changed",
        "a policy has changed since it began",
        Reason.POLICY_CHANGED,
        "spec.schedule.epochs is 10, must be at least 1000",
    ),
    Obstacle(
        "slipped_in",
        "a webhook puts a variable into its pods by which they can run other code, and a policy has `allowedEnv`",
        Reason.POLICY_CHANGED,
        "what others have put into its pods sets PYTHONPATH, may set none",
        Case.SLIPPED_IN,
    ),
    Obstacle("no_policy", "the namespace is clinical, and no policy is for it", Reason.POLICY_MISSING, "clinical"),
)
FAILED = (
    Obstacle(
        "configuration",
        "a configuration, trainer class, ... that does not exist",
        Reason.WRONG_CONFIGURATION,
        "no trainer class X",
        Case.TOLD,
    ),
    Obstacle("data", "the dataset is wrong", Reason.WRONG_DATA, "dataset.json is missing", Case.TOLD),
    Obstacle("checkpoint", "no checkpoint of a fold loads", Reason.CHECKPOINT_UNUSABLE, "none loads", Case.TOLD),
    Obstacle("storage", "a volume is full", Reason.STORAGE_FAILED, "no space left", Case.TOLD),
    Obstacle("gpu_memory", "the network does not fit the GPU", Reason.GPU_OUT_OF_MEMORY, "out of memory", Case.TOLD),
    Obstacle(
        "memory",
        "a pod needs more than its memory limit",
        Reason.OUT_OF_MEMORY,
        "killed because it needed more than spec.resources.preprocessing.memory",
    ),
    Obstacle("crashes", "the trainer crashes too often", Reason.RETRIES_EXHAUSTED, "exit code 1: ValueError: y"),
    Obstacle("not_finite", "weights are no numbers, too often", Reason.LOSS_NOT_FINITE, "exit code 77"),
    Obstacle(
        "job_deleted",
        "somebody deletes its Jobs before they have ended",
        Reason.OUTCOME_LOST,
        "its Job was deleted 2 times before it was known how it ended",
    ),
    Obstacle(
        "evidence_gone",
        "the verification's pod is gone before its evidence is read",
        Reason.OUTCOME_LOST,
        "its pod is gone each time before its evidence is read",
        Case.EVIDENCE_GONE,
    ),
    Obstacle(
        "too_few_epochs",
        "a checkpoint proves fewer epochs than were asked for",
        Reason.EPOCHS_NOT_REACHED,
        "fold 0 proves 4 of 10 epochs",
    ),
    Obstacle(
        "no_evidence",
        "the verification leaves no evidence",
        Reason.EPOCHS_NOT_REACHED,
        "left no evidence",
        Case.NO_EVIDENCE,
    ),
    Obstacle(
        "below_policy",
        "a checkpoint proves fewer epochs than a policy asks for",
        Reason.POLICY_EPOCHS_NOT_PROVEN,
        "policy asks for at least 10",
    ),
    Obstacle(
        "no_evidence_for_policy",
        "the verification leaves no evidence, and a policy asks for epochs",
        Reason.POLICY_EPOCHS_NOT_PROVEN,
        "left no evidence",
        Case.NO_EVIDENCE,
    ),
    Obstacle("stalls", "a fold stands still again and again", Reason.STALLED, "fold 0 stands still after"),
    Obstacle(
        "invalid",
        "what is stored is not valid for this operator",
        Reason.INVALID_SPEC,
        "spec.planning.configurations has",
    ),
)
OBSTACLES = (*WAITING, *HELD, *FAILED)
