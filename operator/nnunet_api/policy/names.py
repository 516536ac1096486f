"""What a training names that makes it one pod or another, and what lists of allowed names say of it."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nnunet_api.local_copy import LOCAL_COPY_FIELD
from nnunet_api.pod_template import SecurityContext, SecurityProfile
from nnunet_api.policy.model import Rule, Rules
from nnunet_api.training import NnunetTrainingSpec

DEFAULT_SERVICE_ACCOUNT = "default"
"""What Kubernetes gives a pod that names none."""
ANY_TAINT = "*"
"""Stands for the key of a toleration that has none, and by that tolerates every taint."""
CLAIM_TEMPLATES = "resourceclaimtemplates/"
"""Before the name of a ResourceClaimTemplate, beside extended resources."""
STORAGE_CLASSES = "storageclasses/"
"""Before the name of a StorageClass of which pods get claims of their own, beside claims."""
UNSET = "unset"
"""Stands for the user or group that a security context leaves to image and cluster."""


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


_ELSEWHERE = re.compile("/[.]{0,2}/")


def is_allowed_image(image: str, allowed: Sequence[str]) -> bool:
    """Say whether an image is of one of these repositories, in one of these folders, or one of these by digest."""
    return any(_is_of(image, one) for one in allowed)


def _is_of(image: str, one: str) -> bool:
    if one.endswith("/*"):
        # Runtimes take no name with such a part today. A mirror that is asked by an address could be led elsewhere.
        return image.startswith(one[:-1]) and not _ELSEWHERE.search(image)
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
    copy = storage.preprocessed.local_copy
    of_copy = f"{STORAGE_CLASSES}{copy.claim.storage_class_name}" if copy and copy.claim else None
    yield one(Rule.CLAIMS, rules.allowed_claims, f"{LOCAL_COPY_FIELD}.claim.storageClassName", of_copy)
    begins = spec.initial_weights
    claim_of_weights = begins.claim.claim_name if begins and begins.claim else None
    yield one(Rule.CLAIMS, rules.allowed_claims, "spec.initialWeights.claim.claimName", claim_of_weights)
    field, device = "spec.resources.gpuResourceName", resources.gpu_resource_name if resources.gpus else None
    if device and resources.gpu_claim_template_name:
        field, device = "spec.resources.gpuClaimTemplateName", f"{CLAIM_TEMPLATES}{resources.gpu_claim_template_name}"
    yield one(Rule.GPU_RESOURCES, rules.allowed_gpu_resources, field, device)
    account = pod.service_account_name or DEFAULT_SERVICE_ACCOUNT
    yield one(Rule.SERVICE_ACCOUNTS, rules.allowed_service_accounts, "spec.podTemplate.serviceAccountName", account)
    priority, runtime = pod.priority_class_name, pod.runtime_class_name
    yield one(Rule.PRIORITY_CLASSES, rules.allowed_priority_classes, "spec.podTemplate.priorityClassName", priority)
    queued = spec.queue_priority_class_name
    yield one(Rule.PRIORITY_CLASSES, rules.allowed_priority_classes, "spec.queuePriorityClassName", queued)
    yield one(Rule.RUNTIME_CLASSES, rules.allowed_runtime_classes, "spec.podTemplate.runtimeClassName", runtime)
    secrets = [secret.name for secret in pod.image_pull_secrets]
    taints = [toleration.key or ANY_TAINT for toleration in pod.tolerations]
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
    identity = _identity(pod.security_context)
    yield Named(Rule.SECURITY_CONTEXT, rules.allowed_security_context, "spec.podTemplate.securityContext", identity)
    yield from _read(spec, rules)
    annotations = list(pod.job_annotations)
    yield Named(Rule.JOB_ANNOTATIONS, rules.allowed_job_annotations, "spec.podTemplate.jobAnnotations", annotations)
    weights = begins.named if begins else None
    yield one(Rule.INITIAL_WEIGHTS, rules.allowed_initial_weights, "spec.initialWeights", weights)


def _read(spec: NnunetTrainingSpec, rules: Rules) -> Iterator[Named]:
    """Yield the Secrets and ConfigMaps that a training reads."""
    env, volumes = "spec.trainer.env.valueFrom", "spec.podTemplate.volumes"
    sources = [variable.value_from for variable in spec.trainer.env if variable.value_from]
    own = spec.pod_template.volumes
    secrets = [source.secret_key_ref.name for source in sources if source.secret_key_ref]
    yield Named(Rule.SECRETS, rules.allowed_secrets, f"{env}.secretKeyRef", secrets)
    files = [volume.secret.secret_name for volume in own if volume.secret]
    yield Named(Rule.SECRETS, rules.allowed_secrets, f"{volumes}.secret", files)
    maps = [source.config_map_key_ref.name for source in sources if source.config_map_key_ref]
    yield Named(Rule.CONFIG_MAPS, rules.allowed_config_maps, f"{env}.configMapKeyRef", maps)
    files = [volume.config_map.name for volume in own if volume.config_map]
    yield Named(Rule.CONFIG_MAPS, rules.allowed_config_maps, f"{volumes}.configMap", files)


def _identity(given: SecurityContext | None) -> list[str]:
    """Return what a security context says on who the pods are; leaving a user out is a choice as well."""
    if given is None:
        return []
    ids = {"runAsUser": given.run_as_user, "runAsGroup": given.run_as_group}
    linux = given.se_linux_options.to_json_dict() if given.se_linux_options else {}
    return [
        *(f"{field}/{UNSET if value is None else value}" for field, value in ids.items()),
        *([] if given.fs_group is None else [f"fsGroup/{given.fs_group}"]),
        *(f"supplementalGroups/{group}" for group in given.supplemental_groups),
        *(f"seLinuxOptions/{field}" for field in linux),
        *([f"supplementalGroupsPolicy/{groups}"] if (groups := given.supplemental_groups_policy) else []),
        *_profile("seccompProfile", given.seccomp_profile),
        *_profile("appArmorProfile", given.app_armor_profile),
    ]


def _profile(field: str, profile: SecurityProfile | None) -> list[str]:
    return ["/".join(filter(None, (field, profile.type, profile.localhost_profile)))] if profile else []
