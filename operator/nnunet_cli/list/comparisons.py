"""The comparisons below the list of trainings: as a table and as data. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from nnunet_cli.kube.comparisons import Found
from nnunet_cli.text.words import age

_TITLES = ("NAMESPACE", "COMPARISON", "PHASE", "VERDICT", "DIFFERENCE", "AGE", "WHAT")


def rows(found: Sequence[Found], now: datetime, with_namespace: bool) -> tuple[Sequence[str], list[Sequence[str]]]:
    """Return titles and rows of the table."""
    first = 0 if with_namespace else 1
    return _TITLES[first:], [_row(one, now)[first:] for one in found]


def _row(one: Found, now: datetime) -> Sequence[str]:
    status = one.status
    return (
        one.namespace,
        one.name,
        status.phase.value if status.phase else "",
        status.verdict or "",
        status.difference or "",
        age((now - one.created).total_seconds()) if one.created else "",
        _line(status.summary or one.message or "not seen by the operator yet"),
    )


def _line(text: str) -> str:
    return " ".join(text.split())


def data(one: Found) -> dict[str, Any]:
    """Return what scripts read. No key of it may be renamed."""
    return {
        "namespace": one.namespace,
        "name": one.name,
        "phase": one.status.phase.value if one.status.phase else None,
        "verdict": one.status.verdict,
        "difference": one.status.difference,
        "goingOn": one.status.summary or one.message or None,
    }
