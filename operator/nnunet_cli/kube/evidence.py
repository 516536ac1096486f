"""What the cluster knows of a training beside its status: Jobs, pods, Events, quotas, claims."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nnunet_api.kueue import JOB_UID_LABEL
from nnunet_api.labels import TRAINING_LABEL, short_name
from nnunet_api.reasons import EventReason
from nnunet_cli.kube.answer import Refused
from nnunet_cli.kube.cluster import Cluster, Object
from nnunet_cli.kube.watched import Event, Watched, read_events, watched


@dataclass(frozen=True)
class Evidence:
    """All that an explanation rests on. None stands for what may not be read."""

    training: Watched
    spec: Mapping[str, Any]
    jobs: Sequence[Object] | None = ()
    pods: Sequence[Object] | None = ()
    warnings: Sequence[tuple[str, Event]] | None = ()
    """Warnings on its Jobs and pods, with kind and name of what they are about; oldest first."""
    status_refused: Event | None = None
    """The newest Event that tells that its status can't be written."""
    workloads: Sequence[Object] | None = ()
    """Kueue's, of those of its Jobs that are suspended or being deleted."""
    quotas: Sequence[Object] | None = ()
    claims: Mapping[str, str] | None = field(default_factory=dict)
    """Phase of each claim of the namespace, by name."""

    @property
    def claims_used(self) -> list[str]:
        """Names of the claims that the training mounts."""
        storage = self.spec.get("storage") or {}
        parts = [self.spec.get("dataset"), storage.get("preprocessed"), storage.get("results")]
        names = [str(part["claimName"]) for part in parts if part and part.get("claimName")]
        return list(dict.fromkeys(names))

    @property
    def unread(self) -> list[str]:
        """What may not be read."""
        parts = {"Jobs": self.jobs, "pods": self.pods, "Events": self.warnings}
        more = {"Kueue's Workloads": self.workloads, "quotas": self.quotas, "claims": self.claims}
        return [name for name, value in (parts | more).items() if value is None]


def gather(cluster: Cluster, training: Object, label: str = TRAINING_LABEL) -> Evidence:
    """Read all there is to a training, or by another label to a comparison."""
    namespace, name = training["metadata"]["namespace"], training["metadata"]["name"]
    labels = f"{label}={short_name(name)}"
    jobs = _read(lambda: cluster.jobs(namespace, labels))
    pods = _read(lambda: cluster.pods(namespace, labels))
    events = _read(lambda: cluster.events(namespace, "type=Warning"))
    claims = _read(lambda: cluster.claims(namespace))
    phases = {c["metadata"]["name"]: str((c.get("status") or {}).get("phase") or "Pending") for c in claims or []}
    return Evidence(
        training=watched(training),
        spec=training.get("spec") or {},
        jobs=jobs,
        pods=pods,
        warnings=None if events is None else _about(events, [*(jobs or []), *(pods or [])]),
        status_refused=_refused(events or [], training),
        workloads=_read(lambda: _workloads(cluster, namespace, jobs or [])),
        quotas=_read(lambda: cluster.quotas(namespace)),
        claims=None if claims is None else phases,
    )


def _workloads(cluster: Cluster, namespace: str, jobs: Sequence[Object]) -> list[Object]:
    uids = [job["metadata"]["uid"] for job in jobs if _may_be_held(job)]
    return cluster.workloads(namespace, f"{JOB_UID_LABEL} in ({','.join(uids)})") if uids else []


def _may_be_held(job: Object) -> bool:
    return bool((job.get("spec") or {}).get("suspend") or job["metadata"].get("deletionTimestamp"))


def _about(events: Sequence[Object], children: Sequence[Object]) -> list[tuple[str, Event]]:
    uids = {child["metadata"]["uid"] for child in children}
    ours = [item for item in events if item["involvedObject"].get("uid") in uids]
    found = []
    for item in ours:
        about = item["involvedObject"]
        found.append((f"{about['kind']} {about['name']}", read_events([item])[0]))
    return sorted(found, key=lambda pair: pair[1].time)


def _refused(events: Sequence[Object], training: Object) -> Event | None:
    uid = training["metadata"].get("uid")
    mine = [item for item in events if item["involvedObject"].get("uid") == uid]
    told = [item for item in mine if item.get("reason") == EventReason.STATUS_REFUSED]
    return read_events(told)[-1] if told else None


def _read(ask: Callable[[], list[Object]]) -> list[Object] | None:
    try:
        return ask()
    except Refused:
        return None
