"""How the attempts of a child ended, in the words of their trainers."""

from dataclasses import dataclass

from pydantic import ValidationError

from nnunet_api.contract import TerminationReport
from nnunet_operator.core.rounding import harmless
from nnunet_operator.kube.outside import Outside, outside_of
from nnunet_operator.kube.views import PodView

LAST_WORDS_LIMIT = 1000
"""Characters of a trainer's message that conditions repeat."""


@dataclass(frozen=True)
class Ending:
    """How a trainer's attempt ended."""

    exit_code: int | None
    """None where the container never ran or the pod was lost."""
    reason: str
    """Kubernetes' word: Error, OOMKilled, Evicted, StartError, ..."""
    report: TerminationReport | None
    last_words: str
    """The report's message, or else the last line that the trainer or Kubernetes left."""
    disrupted: bool
    """Evicted, preempted, or lost with its node: not the trainer's fault."""
    said_of_pod: str = ""
    """What Kubernetes said of the pod, where it gave a reason for its end."""
    outside: Outside | None = None
    """What ended it that is not the trainer's doing."""


def ending_of(pod: PodView) -> Ending | None:
    """Return how the pod's attempt ended, or None while it lasts."""
    if not pod.over:
        return None
    # The trainer is not started where the container failed that makes the folders.
    prepared = pod.preparation.ended if pod.preparation else None
    ended = prepared if prepared and prepared.exit_code else pod.termination
    report, words = parse_message(ended.message if ended else "")
    return Ending(
        exit_code=ended.exit_code if ended else None,
        reason=pod.reason or (ended.reason if ended else ""),
        report=report,
        last_words=words or shorten(pod.message),
        disrupted=pod.disrupted,
        said_of_pod=shorten(pod.message) if pod.reason else "",
        outside=outside_of(pod),
    )


def parse_message(text: str) -> tuple[TerminationReport | None, str]:
    """Return the report in a termination message, and its words.

    A trainer that died before it could report leaves the tail of its log (FallbackToLogsOnError), of which
    the last line is usually the exception.
    """
    try:
        report = TerminationReport.model_validate_json(text.strip())
    except ValidationError:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return None, shorten(lines[-1]) if lines else ""
    return report, shorten(report.message.strip())


def shorten(text: str, limit: int = LAST_WORDS_LIMIT) -> str:
    """Return `text` in one line of at most `limit` characters, none of which tells a terminal what to do."""
    line = harmless(" ".join(text.split()))
    return line if len(line) <= limit else f"{line[: limit - 1]}…"
