"""A training that was created anew with the status of a former one, as a restore from a backup does it.

A run belongs to the object that began it: its folder, journals and checkpoints carry that one's UID, and evidence of
another's is not believed, or else whoever may train could show the run of somebody else as his own. So what the status
says of a run that has not ended is forgotten, and the training begins anew in a folder of its own. One that is complete
stays so: it is proven, and its status names the folder. One that has failed stays failed until somebody tries again.
"""

from nnunet_api.folders import run_key
from nnunet_api.reasons import ConditionType, EventReason
from nnunet_api.status import NnunetTrainingStatus
from nnunet_operator.core.decision import Event
from nnunet_operator.core.facts import run_path
from nnunet_operator.core.training import Training


def former_run(training: Training) -> str | None:
    """Return the run's folder of the former object whose status a training has, or None where the status is its own."""
    path = training.status.run_path
    return path if path and not path.endswith(f"-{run_key(training.uid)}") else None


def without_former_run(status: NnunetTrainingStatus) -> NnunetTrainingStatus:
    """Return a status without what it says of a run of somebody else: only what the policies came to, and a failure."""
    failed = [c for c in status.conditions if c.type == ConditionType.FAILED and c.status == "True"]
    policy = status.policy.model_copy(update={"accepted": []}) if status.policy else None  # that was another model
    return NnunetTrainingStatus(
        conditions=failed, problem=status.problem if failed else None, policy=policy, phase=status.phase
    )


def forgotten(training: Training, former: str) -> Event:
    """Return what to announce of it."""
    text = (
        f"this status is of a former object of this name, as after a restore from a backup, and tells of its run in "
        f"{former}, which stays as it is. This training begins anew in {run_path(training)}: checkpoints of another "
        "object prove nothing"
    )
    return Event("Warning", EventReason.FORMER_RUN_FORGOTTEN.value, text)
