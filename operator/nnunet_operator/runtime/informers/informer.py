"""What is known of one kind: which objects are listed and watched, what is kept of them; and all kinds together."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nnunet_operator.kube.objects import Manifest
from nnunet_operator.runtime.client.resources import Resource
from nnunet_operator.runtime.informers.store import Change, Form, Store

Changes = Mapping[Resource, list[Change[Any]]]


def name_of(body: Manifest) -> str:
    """Return the name of an object."""
    return str(body["metadata"]["name"])


def _nothing(_: Manifest) -> None:
    return None


def _never(_: Any) -> bool:
    return False


@dataclass(frozen=True)
class Informer:
    """How the objects of one kind are listed, watched and kept."""

    resource: Resource
    form: Form
    """How its objects are kept."""
    label: Callable[[Manifest], str] = name_of
    """Returns the name of the group that an object is found by, within its namespace."""
    summarize: Callable[[Manifest], Any] = _nothing
    """Returns what is kept beside the object. A change of it is what `Change.differs` tells."""
    outlives: Callable[[Any], bool] = _never
    """Tells of what is kept of an object whether it is of interest also once the object is gone."""
    selector: str = ""
    """The label that an object must have."""
    in_namespaces: bool = True
    """The objects are in namespaces. Those that are not are listed first: the others are judged by them."""
    needed: bool = False
    """A list with an object that can't be read counts as failed. Elsewhere such an object is left out."""

    def store(self) -> Store[Any]:
        """Return an empty store."""
        return Store(self.form, self.label, self.summarize, self.outlives)


class Cache:
    """The stores of all kinds."""

    def __init__(self, informers: Iterable[Informer]) -> None:
        self.informers = tuple(informers)
        self._stores = {informer.resource: informer.store() for informer in self.informers}

    def __getitem__(self, resource: Resource) -> Store[Any]:
        return self._stores[resource]

    def empty(self) -> "Cache":
        """Return a cache for the same kinds with nothing in it."""
        return Cache(self.informers)

    def replace_by(self, other: "Cache") -> Changes:
        """Take over what another cache of these kinds knows, at once."""
        return {resource: store.replace_by(other[resource]) for resource, store in self._stores.items()}

    def __str__(self) -> str:
        return ", ".join(f"{len(store)} {resource.plural}" for resource, store in self._stores.items())
