"""The page of all that may stand in a training's way."""

from collections.abc import Iterable, Iterator

from hack.generate.obstacles import FAILED, HELD, WAITING, Obstacle
from hack.generate.reasons_reference import HEADER, anchor
from nnunet_api.remedies.table import advice, phase_of

INTRODUCTION = """\
# What stands in the way

For each: the phase in `kubectl get nnt`, the reason, words of the condition's message, and what to do, which the
message says as well. Each row is brought about by a test on a real API server. What happens meanwhile, and what it
costs: [failure modes](../operations/failure-modes.md).
"""
PARTS = (
    ("It waits, or does not get on", "No retry is used up.", WAITING),
    ("It is held", "Nothing has failed and nothing is lost: the checkpoints stay.", HELD),
    ("It has failed", "Nothing runs until somebody has done something.", FAILED),
)


def obstacles_reference() -> str:
    """Return the page."""
    return "\n".join([HEADER + INTRODUCTION, *(line for part in PARTS for line in _part(*part))]).rstrip() + "\n"


def _part(title: str, words: str, rows: Iterable[Obstacle]) -> Iterator[str]:
    yield f"## {title}\n\n{words}\n"
    yield "| what stands in the way | phase | reason | message | what to do |\n|---|---|---|---|---|"
    for row in rows:
        reason = f"[`{row.reason}`](reasons.md#{anchor(row.reason)})"
        todo = advice(row.reason, row.case, "NAME", "NAMESPACE").replace("|", "\\|")
        yield f"| {row.what} | `{phase_of(row.reason)}` | {reason} | ... {row.says} ... | {todo} |"
    yield ""
