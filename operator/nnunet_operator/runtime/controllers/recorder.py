"""Kubernetes Events on trainings and policies, for `kubectl describe`."""

import hashlib
import logging
from datetime import UTC, datetime

from nnunet_api.base import API_VERSION
from nnunet_operator.core.decision import Event
from nnunet_operator.kube.objects import Manifest
from nnunet_operator.runtime.client.client import Client
from nnunet_operator.runtime.client.resources import EVENTS
from nnunet_operator.runtime.errors import ApiError, Unreachable

log = logging.getLogger(__name__)

COMPONENT = "nnunet-operator"


class Recorder:
    """Records Events. One that gets lost is not worth a retry: the status says the same."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def record(self, about: Manifest, event: Event) -> None:
        """Record an Event on an object as it was stored with the status that the Event announces.

        The name derives from the version of that write, so that a repetition is refused as a duplicate.
        """
        log.log(logging.WARNING if event.type == "Warning" else logging.INFO, "%s: %s", event.reason, event.message)
        body = event_manifest(about, event, datetime.now(UTC))
        try:
            await self._client.create(EVENTS, body["metadata"]["namespace"], body)
        except ApiError as error:
            if error.status != 409:
                log.warning("event %s was not recorded: %s", event.reason, error)
        except Unreachable as error:
            log.warning("event %s was not recorded: %s", event.reason, error)


def event_manifest(about: Manifest, event: Event, now: datetime) -> Manifest:
    """Return the Event on an object as the API takes it; for one without a namespace it goes into `default`."""
    metadata = about["metadata"]
    namespace = metadata.get("namespace")
    identity = "\n".join((metadata["uid"], metadata["resourceVersion"], event.reason, event.message))
    digest = hashlib.sha256(identity.encode()).hexdigest()[:16]
    time = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "metadata": {"name": f"{metadata['name'][:200].rstrip('.-')}.{digest}", "namespace": namespace or "default"},
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": about["kind"],
            **({"namespace": namespace} if namespace else {}),
            "name": metadata["name"],
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
        },
        "type": event.type,
        "reason": event.reason,
        "message": event.message,
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "firstTimestamp": time,
        "lastTimestamp": time,
        "count": 1,
    }
