"""Jobs that were made or stopped and that no status tells of yet: their loss is noticed, or is known to be our doing.

The status tells of a Job a moment after its creation, because its pod shows by then; of one that was stopped as soon as
it can be written, and until then the training may be resumed. This is forgotten with the process, which costs no more
than one loss that is counted wrongly.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from nnunet_api.status import NnunetTrainingStatus
from nnunet_operator.core.losses import with_made, with_stopped
from nnunet_operator.runtime.keys import Key


class Made:
    """By training: names and UIDs of such Jobs."""

    def __init__(self) -> None:
        self._by_training: dict[Key, dict[str, str]] = {}

    def of(self, key: Key) -> Mapping[str, str]:
        """Return the UIDs of a training's Jobs by their names, as they are now."""
        return dict(self._by_training.get(key, {}))

    def add(self, key: Key, name: str, uid: str) -> None:
        """Note a Job."""
        self._by_training.setdefault(key, {})[name] = uid

    def told(self, key: Key, known: Mapping[str, str]) -> None:
        """Forget those of a training that its status tells of now; not what was made since."""
        left = {name: uid for name, uid in self.of(key).items() if known.get(name) != uid}
        if left:
            self._by_training[key] = left
        else:
            self._by_training.pop(key, None)

    def forget(self, key: Key) -> None:
        """Forget a training."""
        self._by_training.pop(key, None)


@dataclass(frozen=True)
class Untold:
    """What was done to a training's Jobs and no status tells of: UIDs by name."""

    made: Mapping[str, str]
    stopped: Mapping[str, str]

    def onto(self, status: NnunetTrainingStatus) -> NnunetTrainingStatus:
        """Return a status that tells of it, too."""
        made = {name: uid for name, uid in self.made.items() if self.stopped.get(name) != uid}
        return with_made(with_stopped(status, self.stopped), made)


class Deeds:
    """What this process has done to Jobs, by training."""

    def __init__(self) -> None:
        self._made, self._stopped = Made(), Made()
        self._deleted: dict[Key, set[str]] = {}

    def untold(self, key: Key) -> Untold:
        """Return what no status tells of yet, as it is now."""
        return Untold(self._made.of(key), self._stopped.of(key))

    def told(self, key: Key, known: Untold) -> None:
        """Forget what a status tells of now; not what was done since."""
        self._made.told(key, known.made)
        self._stopped.told(key, known.stopped)

    def made(self, key: Key, name: str, uid: str) -> None:
        """Note that a Job was made."""
        self._made.add(key, name, uid)

    def deleted(self, key: Key, name: str, uid: str, *, complete: bool) -> None:
        """Note that a Job was deleted."""
        self._deleted.setdefault(key, set()).add(uid)
        if not complete:  # one that is repeated for its lost evidence is counted with the status that says so
            self._stopped.add(key, name, uid)

    def has_deleted(self, key: Key, uid: str) -> bool:
        """Tell whether this process has deleted a Job."""
        return uid in self._deleted.get(key, ())

    def forget(self, key: Key) -> None:
        """Forget a training."""
        self._made.forget(key)
        self._stopped.forget(key)
        self._deleted.pop(key, None)
