"""Why a Job failed: a reason, a case and words. The trainer's own words come first."""

import re
from collections.abc import Sequence

from nnunet_api.exit_codes import TERMINAL_EXIT_CODES, ExitCode
from nnunet_api.reasons import Reason
from nnunet_api.remedies.remedy import Case
from nnunet_api.remedies.table import REMEDIES
from nnunet_api.stages import STAGES
from nnunet_api.training import NnunetTrainingSpec
from nnunet_operator.core.observation import Trouble
from nnunet_operator.kube.endings import Ending, ending_of
from nnunet_operator.kube.views import JobView, PodView

REASONS: dict[int, Reason] = {
    ExitCode.WRONG_CONFIGURATION: Reason.WRONG_CONFIGURATION,
    ExitCode.WRONG_DATA: Reason.WRONG_DATA,
    ExitCode.CHECKPOINT_UNUSABLE: Reason.CHECKPOINT_UNUSABLE,
    ExitCode.EPOCHS_NOT_REACHED: Reason.EPOCHS_NOT_REACHED,
    ExitCode.STORAGE_FAILED: Reason.STORAGE_FAILED,
    ExitCode.GPU_OUT_OF_MEMORY: Reason.GPU_OUT_OF_MEMORY,
}
"""By the exit code that ends a training."""


def out_of_memory(pods: Sequence[PodView], who: str, stage: str, spec: NnunetTrainingSpec) -> Trouble | None:
    """Return the failure of a child one of whose pods was killed at its memory limit, or None.

    Another attempt would be killed at the same point, so this does not wait for the Job to give up.
    """
    if not any(ending.reason == "OOMKilled" for ending in _endings(pods)):
        return None
    field, value = (
        ("spec.resources.memory", spec.resources.memory)
        if STAGES[stage].on_gpu(spec)
        else ("spec.resources.preprocessing.memory", spec.resources.preprocessing.memory)
    )
    return Trouble(Reason.OUT_OF_MEMORY, f"{who}: killed because it needed more than {field} ({value})")


def job_failure(job: JobView, said: str, pods: Sequence[PodView], who: str, retry_limit: int) -> Trouble:
    """Return why a Job failed, from its pods where they are still there, or else from what its condition says."""
    endings = _endings(pods)
    blamed = next((e for e in endings if e.exit_code in TERMINAL_EXIT_CODES), None)
    code = blamed.exit_code if blamed else _code_in(said)
    if reason := REASONS.get(code or 0):
        return _terminal(reason, blamed, who)
    counted = [ending for ending in endings if not ending.disrupted and ending.exit_code != ExitCode.PREEMPTED]
    return _exhausted(job, said, counted[0] if counted else None, who, retry_limit)


def told_for_good(pods: Sequence[PodView], who: str) -> Trouble | None:
    """Return the failure that the newest attempt's exit code says, where no further attempt could mend it, or None."""
    newest = next(iter(_endings(pods)), None)
    if newest is None or newest.exit_code not in TERMINAL_EXIT_CODES:
        return None
    return _terminal(REASONS[newest.exit_code], newest, who)


def describe(ending: Ending) -> str:
    """Return how an attempt ended, in a clause."""
    if ending.exit_code == ExitCode.PREEMPTED or (ending.disrupted and ending.exit_code is None):
        what = "was preempted"
    elif ending.exit_code is None:
        what = f"was lost ({ending.reason})" if ending.reason else "was lost"
    else:
        what = f"ended with exit code {ending.exit_code}"
        if ending.reason and ending.reason not in ("Error", "Completed"):
            what += f" ({ending.reason})"
    return f"{what}: {ending.last_words}" if ending.last_words else what


def _endings(pods: Sequence[PodView]) -> list[Ending]:
    """Endings of the attempts, newest first."""
    return [ending for pod in reversed(pods) if (ending := ending_of(pod))]


def _code_in(said: str) -> int:
    """Return the exit code that the Job controller quotes, or 0."""
    found = re.search(r"exit code (\d+)", said)
    return int(found[1]) if found else 0


def _terminal(reason: Reason, ending: Ending | None, who: str) -> Trouble:
    if ending and ending.report:
        return Trouble(reason, f"{who}: {ending.last_words}", Case.TOLD)
    said = f": {ending.last_words}" if ending and ending.last_words else ""
    row = REMEDIES[reason]
    return Trouble(reason, f"{who}: {row.meaning} (exit code {row.exit_code}){said}", detailed=ending is not None)


def _exhausted(job: JobView, said: str, last: Ending | None, who: str, retry_limit: int) -> Trouble:
    times = f"failed {job.failed} times" if job.failed > 1 else "failed"
    ended = f"the last attempt {describe(last)}" if last else (said or "its pods are gone")
    return Trouble(
        Reason.LOSS_NOT_FINITE if last and last.exit_code == ExitCode.LOSS_NOT_FINITE else Reason.RETRIES_EXHAUSTED,
        f"{who} {times}, which spec.retryLimit ({retry_limit}) does not forgive; {ended} (see kubectl logs "
        f"job/{job.name})",
        detailed=last is not None,
    )
