"""For each reason: what it means, what to do, where to look. One table for operator, command line and documentation."""

from collections.abc import Iterable, Mapping

from nnunet_api.conditions import Condition, leading
from nnunet_api.labels import STAGE_FOLD
from nnunet_api.reasons import Phase, Reason
from nnunet_api.remedies.commands import AUDIT, DESCRIBE, LOGS, PODS, WATCH
from nnunet_api.remedies.failed import FAILED
from nnunet_api.remedies.remedy import LOOK_FOR_STALL, Case, Group, Remedy
from nnunet_api.remedies.waiting import HELD, WAITING
from nnunet_api.stages import STAGES

POLICY_REMEDY = "change the training, or ask those who may write the policy for an exception"
"""What admission says, too."""

_ANEW = (
    "kubectl nnunet suspend {name} -n {namespace}, change the training, then kubectl nnunet resume {name} -n "
    "{namespace}; it goes on from its last finished epoch"
)

WORKING: Mapping[str, Remedy] = {
    Reason.STARTING: Remedy(
        Group.WORKS,
        "it is starting: Jobs and pods are being created, images pulled, containers started",
        "Wait. A large image may take minutes on a node that has not had it before.",
        look=(PODS, WATCH),
    ),
    **{
        stage.running: Remedy(
            Group.WORKS,
            f"it is at work: {stage.doing}",
            "Nothing.",
            look=(WATCH, f"{LOGS} -f") if stage.name == STAGE_FOLD else (f"{LOGS} -f", WATCH),
        )
        for stage in STAGES.values()
    },
    Reason.STOPPING: Remedy(
        Group.WORKS,
        "its pods are being stopped after a suspension, a failure or an eviction; each leaves after the checkpoint "
        "that it is writing",
        "Wait. A pod on a node that does not answer stays until the node is back or is deleted.",
        look=(PODS, WATCH),
        cases={
            Case.FINALIZER: "Whoever has put the finalizer there has to take it off: usually a program for backups or "
            "GitOps. Where that is gone for good, take it out of metadata.finalizers: kubectl -n {namespace} edit nnt "
            "{name}"
        },
    ),
    Reason.NO_EPOCH_FINISHED: Remedy(
        Group.STALLS,
        "it runs, but a fold has not finished an epoch for too long",
        f"See its log. {LOOK_FOR_STALL} Deleting the pod lets the fold go on from its checkpoint; "
        "spec.restartOnStall: true does so by itself.",
        look=(LOGS, PODS),
        cases={Case.RESTARTED: f"See its log. {LOOK_FOR_STALL} The fold is restarted from its checkpoint."},
    ),
    Reason.DATA_TOO_SLOW: Remedy(
        Group.SLOW,
        "it trains, but a fold waits for data for much of its time: what it learns is right, and its GPU stands idle",
        f"A pod that runs keeps what it has: {_ANEW}. A node must have as much to give. Where the fold waits as long "
        "after that, the volume of the preprocessed data is too slow.",
        look=(WATCH, PODS),
        cases={
            Case.SLOW_VOLUME: "More CPU would hardly help. See whether the volume of the preprocessed data is slow or "
            "used by others at the same time, and whether the node gives the pod the CPU that it asks for (kubectl top "
            "node). Where it is the volume, spec.storage.preprocessed.localCopy has each fold read from a copy on its "
            f"node. To have it go on with that, or on another node (spec.podTemplate): {_ANEW}."
        },
    ),
    Reason.TRAINING_COMPLETE: Remedy(
        Group.COMPLETE,
        "it is complete",
        "Nothing. The model is in the results claim, and plain nnUNetv2_predict uses it.",
        look=(DESCRIBE, AUDIT),
    ),
}


def _aside(meaning: str, todo: str = "") -> Remedy:
    return Remedy(Group.ASIDE, meaning, todo)


