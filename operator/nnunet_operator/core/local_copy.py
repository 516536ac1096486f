"""What the status says of a fold's copy of the preprocessed data: from its trainer's facts, which anybody may serve."""

from nnunet_api.local_copy import CopyFacts, CopyState, FoldCopy, percent
from nnunet_operator.core.rounding import text


def stated(facts: CopyFacts | None) -> FoldCopy | None:
    """Return what the status says; None where the trainer has no copy to tell of."""
    if facts is None:
        return None
    copying = facts.state is CopyState.COPYING
    return FoldCopy(
        state=facts.state,
        percent=percent(facts.copied_bytes, facts.total_bytes) if copying else None,
        total_bytes=facts.total_bytes,
        seconds=None if copying or facts.seconds is None else round(facts.seconds),
        why=text(facts.why) if facts.state is CopyState.SKIPPED else None,
    )


def moved(facts: CopyFacts | None) -> tuple[str, int] | None:
    """Return what changes as long as a copy goes on, so that a fold that copies does not count as standing still."""
    return (facts.state.value, facts.copied_bytes or 0) if facts else None
