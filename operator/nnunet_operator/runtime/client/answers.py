"""What the answers of the API server mean, and of whatever stands in for it."""

import json
from typing import Any

from nnunet_operator.kube.objects import Manifest
from nnunet_operator.runtime.client.resources import Resource
from nnunet_operator.runtime.errors import ApiError, Unreachable


def parse(status: int, text: bytes, what: str, wait: float | None = None) -> Manifest:
    """Return the body of an answer, or raise what it means. `wait` are the seconds that the server asks for."""
    try:
        body: Any = json.loads(text)
    except (ValueError, RecursionError):
        body = None
    if status < 300:
        if isinstance(body, dict):
            return body
        # Something that stands in for the API server: the page of a proxy, or an answer that was cut off.
        raise Unreachable(f"{what}: the answer is no JSON object: {excerpt(text)} (HTTP {status})", wait)
    message = str(body.get("message") or "") if isinstance(body, dict) else excerpt(text)
    if status < 400 or status == 429 or status >= 500:
        raise Unreachable(f"{what}: {message} (HTTP {status})", wait, message)
    raise ApiError(status, message, what)


def object_of(body: Manifest, method: str, resource: Resource) -> Manifest:
    """Return an answer that is an object of the API. Raises Unreachable for anything else."""
    if not _is_object(body):
        raise Unreachable(f"{method} {resource.plural}: the answer is no object of the API: {excerpt(body)}")
    return body


def page_of(answer: Manifest, resource: Resource) -> tuple[list[Manifest], int, str]:
    """Return the objects of a page, the version of the list, and how to ask for the next page. Raises Unreachable."""
    metadata, items = answer.get("metadata"), answer.get("items")
    # An empty list may be null: it is what Go makes of none.
    items = [] if items is None and str(answer.get("kind", "")).endswith("List") else items
    version = metadata.get("resourceVersion") if isinstance(metadata, dict) else None
    if not isinstance(items, list) or not all(map(_is_object, items)) or not _is_version(version):
        raise Unreachable(f"GET {resource.plural}: the answer is no list of the API: {excerpt(answer)}")
    return items, int(str(version)), str(answer["metadata"].get("continue") or "")


def _is_object(body: Any) -> bool:
    metadata = body.get("metadata") if isinstance(body, dict) else None
    return isinstance(metadata, dict) and bool(metadata.get("name")) and _is_version(metadata.get("resourceVersion"))


def _is_version(value: Any) -> bool:
    return isinstance(value, str) and value.isascii() and value.isdigit()


def excerpt(answer: Any) -> str:
    """Return the beginning of an answer for the log, in one line."""
    text = answer.decode(errors="replace") if isinstance(answer, bytes) else json.dumps(answer)
    return " ".join(text[:200].split()) or "(empty)"
