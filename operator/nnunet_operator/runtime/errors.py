"""What can go wrong between the operator and the API server."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_RETRY_AFTER_SECONDS = 300.0
"""What a server may ask for at most: a proxy may send any number, and nobody would know what is waited for."""


class ApiError(Exception):
    """The API server answered with an error."""

    retry_after: float | None = None

    def __init__(self, status: int, message: str, what: str) -> None:
        """`what` is the request, for the log."""
        super().__init__(f"{what}: {message} (HTTP {status})")
        self.status = status
        self.message = message

    @property
    def refused(self) -> bool:
        """The server understood and said no; asking again changes nothing."""
        return self.status in (400, 403, 405, 413, 422) or is_admissions(self.message)


class Unreachable(Exception):
    """The API server did not answer, or can't for now, or answered what it never should."""

    def __init__(self, message: str, retry_after: float | None = None, said: str | None = None) -> None:
        """`retry_after` are the seconds that the server asks to be left alone; None where it doesn't say.

        `said` are the server's own words; None where it did not answer.
        """
        super().__init__(message)
        self.retry_after = retry_after
        self.said = said

    @property
    def refused(self) -> bool:
        """The server is well, and somebody's webhook stands in the way: of this request, not of others."""
        return self.said is not None and is_admissions(self.said)


class Conflict(Exception):
    """An object has changed since it was last seen: look at it again before writing."""


def is_admissions(message: str) -> bool:
    """Say whether an error is about an admission webhook, which may answer with any status, or not at all (500)."""
    return "failed calling webhook" in message or "admission webhook" in message


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Return the seconds of the header Retry-After (RFC 9110: a number, or a date); None where it says nothing usable.

    At most LONGEST_RETRY_AFTER_SECONDS.
    """
    text = headers.get("Retry-After", "").strip()
    if not text:
        return None
    try:
        seconds = float(text) if text.isascii() and text.isdigit() else _until(text, now or datetime.now(UTC))
    except (ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER_SECONDS)


def _until(text: str, now: datetime) -> float:
    then = parsedate_to_datetime(text)
    return (then.replace(tzinfo=then.tzinfo or UTC) - now).total_seconds()