ASIDE: Mapping[str, Remedy] = {
    Reason.STANDARD_EPOCHS: _aside(
        "nnU-Net's standard schedule (1000 epochs of 250 iterations), or more, and its learning rate, network and class"
    ),
    Reason.SHORT_SCHEDULE: _aside(
        "fewer iterations than nnU-Net's standard schedule: usually 1-3 % Dice worse, more on hard tasks",
        "Compare it with the standard on the test set before anyone relies on the model.",
    ),
    Reason.VERY_SHORT_SCHEDULE: _aside(
        "less than a quarter of nnU-Net's standard schedule", "Do not rely on the model, nor compare it."
    ),
    Reason.HOLLOW_EPOCHS: _aside(
        "as many iterations as nnU-Net's standard, but epochs that train little: a tiny learning rate, a warm-up over "
        "much of the schedule, or a network planned for little memory",
        "Do not rely on the model, nor compare it.",
    ),
    Reason.CHANGED_STANDARD: _aside(
        "as many iterations as nnU-Net's standard, trained in another way: the message names each difference",
        "Compare it with the standard on the test set before anyone relies on the model.",
    ),
    Reason.POLICIES_KEPT: _aside("it keeps the rules of all policies that are for it"),
    Reason.NO_POLICY: _aside("no policy is for its namespace"),
    Reason.POLICY_EXCEPTED: _aside(
        "it keeps what an exception has left of the rules, or did so at any time while it ran"
    ),
    Reason.COMPARISON_REQUIRED: _aside(
        "it breaks rules of a policy as an arm of its comparison (spec.comparison), and complies once that has come to "
        "a verdict which the policy accepts",
        "Create that comparison before the training is complete, with the training in an arm and a baseline that "
        "keeps the policy.",
    ),
    Reason.COMPARISON_FAILED: _aside(
        "it breaks rules of a policy, and the comparison that it names does not count for it",
        "Don't rely on the model. Train by the policy's rules, or anew as an arm of another comparison, or ask those "
        "who may write the policy for an exception.",
    ),
    Reason.COMPARISON_ACCEPTED: _aside(
        "it breaks rules of a policy, and the verdict of its comparison stands in their place"
    ),
    Reason.POLICY_NOT_ENFORCED: _aside(
        "it breaks rules of a policy that only warns or records, and runs all the same",
        f"To keep the policy, {POLICY_REMEDY}.",
    ),
    Reason.EXCEPTION_ENDS_SOON: _aside(
        "an exception of the policy ends within two weeks",
        "A training that is not complete by then is suspended: extend the exception where it has to go on.",
    ),
    Reason.NO_EXCEPTION_ENDS_SOON: _aside("no exception of the policy ends within two weeks"),
    Reason.NOT_SUSPENDED: _aside("it is not suspended"),
    Reason.PREPROCESSED: _aside("the dataset is planned and preprocessed"),
    Reason.NOT_YET_PLANNED: _aside("the dataset is not planned and preprocessed yet"),
    Reason.NOT_STALLED: _aside("no fold stands still"),
    Reason.NOT_DATA_STARVED: _aside("no fold is known to wait long for data"),
    Reason.PLATEAU_STOPPED: _aside("early stopping has ended a fold at a plateau"),
    Reason.PLATEAU_ANNEALED: _aside("early stopping has ended a fold after the learning rate went to 0"),
    Reason.PLATEAU_OBSERVED: _aside("the rule of early stopping fired, and only that is recorded"),
    Reason.PLATEAU_ANNEALING: _aside("the rule of early stopping fired, and the learning rate is on its way to 0"),
    Reason.RULE_NOT_FIRED: _aside("the rule of early stopping has not fired"),
    Reason.EARLY_STOPPING_DISABLED: _aside("early stopping is off"),
    Reason.CHECKPOINTS_VERIFIED: _aside("the final checkpoints hold the epochs that were asked for"),
    Reason.NOT_YET_VERIFIED: _aside("the final checkpoints are not verified yet"),
    Reason.TEST_SET_SCORED: _aside("the test set is predicted and scored"),
    Reason.CROSS_VALIDATION_SCORED: _aside("the cross-validation is scored; there is no test set"),
    Reason.NOT_YET_EVALUATED: _aside("the evaluation has not ended"),
    Reason.NOT_COMPLETE: _aside("it is not complete; Progressing says what is going on"),
    Reason.NOT_FAILED: _aside("it has not failed"),
}

REMEDIES: Mapping[str, Remedy] = {**WORKING, **WAITING, **HELD, **FAILED, **ASIDE}
"""A row for each reason."""

_PHASES = {
    Group.FAILED: Phase.FAILED,
    Group.COMPLETE: Phase.COMPLETED,
    Group.SUSPENDED: Phase.SUSPENDED,
    Group.STALLS: Phase.TRAINING,
    Group.SLOW: Phase.TRAINING,
    Group.ASIDE: Phase.PENDING,
}


def phase_of(reason: str) -> Phase:
    """Return the word for display of a training whose leading condition has this reason.

    It is the reason's own word where something is under way or awaited. Reasons that never lead, and those of another
    version, say nothing about the whole: Pending.
    """
    row = REMEDIES.get(reason)
    if row is None or reason == Reason.STARTING:
        return Phase.PENDING
    return _PHASES.get(row.group) or Phase(reason)


def phase(conditions: Iterable[Condition]) -> Phase:
    """Return the word for display that says best what the conditions say."""
    condition = leading(conditions)
    return phase_of(condition.reason if condition else Reason.STARTING)


def advice(reason: str, case: str, name: str, namespace: str) -> str:
    """Return what to do about a reason for a training; empty for a reason of another version."""
    row = REMEDIES.get(reason)
    return row.advice(case, name, namespace) if row else ""
