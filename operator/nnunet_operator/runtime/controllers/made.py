"""Jobs that were made or stopped and that no status tells of yet: their loss is noticed, or is known to be our doing.

The status tells of a Job a moment after its creation, because its pod shows by then; of one that was stopped as soon as
it can be written, and until then the training may be resumed. This is forgotten with the process, which costs no more
than one loss that is counted wrongly.
"""

from collections.abc import Mapping

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
