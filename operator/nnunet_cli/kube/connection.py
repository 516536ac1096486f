"""Which cluster is asked, and as whom: what kubectl's flags of the same names say. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class Connection:
    """What was given on the command line; None is what the kubeconfig says."""

    kubeconfig: str | None = None
    context: str | None = None
    cluster: str | None = None
    """Name of a cluster of the kubeconfig, in place of that of the context."""
    user: str | None = None
    """Name of a user of the kubeconfig, in place of that of the context."""
    as_user: str | None = None
    """Whom to act as."""
    as_uid: str | None = None
    as_groups: tuple[str, ...] = ()
    as_user_extra: tuple[str, ...] = ()
    """KEY=VALUE; a key may stand there more than once."""
    request_timeout: float | None = None
    """Seconds for a request; 0 is no limit."""

    @property
    def acting(self) -> dict[str, Any]:
        """What of a user's entry in a kubeconfig it replaces, under the names that it has there."""
        extra: dict[str, list[str]] = {}
        for pair in self.as_user_extra:
            key, _, value = pair.partition("=")
            extra.setdefault(key, []).append(value)
        given = {"as": self.as_user, "as-uid": self.as_uid, "as-groups": list(self.as_groups), "as-user-extra": extra}
        return {key: value for key, value in given.items() if value}


def connection_of(given: Mapping[str, Any]) -> Connection:
    """Return what options of these names say; what is none of its fields is passed over."""
    values = {field.name: given[field.name] for field in fields(Connection) if given.get(field.name) is not None}
    many = {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
    return Connection(**values | many)


def seconds(text: str) -> float:
    """Return the seconds of a duration as kubectl takes it: 30, 30s, 1m30s, 0. Raises ValueError."""
    if re.fullmatch(r"\d+", text):
        return float(text)
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is no duration: give seconds, such as 30, or 500ms, 30s, 2m, 1h")
    return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
