"""What the caches are asked by, and what the queue holds."""

from typing import NamedTuple


class Key(NamedTuple):
    """Namespace and name of an object; the namespace is empty for kinds that have none."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


class Request(NamedTuple):
    """An object that is to be reconciled."""

    kind: str
    namespace: str
    name: str

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return Key(self.namespace, self.name)

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"
