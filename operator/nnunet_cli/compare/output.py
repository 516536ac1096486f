"""A comparison for people and for scripts."""

import textwrap
from collections.abc import Sequence
from typing import Any

from rich.text import Text

from nnunet_api.comparison.status import CandidateVerdict
from nnunet_api.comparison.words import points
from nnunet_api.words import counted
from nnunet_cli.kube.comparisons import Found

ACCEPTABLE = ("Superior", "Equivalent", "NonInferior")
"""Verdicts by which an arm may take the place of the baseline."""
_TITLES = ("ARM", "VERDICT", "DIFFERENCE", "LOW", "HIGH", "P", "BETTER", "WORSE-CASES", "WORST-CLASS", "NSD", "HD95-MM")
_LINE = 110


def is_acceptable(found: Found) -> bool:
    """Tell whether there is a verdict on every arm, and each is one of `ACCEPTABLE`."""
    verdicts = found.status.verdicts
    return bool(verdicts) and all(one.verdict in ACCEPTABLE for one in verdicts)


def as_data(found: Found) -> dict[str, Any]:
    """Return what scripts read. No key of it may be renamed."""
    status = found.status.to_json_dict()
    kept = (
        "phase",
        "verdict",
        "summary",
        "verdicts",
        "arms",
        "cases",
        "patients",
        "indicative",
        "seed",
        "notes",
        "registration",
    )
    return {
        "namespace": found.namespace,
        "name": found.name,
        "maxDiceLoss": found.margin,
        "acceptable": is_acceptable(found),
        "message": found.message,
        **{key: status.get(key) for key in kept},
    }


def as_text(found: Found, width: int | None) -> list[Text]:
    """Return the sentences, what has to be known besides, and what the verdict rests on."""
    status = found.status
    if not status.verdicts:
        said = found.message or "no operator has looked at it yet"
        return _wrapped(f"{status.phase or 'Pending'}: {said}", width)
    lines = [
        part
        for one in status.verdicts
        for part in _wrapped(one.reason, width, "bold" if one.verdict in ACCEPTABLE else "bold red")
    ]
    lines += [part for said in status.notes for part in _wrapped(f"note: {said}", width)]
    source = "cross-validation" if status.indicative else "test"
    arms = "; ".join(_arm(arm.name, arm.mean, arm.spread, arm.replicates) for arm in status.arms)
    of = "" if status.patients is None else f" of {counted(status.patients, 'patient')}"
    said = f"{status.cases} {source} cases{of}, margin {points(found.margin)}. {arms}"
    lines += [Text(), *_wrapped(said, width), Text()]
    return lines


def rows(found: Found) -> tuple[Sequence[str], list[Sequence[str]]]:
    """Return titles and rows of the table of numbers."""
    return _TITLES, [_row(one) for one in found.status.verdicts]


def _row(one: CandidateVerdict) -> Sequence[str]:
    worst = f"{one.worst_class} {one.worst_class_difference:+.4f}" if one.worst_class_difference is not None else ""
    nsd = f"{one.nsd.difference:+.4f} ({one.nsd.low:+.4f} to {one.nsd.high:+.4f})" if one.nsd else ""
    far = one.hd95_mm
    hd95 = f"{far.difference:+.2f} ({far.low:+.2f} to {far.high:+.2f}; {counted(far.cases, 'case')})" if far else ""
    return (
        one.arm,
        one.verdict,
        f"{one.difference:+.4f}",
        f"{one.low:+.4f}",
        f"{one.high:+.4f}",
        _number(one.p_wilcoxon, ".3g"),
        _number(one.probability_better, ".0%"),
        _number(one.share_worse, ".0%"),
        worst,
        nsd,
        hd95,
    )


def _arm(name: str, mean: float | None, spread: float | None, replicates: int) -> str:
    deviation = f" ± {spread:.4f}" if spread is not None else ""
    times = f" ({replicates} replicates)" if replicates > 1 else ""
    return f"{name}: Dice {_number(mean, '.4f')}{deviation}{times}"


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _wrapped(paragraph: str, width: int | None, style: str = "") -> list[Text]:
    if width is None:
        return [Text(paragraph, style=style)]
    return [Text(line, style=style) for line in textwrap.wrap(paragraph, min(width, _LINE), break_on_hyphens=False)]
