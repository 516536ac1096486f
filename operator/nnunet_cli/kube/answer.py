"""What the API server answers, and what of it is an error."""

import json
import re
from dataclasses import dataclass
from typing import Any

from nnunet_cli.kube.admission import Said, read, read_warning

_WARNING = re.compile(r'299 \S+ "((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Answer:
    """What the API server answers."""

    status: int
    body: Any
    warnings: tuple[Said, ...] = ()

    @property
    def message(self) -> str:
        """Its words."""
        return str(self.body.get("message", "")) if isinstance(self.body, dict) else str(self.body).strip()

    @property
    def forbidden(self) -> bool:
        """Whether it is forbidden: for what only reads, to this user by RBAC; for a change perhaps by admission."""
        return self.status == 403

    @property
    def details(self) -> dict[str, Any]:
        """What a Status tells of the object that was asked for: its name and kind, and causes."""
        details = self.body.get("details") if isinstance(self.body, dict) else None
        return details if isinstance(details, dict) else {}

    @property
    def causes(self) -> list[dict[str, Any]]:
        """What is wrong with what was sent: those of the schema have a field, those of admission policies none."""
        return self.details.get("causes") or []

    @property
    def denials(self) -> list[Said]:
        """What admission policies say against what was sent."""
        return [read(str(cause.get("message", ""))) for cause in self.causes if not cause.get("field")]


class Refused(Exception):
    """The API server refuses a request."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"{answer.message} (HTTP {answer.status})")
        self.answer = answer


def answer_of(status: int, data: bytes | str | None, headers: Any) -> Answer:
    text = data.decode(errors="replace") if isinstance(data, bytes) else data or ""
    try:
        body = json.loads(text)
    except ValueError:
        body = text
    said = headers.getlist("Warning") if headers is not None else []
    warnings = [re.sub(r"\\(.)", r"\1", found) for line in said for found in _WARNING.findall(line)]
    # What is read of headers is taken for Latin-1; the API server writes UTF-8.
    texts = [text.encode("latin-1", "replace").decode("utf-8", "replace") for text in warnings]
    return Answer(status, body, tuple(read_warning(text) for text in texts))
