"""Trainings, Jobs, Pods, policies and namespaces as they were last seen.

Versions only grow, as long as etcd's history is one. It is another one after etcd was restored from a backup: then what
was known is no knowledge any more, although its versions are larger. `Store.disproof` tells.

Objects are kept as trimmed JSON text: a fifth of the memory of dictionaries, and no reader can change them.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nnunet_operator.api.labels import TRAINING_LABEL, short_name
from nnunet_operator.builders.model import Manifest
from nnunet_operator.runtime.keys import Key
from nnunet_operator.runtime.summary import Summary, summarize
from nnunet_operator.runtime.trim import trim_job, trim_namespace, trim_pod, trim_resource


@dataclass(frozen=True, slots=True)
class _Entry:
    version: int
    group: Key
    summary: Summary
    text: str


class Store:
    """Objects of one kind. An older version never replaces a newer one, whichever way it comes."""

    def __init__(
        self,
        trim: Callable[[Manifest], Manifest],
        label: Callable[[Manifest], str],
        summarize: Callable[[Manifest], Summary] = lambda _: Summary(),
    ) -> None:
        """`label` returns the training's label that objects are found by, `summarize` what they are counted by."""
        self._trim = trim
        self._label = label
        self._summarize = summarize
        self._entries: dict[Key, _Entry] = {}
        self._groups: dict[Key, set[Key]] = {}
        self._removed: dict[Key, int] = {}  # version at which an object was removed
        self.revision = 0
        """Grows with each change."""
        self.newest = 0
        """The largest version that was seen: of an object, of its end, or of a list."""

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, body: Manifest) -> bool:
        """Take an object over; return whether that changed anything."""
        key, version = key_of(body), version_of(body)
        known = self._entries.get(key)
        if self._removed.get(key, -1) >= version or (known is not None and known.version >= version):
            return False
        self._set(key, self._read(body))
        self.newest = max(self.newest, version)
        return True

    def remove(self, body: Manifest) -> bool:
        """Take over that an object is gone; return whether that changed anything."""
        key, version = key_of(body), version_of(body)
        self.newest = max(self.newest, version)
        known = self._entries.get(key)
        if known is not None and known.version > version:
            return False  # another of the same name has taken its place
        self._removed[key] = version
        return self._drop(key)

    def retain(
        self, listed: Iterable[Key], version: int, *, namespace: str = "", group: Key | None = None
    ) -> Mapping[Key, Key]:
        """Drop what a full list of version `version` did not show; return what was dropped, each with its group.

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
        groups = {key: self._entries[key].group for key in gone}
        for key in gone:
            self._drop(key)
        if group is None:  # whoever reads a list as old as that has read it by now
            self._removed = {
                key: at for key, at in self._removed.items() if at > version or namespace not in ("", key.namespace)
            }
        return groups

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

    def replace_by(self, other: "Store") -> set[Key]:
        """Take over what another store of this kind knows, and forget all else. Return all keys, also former ones."""
        keys = self._entries.keys() | other._entries.keys()
        self._entries, self._groups, self._removed = other._entries, other._groups, other._removed
        self.newest = other.newest
        self.revision += 1
        return keys

    def leave(self, namespace: str) -> Mapping[Key, Key]:
        """Drop all objects of a namespace, which is gone; return what was dropped, each with its group."""
        gone = {key: entry.group for key, entry in self._entries.items() if key.namespace == namespace}
        for key in gone:
            self._drop(key)
        return gone

    def version(self, key: Key) -> int:
        """Return the version of an object as it is known; -1 where it is not."""
        entry = self._entries.get(key)
        return entry.version if entry else -1

    def get(self, key: Key) -> Manifest | None:
        """Return a copy of an object."""
        entry = self._entries.get(key)
        return _load(entry) if entry else None

    def of(self, group: Key) -> tuple[Manifest, ...]:
        """Return copies of the objects with a training's label, by (namespace, value of the label)."""
        return tuple(_load(self._entries[key]) for key in sorted(self._groups.get(group, ())))

    def keys_of(self, group: Key) -> list[Key]:
        """Return the keys of the objects with a training's label."""
        return list(self._groups.get(group, ()))

    def group(self, body: Manifest) -> Key:
        """Return the group of an object: its namespace and the value of the training's label."""
        return Key(key_of(body).namespace, self._label(body))

    def keys(self) -> list[Key]:
        """Return the keys of all objects."""
        return list(self._entries)

    def all(self) -> tuple[Manifest, ...]:
        """Return copies of all objects, by name. Only for kinds of which there are few."""
        return tuple(_load(self._entries[key]) for key in sorted(self._entries))

    def summaries(self) -> list[tuple[Key, Summary]]:
        """Return what is counted of each object."""
        return [(key, entry.summary) for key, entry in self._entries.items()]

    def counts(self) -> Counter[str]:
        """Return the number of objects by their phase."""
        return Counter(entry.summary.phase for entry in self._entries.values())

    def last(self, key: Key) -> int:
        """Return the largest version at which an object is known to have been there, or to have gone; -1 for none."""
        return max(self.version(key), self._removed.get(key, -1))

    def _read(self, body: Manifest) -> _Entry:
        text = json.dumps(self._trim(body), separators=(",", ":"))
        return _Entry(version_of(body), self.group(body), self._summarize(body), text)

    def _set(self, key: Key, entry: _Entry) -> None:
        self._drop(key)
        self._entries[key] = entry
        self.revision += 1
        self._groups.setdefault(entry.group, set()).add(key)

    def _drop(self, key: Key) -> bool:
        entry = self._entries.pop(key, None)
        if entry is None:
            return False
        self.revision += 1
        members = self._groups[entry.group]
        members.discard(key)
        if not members:
            del self._groups[entry.group]
        return True


class Cache:
    """The kinds of objects that a look at a training needs."""

    def __init__(self) -> None:
        self.trainings = Store(trim_resource, lambda body: short_name(body["metadata"]["name"]), summarize)
        self.jobs = Store(trim_job, label_of)
        self.pods = Store(trim_pod, label_of)
        self.policies = Store(trim_resource, lambda body: str(body["metadata"]["name"]))
        self.namespaces = Store(trim_namespace, lambda body: str(body["metadata"]["name"]))

    def replace_by(self, other: "Cache") -> set[Key]:
        """Take over what another cache knows, at once. Return the keys of all trainings, former ones included."""
        self.jobs.replace_by(other.jobs)
        self.pods.replace_by(other.pods)
        self.policies.replace_by(other.policies)
        self.namespaces.replace_by(other.namespaces)
        return self.trainings.replace_by(other.trainings)


def label_of(body: Manifest) -> str:
    """Return the value of the label that names the training of a Job or Pod."""
    return str((body["metadata"].get("labels") or {}).get(TRAINING_LABEL, ""))


def group_of(training: Key) -> Key:
    """Return the group of a training's Jobs and Pods."""
    return Key(training.namespace, short_name(training.name))


def key_of(body: Manifest) -> Key:
    """Return namespace and name of an object; the namespace is empty for kinds that have none."""
    metadata = body["metadata"]
    return Key(str(metadata.get("namespace", "")), str(metadata["name"]))


def version_of(body: Manifest) -> int:
    """Return the version of an object as a number."""
    # Of objects of one kind, the larger number is the later version: a promise of Kubernetes' API since 1.35,
    # and a fact before.
    return int(body["metadata"]["resourceVersion"])


def _load(entry: _Entry) -> Any:
    return json.loads(entry.text)
