"""What kubectl reads in YAML and JSON, which is what Go's libraries read: go.yaml.in/yaml/v2 and encoding/json. Pure.

PyYAML reads YAML 1.1 in full: there 1e-2 is text, 16:40 is a thousand, and 12e4 is text. Go's reads most of 1.2.
"""

import base64
import binascii
import io
import json
import math
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.resolver import Resolver

LARGEST_WHOLE = 1e21
"""Go writes whole numbers below it without point or exponent, so they reach the API server as integers."""
MOST_VALUES = 100_000
"""Values of a document with its aliases written out. Go refuses far fewer where they come from aliases."""

_PREFIX = "tag:yaml.org,2002:"
_INT, _FLOAT, _BINARY = (_PREFIX + name for name in ("int", "float", "binary"))
_BY_VALUE = {_PREFIX + name for name in ("bool", "int", "float", "null", "timestamp")}
_IMPLICIT, _QUOTED = "", "!"
"""Tags of what is written without one: plain, and in quotes."""
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
_WHOLE = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[oO]?([0-7]+)|0[bB]([01]+)|(0|[1-9][0-9]*))")
_BASES = (16, 8, 2, 10)
_LONGEST_WHOLE = 80
"""Characters; 64 bits, written in bits, have fewer."""
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].*)?")
_SLASH = re.compile(r"(?<!\\)(?:\\\\)*\\/")
_BLANKS = (" ", "\t", "\r", "\n")


class Unreadable(Exception):
    """A document that kubectl does not read, or not as a whole."""


# libyaml's scanner is the one that Go's was made from, tabs included.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Composer(Composer, Resolver):
    """Makes the nodes of documents. An anchor that is given anew counts from there on, as YAML and Go have it."""

    def __init__(self, text: bytes) -> None:
        super().__init__()
        Resolver.__init__(self)
        # Only where there is something to look for: the marks of events count characters.
        self._text = text.decode(errors="replace") if b"\\/" in text else ""
        self._events = yaml.parse(text, _LOADER)
        self._next: Any = next(self._events)

    def peek_event(self) -> Any:
        """Return what comes next."""
        return self._next

    def get_event(self) -> Any:
        """Return what comes next, and go on. Raises Unreadable for an escape that Go does not know."""
        event, self._next = self._next, next(self._events, None)
        if self._text and isinstance(event, yaml.ScalarEvent) and event.style == '"':
            begin, end = event.start_mark, event.end_mark
            if begin and end and _SLASH.search(self._text[begin.index : end.index]):
                raise Unreadable("\\/ stands in double quotes, which kubectl does not read: write / alone")
        return event

    def check_event(self, *choices: type[yaml.Event]) -> bool:
        """Say whether what comes next is one of these."""
        return isinstance(self._next, choices)

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Return the next node."""
        if not isinstance(self._next, yaml.AliasEvent):
            self.anchors.pop(self._next.anchor, None)
        return super().compose_node(parent, index)

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> Any:
        """Return the tag of a node that has none: what is plain gets none, either."""
        if kind is not yaml.ScalarNode:
            return super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]
        return _IMPLICIT if implicit[0] else _QUOTED


def read_stream(data: bytes) -> Iterator[Any]:
    """Yield the documents of a file. Raises Unreadable, yaml.YAMLError or RecursionError where one can't be read."""
    if data.lstrip().startswith(b"{"):
        found, rest = _json_documents(data)
        yield from found
        if rest is None:
            return
        data = rest
    for text in _split(data):
        yield read_yaml(text)


def read_yaml(text: bytes) -> Any:
    """Return the only document of a text, as JSON has it. Raises Unreadable, yaml.YAMLError or RecursionError."""
    composer = _Composer(text)
    first = composer.get_node() if composer.check_node() else None
    if composer.check_node():
        raise Unreadable("a second document follows without a line --- before it: kubectl passes over it")
    return None if first is None else _Reader().value(first)


def read_scalar(text: str) -> Any:
    """Return what text without quotes stands for: None, a truth value, a number, or the text itself."""
    if text in _WORDS:
        return _WORDS[text]
    if text[:1] not in set("+-.0123456789") or _DATE.fullmatch(text):
        return text
    plain = text if text.startswith(".") else text.replace("_", "")
    if (whole := _whole(plain)) is not None:
        return whole
    if _NUMBER.fullmatch(plain) and math.isfinite(number := float(plain)):
        return number
    return text


def _whole(text: str) -> int | None:
    """Return a whole number, in Go's ways to write one; None for what is none, or has more than 64 bits."""
    found = _WHOLE.fullmatch(text)
    if found is None or len(text) > _LONGEST_WHOLE:
        return None
    sign, *digits = found.groups()
    value = next(int(each, base) for each, base in zip(digits, _BASES, strict=True) if each is not None)
    value = -value if sign == "-" else value
    return value if -(2**63) <= value < (2**63 if sign else 2**64) else None


