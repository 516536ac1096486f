"""Objects of one kind as they were last seen.

Versions only grow, as long as etcd's history is one. It is another one after etcd was restored from a backup: then what
was known is no knowledge any more, although its versions are larger. `Store.disproof` tells.

Objects are kept in a form that no reader can change: as typed views, or as trimmed JSON text, which takes a fifth of
the memory of dictionaries.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from nnunet_operator.kube.objects import Manifest
from nnunet_operator.runtime.keys import Key

S = TypeVar("S")
"""What is kept of an object beside itself: what it is counted by, or what others wait for a change of."""


class Form(Protocol):
    """How objects are kept."""

    def keep(self, body: Manifest) -> Any:
        """Return what is kept of an object."""

    def show(self, kept: Any) -> Any:
        """Return what readers get of it."""


@dataclass(frozen=True)
class Text:
    """As JSON text, for kinds of which much is read: each reader gets a copy."""

    trim: Callable[[Manifest], Manifest]
    """Returns the part of an object that is kept."""

    def keep(self, body: Manifest) -> str:
        """Return the text of an object."""
        return json.dumps(self.trim(body), separators=(",", ":"))

    def show(self, kept: str) -> Any:
        """Return a copy of the object."""
        return json.loads(kept)


@dataclass(frozen=True)
class View:
    """As a typed view, which can't be changed: all readers get the same."""

    of: Callable[[Manifest], Any]

    def keep(self, body: Manifest) -> Any:
        """Return the view of an object."""
        return self.of(body)

    def show(self, kept: Any) -> Any:
        """Return the view."""
        return kept


@dataclass(frozen=True, slots=True)
class Change(Generic[S]):
    """What became known of an object."""

    key: Key
    group: Key
    before: S | None = None
    """Its summary as it was known; None where it was not."""
    after: S | None = None
    """Its summary now; None where it is gone."""

    @property
    def differs(self) -> bool:
        """The summary is another one."""
        return self.before != self.after


@dataclass(frozen=True, slots=True)
class _Entry(Generic[S]):
    version: int
    group: Key
    summary: S | None
    kept: Any


@dataclass(frozen=True, slots=True)
class _Gone:
    kept: Any
    listed: bool = False
    """A full list was made since."""


