"""What is reconciled, and which changes are a reason to."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from nnunet_operator.runtime.client.resources import Resource
from nnunet_operator.runtime.informers.informer import Cache
from nnunet_operator.runtime.informers.store import Change
from nnunet_operator.runtime.keys import Key, Request
from nnunet_operator.runtime.queue.workers import Outcome

Concerned = Callable[[Cache, Sequence[Change[Any]]], Iterable[Key]]
"""Returns the objects of a controller's kind that changes of another kind are a reason to reconcile."""


@dataclass(frozen=True)
class Reason:
    """Changes of a kind that are a reason to reconcile."""

    resource: Resource
    concerned: Concerned
    delay: float = 0.0
    """Seconds until it is due. What comes in bursts is reconciled once at the end; what is due at once comes first."""
    others: bool = False
    """It concerns others than what has changed: also a change that the controller has made itself is news to them."""


@dataclass(frozen=True)
class Controller:
    """Brings the objects of one kind to what they should be."""

    resource: Resource
    owns: tuple[Reason, ...]
    """Also for its own kind: a user's change of the object itself."""
    reconcile: Callable[[Key], Awaitable[Outcome]]
    at_once: int = 1
    """Objects that are reconciled at the same time. There are as many workers as all controllers ask for together."""

    def request(self, key: Key) -> Request:
        """Return what the queue holds for an object."""
        return Request(self.resource.kind, *key)


def itself(_: Cache, changes: Sequence[Change[Any]]) -> Iterable[Key]:
    """Reconcile whatever has changed."""
    return (change.key for change in changes)


def itself_where_it_differs(_: Cache, changes: Sequence[Change[Any]]) -> Iterable[Key]:
    """Reconcile what has changed in what its informer summarizes: not for a status, for example, that we write."""
    return (change.key for change in changes if change.differs)
