"""A verdict in words: the sentence that people need first. For operator, trainer and command line."""

from nnunet_api.comparison.contract import CandidateFacts
from nnunet_api.words import counted

INDICATIVE = "Indicative"
"""How verdicts begin that rest on the cross-validation."""
NOT_COMPARABLE = "NotComparable"


def sentence(found: CandidateFacts, baseline: str, margin: float) -> str:
    """Return a verdict in a sentence: 250 loses 1.8 points (0.9 to 2.7) of Dice against 1000: Inferior at ..."""
    said = f"{found.arm} {_change(found)} of Dice against {baseline}: {found.verdict} at a margin of {points(margin)}"
    if found.worst_class is not None and found.worst_class_difference is not None and found.worst_class_difference < 0:
        said += f"; worst: {found.worst_class}, {points(-found.worst_class_difference)}"
    if found.verdict.removeprefix(INDICATIVE) == "Inconclusive":
        said += _needed(found)
    return said


def cases_in_words(cases: int, patients: int | None) -> str:
    """Return how many cases there are, and of how many patients where that is known."""
    return counted(cases, "case") + ("" if patients is None else f" of {counted(patients, 'patient')}")


def short(found: CandidateFacts) -> str:
    """Return difference and interval for a column."""
    return f"{found.difference:+.4f} ({found.low:+.4f} to {found.high:+.4f})"


def points(value: float) -> str:
    """Return a part of Dice (0 to 1) in points of a hundred."""
    number = f"{value * 100 + 0.0:.2f}".rstrip("0").rstrip(".")
    # A loss must not read as none for its rounding.
    number = f"{value * 100:.2g}" if number in ("0", "-0") and value else number
    return f"{number} point{'' if number == '1' else 's'}"


def _change(found: CandidateFacts) -> str:
    loses = found.difference < 0
    size = points(abs(found.difference))
    low, high = (-found.high, -found.low) if loses else (found.low, found.high)
    return f"{'loses' if loses else 'gains'} {size} ({_bare(low)} to {_bare(high)})"


def _bare(value: float) -> str:
    return points(value).split()[0]


def _needed(found: CandidateFacts) -> str:
    parts = []
    if found.cases_needed is not None:
        parts.append(counted(found.cases_needed, "case"))
    if found.patients_needed is not None:
        parts.append(counted(found.patients_needed, "patient"))
    if found.replicates_needed is not None:
        parts.append(f"{counted(found.replicates_needed, 'replicate')} in each arm")
    if parts:
        return f"; it would take {' or '.join(parts)} to tell"
    return "; it lies too close to a limit for these cases and replicates to tell"
