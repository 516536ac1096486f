"""What admission says of an object. Kubernetes gives it as text alone, also in a Status: this is where it is read."""

import re
from dataclasses import dataclass, replace

WARNING_CUT = 256
"""Characters of a warning that the API server leaves where it cuts them."""
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
    cut: bool = False
    """Whether there may have been more of it."""

    def is_of(self, message: str) -> bool:
        """Say whether it is this message, or as much of it as was left."""
        return message.startswith(self.message) if self.cut else message == self.message


def read(text: str) -> Said:
    """Return what a cause of a refusal says and by whom. What is not known is taken as it is."""
    found = _BY_POLICY.fullmatch(text)
    return Said(found["message"], found["policy"]) if found else Said(text)


def read_warning(text: str) -> Said:
    """Return what a warning says. Once all of a request are longer than 4096 characters, each is cut to 256."""
    return replace(read(text), cut=len(text) == WARNING_CUT)
