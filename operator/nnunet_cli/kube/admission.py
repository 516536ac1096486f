"""What admission says of an object. Kubernetes gives it as text alone, also in a Status: this is where it is read."""

import re
from dataclasses import dataclass

_BY_POLICY = re.compile(
    r"(?:Validation failed for )?ValidatingAdmissionPolicy '(?P<policy>[^']*)' with binding '[^']*'"
    r"(?: denied request)?: (?P<message>.*)",
    re.DOTALL,
)


@dataclass(frozen=True)
class Said:
    """A sentence of admission."""

    message: str
    policy: str = ""
    """The ValidatingAdmissionPolicy that says it; empty for anything else."""


def read(text: str) -> Said:
    """Return what a warning, or a cause of a refusal, says and by whom. What is not known is taken as it is."""
    found = _BY_POLICY.fullmatch(text)
    return Said(found["message"], found["policy"]) if found else Said(text)
