"""What is wrong with the head of an object, as Kubernetes checks it for all kinds: name, labels, annotations. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

Problem = tuple[str, str]
"""Field and message; the message begins with the field."""

FIELDS = (
    "name",
    "generateName",
    "namespace",
    "labels",
    "annotations",
    "finalizers",
    "ownerReferences",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
)
LONGEST_NAME = 253
LONGEST_LABEL = 63
MOST_ANNOTATIONS = 262_144
"""Bytes of all annotations together."""

_LONGEST_BEGINNING = 58
"""So many characters of generateName begin the name, five more follow."""
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_NAME = re.compile(rf"{_LABEL.pattern}(\.{_LABEL.pattern})*")
_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
_OF_NAMES = f"lower-case letters, digits, '-' and '.', at most {LONGEST_NAME}"
_OF_KEYS = "[PREFIX/]NAME of at most 63 letters, digits, '-', '_' and '.', which begins and ends with a letter or digit"


def problems(metadata: Any) -> Iterator[Problem]:
    """Yield what is wrong with metadata as somebody has written it."""
    if not isinstance(metadata, Mapping):
        yield "metadata.name", "metadata.name is not set, must be a name"
        return
    for key in metadata:
        if key not in FIELDS:
            field = f"metadata.{key}"
            yield field, f"{field} is no field of it: use name, namespace, labels and annotations"
    yield from _names(metadata)
    yield from _namespace(metadata.get("namespace"))
    for part in ("labels", "annotations"):
        yield from _words(part, metadata.get(part))


def _names(metadata: Mapping[str, Any]) -> Iterator[Problem]:
    name, beginning = metadata.get("name"), metadata.get("generateName")
    if beginning is not None and not isinstance(beginning, str):
        yield "metadata.generateName", f"metadata.generateName is {beginning!r:.100}, must be text"
    elif beginning and not name:
        if not _is_name(f"{beginning[:_LONGEST_BEGINNING]}xxxxx"):
            words = f"metadata.generateName is {beginning!r:.100}, must begin a name: of {_OF_NAMES}"
            yield "metadata.generateName", words
    elif name is not None and not isinstance(name, str):
        yield "metadata.name", f"metadata.name is {name!r:.100}, must be text: put it into quotes"
    elif not name:
        yield "metadata.name", "metadata.name is not set, must be a name"
    elif not _is_name(name):
        yield "metadata.name", f"metadata.name is {name!r:.100}, must be of {_OF_NAMES}"


def _namespace(name: Any) -> Iterator[Problem]:
    if name is not None and not isinstance(name, str):
        yield "metadata.namespace", f"metadata.namespace is {name!r:.100}, must be text: put it into quotes"
    elif name and not (len(name) <= LONGEST_LABEL and _LABEL.fullmatch(name)):
        words = f"must be of lower-case letters, digits and '-', at most {LONGEST_LABEL}"
        yield "metadata.namespace", f"metadata.namespace is {name!r:.100}, {words}"


def _is_name(text: str) -> bool:
    return len(text) <= LONGEST_NAME and _NAME.fullmatch(text) is not None


def _words(part: str, values: Any) -> Iterator[Problem]:
    """Yield what is wrong with labels or annotations."""
    field = f"metadata.{part}"
    if values is None:
        return
    if not isinstance(values, Mapping):
        yield field, f"{field} is {values!r:.100}, must be an object"
        return
    for key, value in values.items():
        of_labels = part == "labels"
        if not _is_key(key if of_labels else key.lower()):
            yield field, f"{field} has the key {key!r:.100}, must be {_OF_KEYS}"
        if value is not None and not isinstance(value, str):
            yield field, f"{field}[{key}] is {value!r:.100}, must be text: put it into quotes"
        elif of_labels and value and (len(value) > LONGEST_LABEL or not _VALUE.fullmatch(value)):
            words = f"of at most {LONGEST_LABEL} letters, digits, '-', '_' and '.', beginning and ending with a letter"
            yield field, f"{field}[{key}] is {value!r:.100}, must be {words} or digit"
    size = sum(len(str(text).encode()) for pair in values.items() for text in pair)
    if part == "annotations" and size > MOST_ANNOTATIONS:
        yield field, f"{field} has {size} bytes, may have at most {MOST_ANNOTATIONS}"


def _is_key(key: str) -> bool:
    prefix, slash, name = key.rpartition("/")
    if slash and not _is_name(prefix):
        return False
    return 0 < len(name) <= LONGEST_LABEL and _VALUE.fullmatch(name) is not None
