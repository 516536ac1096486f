"""What a training names that makes it one pod or another, and what lists of allowed names say of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nnunet_api.policy.model import Rule, Rules
from nnunet_api.training import NnunetTrainingSpec

DEFAULT_SERVICE_ACCOUNT = "default"
"""What Kubernetes gives a pod that names none."""
ANY_TAINT = "*"
"""Stands for the key of a toleration that has none, and by that tolerates every taint."""


@dataclass(frozen=True)
class Named:
    """What a field names, and the list that says whether it may."""

    rule: Rule
    allowed: Sequence[str] | None
    """None where the rule is not given."""
    field: str
    """Path of the field, from spec on."""
    names: Sequence[str]
    single: bool = False
    """Whether the field holds one name, and not a list or a map of them."""

    @property
    def strange(self) -> list[str]:
        """What it names that is not in the list, in the order of the alphabet."""
        if self.allowed is None:
            return []
        return sorted(name for name in self.names if not is_allowed(name, self.allowed))


def is_allowed(name: str, allowed: Sequence[str]) -> bool:
    """Say whether a name is in a list of names and of beginnings of names, which end with *."""
    return any(name.startswith(one[:-1]) if one.endswith("*") else name == one for one in allowed)


def is_allowed_image(image: str, allowed: Sequence[str]) -> bool:
    """Say whether an image is of one of these repositories, in one of these folders, or one of these by digest."""
    return any(_is_of(image, one) for one in allowed)


def _is_of(image: str, one: str) -> bool:
    if one.endswith("/*"):
        return image.startswith(one[:-1])
    # What follows the repository is a tag or a digest. With a / in it, it would be the port of another registry.
    return image == one or (image.startswith((f"{one}:", f"{one}@")) and "/" not in image[len(one) :])


def named(spec: NnunetTrainingSpec, rules: Rules) -> Iterator[Named]:
    """Yield what a training names, but its image, in the order of `Rule`."""
    pod, storage, resources = spec.pod_template, spec.storage, spec.resources

    def one(rule: Rule, allowed: Sequence[str] | None, field: str, name: str | None) -> Named:
        return Named(rule, allowed, field, [name] if name else [], single=True)

    yield one(Rule.CLAIMS, rules.allowed_claims, "spec.dataset.claimName", spec.dataset.claim_name)
    for part, claim in (("preprocessed", storage.preprocessed), ("results", storage.results)):
        yield one(Rule.CLAIMS, rules.allowed_claims, f"spec.storage.{part}.claimName", claim.claim_name)
    device = resources.gpu_resource_name if resources.gpus else None
    yield one(Rule.GPU_RESOURCES, rules.allowed_gpu_resources, "spec.resources.gpuResourceName", device)
    account = pod.service_account_name or DEFAULT_SERVICE_ACCOUNT
    yield one(Rule.SERVICE_ACCOUNTS, rules.allowed_service_accounts, "spec.podTemplate.serviceAccountName", account)
    priority, runtime = pod.priority_class_name, pod.runtime_class_name
    yield one(Rule.PRIORITY_CLASSES, rules.allowed_priority_classes, "spec.podTemplate.priorityClassName", priority)
    queued = spec.queue_priority_class_name
    yield one(Rule.PRIORITY_CLASSES, rules.allowed_priority_classes, "spec.queuePriorityClassName", queued)
    yield one(Rule.RUNTIME_CLASSES, rules.allowed_runtime_classes, "spec.podTemplate.runtimeClassName", runtime)
    secrets = [secret.name for secret in pod.image_pull_secrets]
    taints = [_taint(toleration) for toleration in pod.tolerations]
    yield Named(Rule.PULL_SECRETS, rules.allowed_image_pull_secrets, "spec.podTemplate.imagePullSecrets", secrets)
    yield Named(Rule.POD_LABELS, rules.allowed_pod_labels, "spec.podTemplate.labels", list(pod.labels))
    yield Named(
        Rule.POD_ANNOTATIONS, rules.allowed_pod_annotations, "spec.podTemplate.annotations", list(pod.annotations)
    )
    yield Named(
        Rule.NODE_SELECTORS, rules.allowed_node_selectors, "spec.podTemplate.nodeSelector", list(pod.node_selector)
    )
    yield Named(Rule.TOLERATIONS, rules.allowed_tolerations, "spec.podTemplate.tolerations", taints)
    yield Named(Rule.AFFINITY, rules.allowed_affinity, "spec.podTemplate.affinity", list(pod.affinity or {}))


def _taint(toleration: Mapping[str, Any]) -> str:
    """Return the key of the taint; what Kubernetes would refuse to read counts as no key."""
    key = toleration.get("key")
    return key if isinstance(key, str) and key else ANY_TAINT
