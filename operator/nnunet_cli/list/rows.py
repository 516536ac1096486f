"""The list of trainings: what there is to say of each, as a table and as data. Pure, but for the printing."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.cells import cell_len
from rich.text import Text

from nnunet_api.conditions import rfc3339
from nnunet_api.reasons import ConditionType, Reason
from nnunet_api.remedies.remedy import Case
from nnunet_cli.kube.watched import Watched, message
from nnunet_cli.text.concerns import concerns
from nnunet_cli.text.words import age, short_duration, shorten
from nnunet_cli.watch.view import phase_style

_OPTIONAL = ("EARLY-STOP", "POLICY")
"""Columns that are left out where they say nothing of any training."""
_ROOM = 30
"""With less room than this, what is going on gets a line of its own."""
_GAP = "  "
_UNSEEN = "not seen by the operator yet"


def columns(training: Watched, now: datetime) -> dict[str, str]:
    """Return the columns of a training but the last, what is going on; a dash where there is nothing to say."""
    status = training.status
    progress, results = status.progress, status.results
    left = progress.estimated_seconds_left if progress and not training.finished else None
    stopped, policy = status.condition(ConditionType.EARLY_STOPPED), status.condition(ConditionType.POLICY_COMPLIANT)
    cells = {
        "NAMESPACE": training.namespace,
        "NAME": training.name,
        "PHASE": status.phase.value if status.phase else "",
        "EPOCHS": progress.summary if progress and progress.epochs_target else "",
        "%": str(progress.percent) if progress and progress.epochs_target else "",
        "LEFT": short_duration(left) if left else "",
        "DICE": (results.summary if results else None) or "",
        "EARLY-STOP": stopped.reason if stopped and stopped.reason != Reason.EARLY_STOPPING_DISABLED else "",
        "AGE": age((now - training.created).total_seconds()) if training.created else "",
        "POLICY": policy.reason if policy and policy.status != "True" else "",
    }
    return {title: cell or "-" for title, cell in cells.items()}


def going_on(training: Watched) -> str:
    """Return what is going on, in words; what is wrong with it comes first, for the line may be cut."""
    going = training.problem or message(training.status) or _UNSEEN
    said = "; ".join([*map(str, concerns(training.status)), going])
    problem = training.status.problem
    told = problem is not None and problem.case == Case.FINALIZER
    return f"is being deleted; {said}" if training.deleting and not told else said


def table(trainings: Sequence[Watched], now: datetime, width: int | None, with_namespace: bool) -> list[Text]:
    """Return the lines of the table, cut to the width of the terminal; whole lines where that is None."""
    rows = [columns(training, now) for training in trainings]
    hidden = {title for title in _OPTIONAL if all(row[title] == "-" for row in rows)}
    hidden |= set() if with_namespace else {"NAMESPACE"}
    titles = [title for title in rows[0] if title not in hidden] if rows else []
    widths = {title: max(len(title), *(cell_len(row[title]) for row in rows)) for title in titles}
    used = sum(widths.values()) + len(_GAP) * len(titles)
    below = width is not None and width - used < _ROOM
    lines = [_line({title: title for title in titles}, widths, None if below else "WHAT")]
    lines[0].stylize("bold")
    for training, row in zip(trainings, rows, strict=True):
        line = _line(row, widths, None if below else " ".join(going_on(training).split()))
        start = sum(widths[title] + len(_GAP) for title in titles[: titles.index("PHASE")])
        line.stylize(phase_style(training.status.phase), start, start + len(row["PHASE"]))
        lines.append(line)
        if below:
            lines.append(Text(f"  {shorten(going_on(training), (width or 0) - 2)}", style="dim"))
    for line in lines:
        if width is not None:
            line.truncate(width, overflow="ellipsis")
    return lines


def data(training: Watched) -> dict[str, Any]:
    """Return what scripts read. No key of it may be renamed."""
    status = training.status
    progress, results = status.progress, status.results
    early, policy = status.condition(ConditionType.EARLY_STOPPED), status.condition(ConditionType.POLICY_COMPLIANT)
    return {
        "namespace": training.namespace,
        "name": training.name,
        "uid": training.uid,
        "created": rfc3339(training.created) if training.created else None,
        "phase": status.phase.value if status.phase else None,
        "epoch": progress.epoch if progress else None,
        "epochsTarget": progress.epochs_target if progress else None,
        "percent": progress.percent if progress else None,
        "secondsLeft": progress.estimated_seconds_left if progress and not training.finished else None,
        "dice": _number(results.summary) if results else None,
        "earlyStopReason": early.reason if early else None,
        "policyCompliant": policy.status if policy else None,
        "policyReason": policy.reason if policy else None,
        "goingOn": going_on(training),
    }


def _line(cells: dict[str, str], widths: dict[str, int], last: str | None) -> Text:
    padded = [cells[title] + " " * (width - cell_len(cells[title])) for title, width in widths.items()]
    return Text(_GAP.join([*padded, last] if last is not None else padded).rstrip())


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