class Store(Generic[S]):
    """Objects of one kind. An older version never replaces a newer one, whichever way it comes."""

    def __init__(
        self,
        form: Form,
        label: Callable[[Manifest], str],
        summarize: Callable[[Manifest], S | None] = lambda _: None,
        outlives: Callable[[Any], bool] = lambda _: False,
    ) -> None:
        """`label` returns the name of the group that objects are found by, `summarize` their summary.

        `outlives` tells of what is kept of an object whether it is of interest once the object is gone, see `left`.
        """
        self._form = form
        self._outlives = outlives
        self._left: dict[Key, dict[Key, _Gone]] = {}  # by group and key: what is gone
        self._label = label
        self._summarize = summarize
        self._entries: dict[Key, _Entry[S]] = {}
        self._groups: dict[Key, set[Key]] = {}
        self._removed: dict[Key, int] = {}  # version at which an object was removed
        self.revision = 0
        """Grows with each change."""
        self.newest = 0
        """The largest version that was seen: of an object, of its end, or of a list."""

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, body: Manifest) -> Change[S] | None:
        """Take an object over; return what that changed, None for nothing."""
        key, version = key_of(body), version_of(body)
        known = self._entries.get(key)
        if self._removed.get(key, -1) >= version or (known is not None and known.version >= version):
            return None
        change = self._set(key, self._read(body))
        self.newest = max(self.newest, version)
        return change

    def remove(self, key: Key, version: int) -> Change[S] | None:
        """Take over that an object is gone since a version; return what that changed, None for nothing."""
        self.newest = max(self.newest, version)
        known = self._entries.get(key)
        if known is not None and known.version > version:
            return None  # another of the same name has taken its place
        self._removed[key] = version
        return self._bury(key) if known else None

    def retain(
        self, listed: Iterable[Key], version: int, *, namespace: str = "", group: Key | None = None
    ) -> list[Change[S]]:
        """Drop what a full list of version `version` did not show; return what was dropped.

        The list may be that of one namespace, or of one group. What is newer than the list stays.
        """
        self.newest = max(self.newest, version)
        shown = set(listed)
        known = self._entries if group is None else self._groups.get(group, ())
        gone = [
            key
            for key in known
            if key not in shown and self._entries[key].version <= version and namespace in ("", key.namespace)
        ]
        if group is None:
            self._age_left(namespace)
        changes = [self._bury(key) for key in gone]
        if group is None:  # whoever reads a list as old as that has read it by now
            self._removed = {
                key: at for key, at in self._removed.items() if at > version or namespace not in ("", key.namespace)
            }
        return changes

    def disproof(self, listed: Mapping[Key, int], version: int, newest_before: int) -> str:
        """Return how a full list proves that what is known comes from a history that was replaced; empty if it doesn't.

        `listed` are the versions of what the list showed, `version` is that of the list itself, `newest_before` what
        `newest` was before the list was asked for. The list has to be a consistent one, as are all without a
        resourceVersion in the request: an answer of the API server's watch cache may be older than what a watch told.
        Such a list is a snapshot of the history at `version`, which is not smaller than any version seen before; and an
        object in it is not older than a version of it that is known and not larger than `version`. What a watch tells
        while the list is read is newer than the list, and proves nothing.
        """
        if version < newest_before:
            return f"is at version {version}, after {newest_before} was seen"
        found = ((key, at, self.last(key)) for key, at in listed.items())
        return next(
            (
                f"shows {key} at version {at}, after {known} was seen"
                for key, at, known in found
                if at < known <= version
            ),
            "",
        )

    def replace_by(self, other: "Store[S]") -> list[Change[S]]:
        """Take over what another store of this kind knows, and forget all else.

        Each object that was known is gone, and each that the other knows is new: no version of one history can be
        compared with one of the other.
        """
        gone = [Change(key, entry.group, before=entry.summary) for key, entry in self._entries.items()]
        new = [Change(key, entry.group, after=entry.summary) for key, entry in other._entries.items()]
        self._entries, self._groups, self._removed = other._entries, other._groups, other._removed
        self._left.clear()
        self.newest = other.newest
        self.revision += 1
        return gone + new

    def leave(self, namespace: str) -> list[Change[S]]:
        """Drop all objects of a namespace, which is gone; return what was dropped."""
        return [self._drop(key) for key in list(self._entries) if key.namespace == namespace]

    def version(self, key: Key) -> int:
        """Return the version of an object as it is known; -1 where it is not."""
        entry = self._entries.get(key)
        return entry.version if entry else -1

    def get(self, key: Key) -> Any:
        """Return an object in the form of its kind; None where it is not known."""
        entry = self._entries.get(key)
        return self._form.show(entry.kept) if entry else None

    def of(self, group: Key) -> tuple[Any, ...]:
        """Return the objects of a group, by name."""
        return tuple(self._form.show(self._entries[key].kept) for key in sorted(self._groups.get(group, ())))

    def left(self, group: Key) -> tuple[Any, ...]:
        """Return what is gone of a group and outlives that, as it was last seen, until it is forgotten.

        Watches may tell in one breath that an object came to something and that it is gone.
        """
        known = self._left.get(group, {})
        return tuple(self._form.show(known[key].kept) for key in sorted(known) if key not in self._entries)

    def forget_left(self, group: Key, keys: Iterable[Key]) -> bool:
        """Forget what is gone of a group, by key; return whether there was any of it."""
        known = self._left.get(group, {})
        found = [one for key in keys if (one := known.pop(key, None)) is not None]
        if not known:
            self._left.pop(group, None)
        return bool(found)

    def keys_of(self, group: Key) -> list[Key]:
        """Return the keys of the objects of a group."""
        return list(self._groups.get(group, ()))

    def group(self, body: Manifest) -> Key:
        """Return the group of an object: its namespace and what its kind is found by, for example a label."""
        return Key(key_of(body).namespace, self._label(body))

    def keys(self) -> list[Key]:
        """Return the keys of all objects."""
        return list(self._entries)

    def all(self) -> tuple[Any, ...]:
        """Return all objects, by name. Only for kinds of which there are few."""
        return tuple(self._form.show(self._entries[key].kept) for key in sorted(self._entries))

    def summaries(self) -> Iterable[tuple[Key, S]]:
        """Return the summary of each object that has one."""
        return [(key, entry.summary) for key, entry in self._entries.items() if entry.summary is not None]

    def last(self, key: Key) -> int:
        """Return the largest version at which an object is known to have been there, or to have gone; -1 for none."""
        return max(self.version(key), self._removed.get(key, -1))

    def _read(self, body: Manifest) -> _Entry[S]:
        return _Entry(version_of(body), self.group(body), self._summarize(body), self._form.keep(body))

    def _set(self, key: Key, entry: _Entry[S]) -> Change[S]:
        before = self._drop(key).before if key in self._entries else None
        self._entries[key] = entry
        self.revision += 1
        self._groups.setdefault(entry.group, set()).add(key)
        return Change(key, entry.group, before, entry.summary)

    def _bury(self, key: Key) -> Change[S]:
        """Drop what is gone, but for what is of interest of it."""
        entry = self._entries[key]
        if self._outlives(entry.kept):
            self._left.setdefault(entry.group, {})[key] = _Gone(entry.kept)
        return self._drop(key)

    def _age_left(self, namespace: str) -> None:
        """Forget what was gone at the full list before: whoever was to look at it has had the time."""
        for group in [group for group in self._left if namespace in ("", group.namespace)]:
            known = {key: _Gone(one.kept, listed=True) for key, one in self._left.pop(group).items() if not one.listed}
            if known:
                self._left[group] = known

    def _drop(self, key: Key) -> Change[S]:
        entry = self._entries.pop(key)
        self.revision += 1
        members = self._groups[entry.group]
        members.discard(key)
        if not members:
            del self._groups[entry.group]
        return Change(key, entry.group, before=entry.summary)


def key_of(body: Manifest) -> Key:
    """Return namespace and name of an object; the namespace is empty for kinds that have none."""
    metadata = body["metadata"]
    return Key(str(metadata.get("namespace", "")), str(metadata["name"]))


def version_of(body: Manifest) -> int:
    """Return the version of an object as a number."""
    # Of objects of one kind, the larger number is the later version: a promise of Kubernetes' API since 1.35,
    # and a fact before.
    return int(body["metadata"]["resourceVersion"])
