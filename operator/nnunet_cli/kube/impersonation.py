"""Acting as somebody else, where the kubeconfig says so (`as`, `as-uid`, `as-groups`, `as-user-extra`).

kubectl does; the official client passes over the fields and acts as the person whose credentials they are, who may do
more. https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

Headers = tuple[tuple[str, str], ...]
"""A name may stand there more than once."""


def headers_of(user: Mapping[str, Any]) -> Headers:
    """Return the headers by which a user's entry of a kubeconfig acts as somebody else; none where it does not.

    Raises ValueError where the fields have not the form of it: acting as the wrong person is no way out.
    """
    name, uid, groups, extra = (user.get(key) for key in ("as", "as-uid", "as-groups", "as-user-extra"))
    if not (name or uid or groups or extra):
        return ()
    if not name:
        raise ValueError("there is as-uid, as-groups or as-user-extra without as")
    if not isinstance(name, str) or not isinstance(uid or "", str) or not _texts(groups or []):
        raise ValueError("as and as-uid of its user have to be texts, as-groups a list of texts")
    if not isinstance(extra or {}, Mapping) or not all(_texts(values) for values in (extra or {}).values()):
        raise ValueError("as-user-extra of its user has to hold lists of texts")
    found = [("Impersonate-User", name)]
    found += [("Impersonate-Uid", uid)] if uid else []
    found += [("Impersonate-Group", group) for group in groups or []]
    found += [
        (f"Impersonate-Extra-{quote(str(key).lower(), safe='')}", value)
        for key, values in (extra or {}).items()
        for value in values
    ]
    # Nobody's name has a line break; one would be a header of its own.
    if any(not value.isprintable() for _, value in found):
        raise ValueError("as, as-uid, as-groups or as-user-extra of its user have characters that no header takes")
    return tuple(found)


def impersonate(client: Any, headers: Headers) -> None:
    """Let a client send these headers with each request of its own; websockets need `in_websockets` besides."""
    from urllib3 import HTTPHeaderDict

    send = client.rest_client.request

    def request(method: str, url: str, headers: Mapping[str, str] | None = None, **rest: Any) -> Any:
        # A plain dict holds one group only, and two in one header are one group with a comma.
        all_ = HTTPHeaderDict(headers or {})
        for name, value in given:
            all_.add(name, value)
        return send(method, url, headers=all_, **rest)

    given = headers
    client.rest_client.request = request


@contextmanager
def in_websockets(headers: Headers) -> Iterator[None]:
    """Let websockets that the official client opens meanwhile send these headers: it takes none but two of its own."""
    from kubernetes.stream import ws_client
    from websocket import WebSocket

    class Impersonating(WebSocket):
        """Sends the headers when it connects."""

        def connect(self, url: str, **options: Any) -> None:
            options["header"] = [*options.get("header", []), *(f"{name}: {value}" for name, value in headers)]
            connect: Any = super().connect
            connect(url, **options)

    ws_client.WebSocket = Impersonating
    try:
        yield
    finally:
        ws_client.WebSocket = WebSocket


def _texts(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)
