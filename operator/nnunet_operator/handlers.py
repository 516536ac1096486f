"""kopf's handlers. They hand over what was seen; everything else happens in `runtime`."""

from collections.abc import Iterable
from typing import Any

import kopf

from nnunet_operator.runtime.informers.feed import Take
from nnunet_operator.runtime.informers.informer import Informer


def register(registry: kopf.OperatorRegistry, informers: Iterable[Informer], take: Take) -> None:
    """Add a handler for each kind to kopf's registry. `take` must not block: kopf calls it in the event loop."""
    for informer in informers:
        _register(registry, informer, take)


def _register(registry: kopf.OperatorRegistry, informer: Informer, take: Take) -> None:
    resource = informer.resource
    labels = {informer.selector: kopf.PRESENT} if informer.selector else None

    @kopf.on.event(resource.group, resource.version, resource.plural, labels=labels, registry=registry)
    async def on_event(event: kopf.RawEvent, **_: Any) -> None:
        take(resource, event)
