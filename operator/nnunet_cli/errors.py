"""How a command ends."""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes; --help lists them."""

    OK = 0
    FOUND = 1
    """Something is denied or invalid, has failed, or was not done."""
    USAGE = 2
    """Wrong usage; typer's own code for it."""
    CLUSTER = 3
    """The cluster can't be reached, or has not what it was asked for."""


class CliError(Exception):
    """Ends the command. The message says what is wrong and what to do about it."""

    def __init__(self, message: str, exit_code: ExitCode) -> None:
        super().__init__(message)
        self.exit_code = exit_code
