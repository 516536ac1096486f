"""Remedies of failures: nothing goes on until a person has done something."""

from collections.abc import Mapping

from nnunet_api.exit_codes import ExitCode
from nnunet_api.reasons import Reason
from nnunet_api.remedies.commands import AUDIT, CLAIMS, DESCRIBE, JOBS, LOGS, PODS, VERIFY_LOGS
from nnunet_api.remedies.remedy import (
    ASK_FOR_EXCEPTION,
    LOOK_FOR_STALL,
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

_TOO_EARLY = (
    "If a trainer class or an image ends before the schedule does, see the fold's log and create a new training that "
    "is put right; evidence.json in the run folder tells more."
)

FAILED: Mapping[str, Remedy] = {
    Reason.WRONG_CONFIGURATION: Remedy(
        Group.FAILED,
        "it asks for a configuration, planner, trainer class or fold that does not exist or can't be used",
        then=Then.ANEW,
        look=(LOGS,),
        exit_code=ExitCode.WRONG_CONFIGURATION,
    ),
    Reason.WRONG_DATA: Remedy(
        Group.FAILED,
        "the dataset is missing, incomplete or inconsistent",
        "Put the dataset right: the files that are named.",
        Then.RETRY,
        (LOGS, CLAIMS),
        exit_code=ExitCode.WRONG_DATA,
    ),
    Reason.CHECKPOINT_UNUSABLE: Remedy(
        Group.FAILED,
        "there are checkpoints of a fold, and it can go on from none of them",
        "Restore them from a backup, or delete the fold's folder in the run folder to begin that fold again.",
        Then.RETRY,
        (LOGS, DESCRIBE),
        exit_code=ExitCode.CHECKPOINT_UNUSABLE,
    ),
    Reason.EPOCHS_NOT_REACHED: Remedy(
        Group.FAILED,
        "a fold ended without the epochs that were asked for, or its checkpoint does not prove them",
        _TOO_EARLY,
        Then.RETRY,
        (VERIFY_LOGS, DESCRIBE),
        cases={Case.NO_EVIDENCE: ""},
        exit_code=ExitCode.EPOCHS_NOT_REACHED,
    ),
    Reason.POLICY_EPOCHS_NOT_PROVEN: Remedy(
        Group.FAILED,
        "its checkpoints prove fewer epochs than a policy asks for. It can't be complete under this policy",
        f"{_TOO_EARLY} Or {ASK_FOR_EXCEPTION}.",
        Then.RETRY,
        (VERIFY_LOGS, AUDIT),
        cases={
            Case.NO_EVIDENCE: "",
            Case.POLICY_RAISED: "The policies asked for less when it was trained: tried again, it trains on until they "
            "are content. If it is to stay as it is, ask those who may write the policy for an exception before that.",
        },
        exit_code=ExitCode.EPOCHS_NOT_REACHED,
    ),
    Reason.STORAGE_FAILED: Remedy(
        Group.FAILED,
        "a volume is full, over its quota or read-only, or may not be used",
        "Make room on it, or enlarge the claim, or let the user or group of the pods write the files that are named "
        "(UID and GID 1000 by default; spec.podTemplate.securityContext chooses others).",
        Then.RETRY,
        (CLAIMS, LOGS),
        exit_code=ExitCode.STORAGE_FAILED,
    ),
    Reason.LOSS_NOT_FINITE: Remedy(
        Group.FAILED,
        "again and again an epoch left non-finite weights (NaN or Inf)",
        "Create a new training with a lower spec.schedule.initialLearningRate, or check the data and a network of your "
        "own.",
        Then.RETRY,
        (LOGS,),
        exit_code=ExitCode.LOSS_NOT_FINITE,
    ),
    Reason.GPU_OUT_OF_MEMORY: Remedy(
        Group.FAILED,
        "the network does not fit into the memory of the GPU",
        "Ask for a larger GPU (spec.resources.gpuResourceName, spec.podTemplate.nodeSelector), or create a new "
        "training with a smaller spec.planning.gpuMemoryTargetGB.",
        Then.RETRY,
        (LOGS, "kubectl get nodes --show-labels"),
        exit_code=ExitCode.GPU_OUT_OF_MEMORY,
    ),
    Reason.OUT_OF_MEMORY: Remedy(
        Group.FAILED,
        "a pod was killed at its memory limit",
        "Raise the field that is named: kubectl edit nnt {name} -n {namespace}.",
        Then.RETRY,
        (PODS, LOGS),
        exit_code=137,
    ),
    Reason.RETRIES_EXHAUSTED: Remedy(
        Group.FAILED,
        "more attempts have failed than spec.retryLimit forgives",
        "Read the log of the last attempt for the cause, and put it right.",
        Then.RETRY,
        (LOGS, f"{LOGS} --previous-attempts"),
    ),
    Reason.PODS_LOST: Remedy(
        Group.FAILED,
        "its pods were ended again and again by what is not the trainer's doing: a node that turns them away or evicts "
        "them, a container of others, or a deadline",
        SEE_NODE,
        Then.RETRY,
        (PODS, "kubectl get nodes"),
        cases={
            Case.EVICTED: SEE_EVICTION,
            Case.INJECTED: SEE_INJECTED,
            Case.DEADLINE: SEE_DEADLINE,
            Case.CHANGED: SEE_CHANGED,
            Case.PROFILE: SEE_PROFILE,
        },
    ),
    Reason.OUTCOME_LOST: Remedy(
        Group.FAILED,
        "again and again a Job, or the pod with its evidence, was deleted before it was known how it ended",
        "See what deletes Jobs (a rule that sets ttlSecondsAfterFinished, a clean-up job, Kueue's "
        "objectRetentionPolicies), and exempt from it what has the label nnunet.dev/training.",
        Then.RETRY,
        (JOBS, PODS),
        cases={
            Case.EVIDENCE_GONE: "See what deletes pods that have ended (a rule that sets ttlSecondsAfterFinished, a "
            "clean-up job), and exempt from it what has the label nnunet.dev/training; under MultiKueue pods are in "
            "another cluster, where nobody reads their evidence: use a LocalQueue without it.",
        },
    ),
    Reason.STALLED: Remedy(
        Group.FAILED, "a fold stood still again and again", f"See its log. {LOOK_FOR_STALL}", Then.RETRY, (LOGS, PODS)
    ),
    Reason.INVALID_SPEC: Remedy(
        Group.FAILED,
        "the stored object is not valid for this operator: it was written under an older version of the API",
        "Save it (kubectl get nnt {name} -n {namespace} -o yaml) and put right the field that is named.",
        Then.ANEW,
        (DESCRIBE,),
    ),
}
