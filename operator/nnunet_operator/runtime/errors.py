"""What can go wrong between the operator and the API server."""


class ApiError(Exception):
    """The API server answered with an error."""

    def __init__(self, status: int, message: str, what: str) -> None:
        """`what` is the request, for the log."""
        super().__init__(f"{what}: {message} (HTTP {status})")
        self.status = status
        self.message = message

    @property
    def refused(self) -> bool:
        """The server understood and said no; asking again changes nothing."""
        return self.status in (400, 403, 405, 413, 422)


class Unreachable(Exception):
    """The API server did not answer, or can't for now."""


class Conflict(Exception):
    """An object has changed since it was last seen: look at it again before writing."""