class _Reader:
    """Makes values of the nodes of one document."""

    def __init__(self) -> None:
        self._open: set[int] = set()
        self._left = MOST_VALUES

    def value(self, node: yaml.Node) -> Any:
        """Return the value of a node and all that is in it. Raises Unreadable."""
        self._left -= 1
        if self._left < 0:
            raise Unreadable(f"it has more than {MOST_VALUES} values, with its aliases written out")
        if isinstance(node, yaml.ScalarNode):
            return _as_json(_scalar(node))
        if id(node) in self._open:
            raise Unreadable("an anchor contains itself")
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self.value(item) for item in node.value]
            return self._mapping(node)
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: yaml.Node) -> dict[str, Any]:
        found: dict[str, Any] = {}
        given: set[str] = set()
        for key_node, value_node in node.value:
            if _merges(key_node):
                # Go lets what is merged win over the keys before it.
                for part in self._merged(value_node):
                    found |= part
                continue
            key = _key(key_node)
            if key in given:
                # kubectl sends the last of them and says nothing: nobody means that.
                raise Unreadable(f"{key} is given twice")
            given.add(key)
            found[key] = self.value(value_node)
        return found

    def _merged(self, node: yaml.Node) -> Iterator[dict[str, Any]]:
        # The first of a list wins, so it comes last.
        parts = node.value[::-1] if isinstance(node, yaml.SequenceNode) else [node]
        for part in parts:
            if not isinstance(part, yaml.MappingNode):
                raise Unreadable("<< has to merge a mapping")
            yield self.value(part)


def _scalar(node: yaml.ScalarNode) -> Any:
    text = str(node.value)
    if node.tag == _IMPLICIT:
        return read_scalar(text)
    if node.tag == _BINARY:
        digits = "".join(text.split())
        try:
            if len(digits) % 4:
                raise binascii.Error("too much or too little")  # which Python takes where it is too much
            return base64.b64decode(digits, validate=True).decode(errors="replace")
        except binascii.Error:
            raise Unreadable("what is tagged !!binary is not in base64") from None
    if node.tag not in _BY_VALUE:
        return text  # Go takes tags that it does not know for none
    value = read_scalar(text)
    kind = _PREFIX + ("timestamp" if _DATE.fullmatch(text) else _KINDS[type(value)])
    if kind == _INT and node.tag == _FLOAT:
        return float(value)
    if kind != node.tag:
        raise Unreadable(f"{text[:80]!r} is no {node.tag.removeprefix(_PREFIX)}, as its tag says")
    return value


_KINDS = {bool: "bool", int: "int", float: "float", str: "str", type(None): "null"}


def _merges(key: yaml.Node) -> bool:
    return isinstance(key, yaml.ScalarNode) and key.value == "<<" and key.tag in (_IMPLICIT, _PREFIX + "merge")


def _key(node: yaml.Node) -> str:
    """Return the key of an object in JSON: kubectl makes words of numbers and truth values."""
    if not isinstance(node, yaml.ScalarNode):
        raise Unreadable("a key is a mapping or a list: give a word")
    key = _scalar(node)
    if key is None:
        raise Unreadable("a key is null: give a word")
    if isinstance(key, bool):
        return str(key).lower()
    return f"{key:g}" if isinstance(key, float) else str(key)


def _as_json(value: Any) -> Any:
    """Return a number as it reaches the API server. Raises Unreadable for what JSON has no form for."""
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
        value = float(value)
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        raise Unreadable(f"it holds {value}, which JSON has no form for")
    # Of the shortest digits that mean it, as Go writes it.
    return int(Decimal(repr(value))) if value.is_integer() and abs(value) < LARGEST_WHOLE else value


def _split(data: bytes) -> Iterator[bytes]:
    """Yield the documents of a YAML file as kubectl takes it apart, by its lines. Raises Unreadable."""
    lines: list[bytes] = []
    begun = False
    for line in io.BytesIO(data):
        if not line.startswith(b"---"):
            lines.append(line)
            continue
        after = line[3:].strip()
        if after and not after.startswith(b"#"):
            words = after[:40].decode(errors="replace")
            raise Unreadable(f"{words!r} stands behind ---: put it on a line of its own")
        if lines or begun:  # an empty document counts as one, but for what is before the first line
            yield b"".join(lines)
        lines, begun = [], True
    if lines:
        yield b"".join(lines)


def _json_documents(data: bytes) -> tuple[list[Any], bytes | None]:
    """Return the JSON objects that a file begins with, and the rest where that is none and may be YAML."""
    text = data.decode()
    decoder = json.JSONDecoder(
        object_pairs_hook=_object, parse_int=_json_whole, parse_float=_json_number, parse_constant=_no_number
    )
    found: list[Any] = []
    place = _past_blanks(text, 0)
    while place < len(text):
        try:
            value, end = decoder.raw_decode(text, place)
        except ValueError as error:
            if len(found) > 1:
                raise Unreadable(f"it is no JSON that can be read: {error}") from None
            return found, text[place:].encode()
        found.append(value)
        place = _past_blanks(text, end)
    return found, None


def _past_blanks(text: str, place: int) -> int:
    while text[place : place + 1] in _BLANKS:
        place += 1
    return place


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise Unreadable(f"{key} is given twice")
        found[key] = value
    return found


def _json_whole(text: str) -> Any:
    return _as_json(int(text) if len(text) <= 20 else float(text))


def _json_number(text: str) -> Any:
    return _as_json(float(text))


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number in JSON")
