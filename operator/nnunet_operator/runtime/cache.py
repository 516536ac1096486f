"""Trainings, Jobs, Pods, policies and namespaces as they were last seen.

Objects are kept as trimmed JSON text: a fifth of the memory of dictionaries, and no reader can change them.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable
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

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, body: Manifest) -> bool:
        """Take an object over; return whether that changed anything."""
        key, version = key_of(body), _version(body)
        known = self._entries.get(key)
        if self._removed.get(key, -1) >= version or (known is not None and known.version >= version):
            return False
        self._set(key, self._read(body))
        return True

    def remove(self, body: Manifest) -> bool:
        """Take over that an object is gone; return whether that changed anything."""
        key, version = key_of(body), _version(body)
        known = self._entries.get(key)
        if known is not None and known.version > version:
            return False  # another of the same name has taken its place
        self._removed[key] = version
        return self._drop(key)

    def retain(self, listed: Iterable[Key], version: int, *, namespace: str = "", group: Key | None = None) -> set[Key]:
        """Drop what a full list of version `version` did not show; return the groups of what was dropped.

        The list may be that of one namespace, or of one group. What is newer than the list stays.
        """
        shown = set(listed)
        known = self._entries if group is None else self._groups.get(group, ())
        gone = [
            key
            for key in known
            if key not in shown and self._entries[key].version <= version and namespace in ("", key.namespace)
        ]
        groups = {self._entries[key].group for key in gone}
        for key in gone:
            self._drop(key)
        if group is None:  # whoever reads a list as old as that has read it by now
            self._removed = {
                key: at for key, at in self._removed.items() if at > version or namespace not in ("", key.namespace)
            }
        return groups

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

    def _read(self, body: Manifest) -> _Entry:
        text = json.dumps(self._trim(body), separators=(",", ":"))
        return _Entry(_version(body), self.group(body), self._summarize(body), text)

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


def _version(body: Manifest) -> int:
    # Of objects of one kind, the larger number is the later version: a promise of Kubernetes' API since 1.35,
    # and a fact before.
    return int(body["metadata"]["resourceVersion"])


def _load(entry: _Entry) -> Any:
    return json.loads(entry.text)
