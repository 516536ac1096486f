"""What the trainer of a running fold says."""

from dataclasses import dataclass

from nnunet_api.facts import FoldFacts


@dataclass(frozen=True)
class LiveFacts:
    """The last answer of a running fold's trainer."""

    facts: FoldFacts | None
    """State of the fold; None where the image has a trainer older than the facts: it serves metrics alone."""
    still_seconds: float | None = None
    """Seconds, by the operator's own clock, since the number of finished epochs was last seen to change."""
