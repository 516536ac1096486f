"""kopf's handlers. They hand over what was seen; everything else happens in `runtime`."""

from typing import Any

import kopf

from nnunet_operator.api.base import GROUP, VERSION
from nnunet_operator.api.labels import TRAINING_LABEL
from nnunet_operator.api.policy import PLURAL as POLICY_PLURAL
from nnunet_operator.api.training import PLURAL
from nnunet_operator.runtime.feed import Feed


def register(registry: kopf.OperatorRegistry, feed: Feed) -> None:
    """Add the handlers to kopf's registry. They must not block: kopf calls them in the event loop."""

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
    async def on_training(event: kopf.RawEvent, **_: Any) -> None:
        feed.heed(lambda: feed.training(event))

    @kopf.on.event(GROUP, VERSION, POLICY_PLURAL, registry=registry)
    async def on_policy(event: kopf.RawEvent, **_: Any) -> None:
        feed.heed(lambda: feed.policy(event))

    @kopf.on.event("", "v1", "namespaces", registry=registry)
    async def on_namespace(event: kopf.RawEvent, **_: Any) -> None:
        feed.heed(lambda: feed.namespace(event))

    @kopf.on.event("batch", "v1", "jobs", labels={TRAINING_LABEL: kopf.PRESENT}, registry=registry)
    async def on_job(event: kopf.RawEvent, **_: Any) -> None:
        feed.heed(lambda: feed.child("jobs", event))

    @kopf.on.event("", "v1", "pods", labels={TRAINING_LABEL: kopf.PRESENT}, registry=registry)
    async def on_pod(event: kopf.RawEvent, **_: Any) -> None:
        feed.heed(lambda: feed.child("pods", event))
