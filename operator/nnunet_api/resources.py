"""What pods get: CPU, memory, GPUs, and what differs by configuration."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from nnunet_api.base import INTEGER, ApiModel, ObjectName, Quantity, cel
from nnunet_api.fold_key import MAX_TRAINED_CONFIGURATIONS

ConfigurationName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_]+$")]

_UNITS = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    **{name: Decimal(1000**power) for power, name in enumerate("kMGT", start=1)},
    **{f"{name}i": Decimal(1024**power) for power, name in enumerate("KMGT", start=1)},
}

CPU_LIMIT = cel(
    (
        "!has(self.cpuLimit) || quantity(string(self.cpuLimit)).compareTo(quantity(string(self.cpu))) >= 0",
        "cpuLimit must be at least cpu",
    )
)


class PreprocessingResources(ApiModel):
    """Resources of the pods that need no GPU: of planning and preprocessing, of the verification, and of the
    evaluation where there is no test set."""

    model_config = ConfigDict(json_schema_extra=CPU_LIMIT)

    cpu: Quantity = "8"
    """CPU cores, requested; also the number of worker processes, rounded down."""
    cpu_limit: Quantity | None = None
    """As resources.cpuLimit, for these pods."""
    memory: Quantity = "32Gi"
    """Memory, requested and limited."""
    ephemeral_storage: Quantity | None = None
    """As resources.ephemeralStorage, for these pods."""


class ConfigurationResources(ApiModel):
    """What the pods of a configuration's folds get in place of spec.resources; absent fields are as there."""

    cpu: Quantity | None = None
    """As resources.cpu."""
    cpu_limit: Quantity | None = None
    """As resources.cpuLimit."""
    memory: Quantity | None = None
    """As resources.memory."""
    ephemeral_storage: Quantity | None = None
    """As resources.ephemeralStorage."""
    shared_memory: Quantity | None = None
    """As resources.sharedMemory."""


_OWN = "(has(self.configurations[x].{0}) ? self.configurations[x].{0} : self.{0})"
CPU_LIMITS_RULE = (
    # The default of resources itself, {}, is looked at before its fields have theirs.
    "!has(self.configurations) || self.configurations.all(x, "
    "!(has(self.cpuLimit) || has(self.configurations[x].cpuLimit)) || "
    f"quantity(string({_OWN.format('cpuLimit')})).compareTo(quantity(string({_OWN.format('cpu')}))) >= 0)"
)
CLAIM_RULE = "!has(self.gpuClaimTemplateName) || self.gpus >= 1"
CLAIM_MESSAGE = "gpuClaimTemplateName needs gpus: give the number of devices that its claim asks for"
_RULES: dict[str, Any] = {
    "x-kubernetes-validations": [
        *CPU_LIMIT["x-kubernetes-validations"],
        *cel((CPU_LIMITS_RULE, "cpuLimit of a configuration must be at least its cpu"))["x-kubernetes-validations"],
        *cel((CLAIM_RULE, CLAIM_MESSAGE))["x-kubernetes-validations"],
    ]
}


class Resources(ApiModel):
    """Resources of one fold's pod, and of the evaluation's."""

    model_config = ConfigDict(json_schema_extra=_RULES)

    gpus: Annotated[int, Field(ge=0, le=16, json_schema_extra=INTEGER)] = 1
    """GPUs of one fold, all on one node (nnU-Net's DDP). The batch is shared out among them: batch_size of the plans
    must be at least as large. Folds in parallel use GPUs better than several GPUs for one fold. Can't change."""
    gpu_resource_name: Annotated[str, Field(max_length=253, pattern=r"^[a-z0-9.-]+/[A-Za-z0-9._-]+$")] = (
        "nvidia.com/gpu"
    )
    """Name of the extended resource, for example nvidia.com/gpu, amd.com/gpu or nvidia.com/mig-3g.40gb."""
    gpu_claim_template_name: ObjectName | None = None
    """ResourceClaimTemplate of the training's namespace by whose claim each pod gets its GPUs, in place of
    gpuResourceName (Dynamic Resource Allocation, Kubernetes 1.34 or later). It has to ask for as many devices as gpus
    says."""
    cpu: Quantity = "8"
    """CPU cores, requested; the number of data augmentation workers follows it."""
    cpu_limit: Quantity | None = None
    """Limit of CPU cores, at least cpu. Default: none, as a limit slows augmentation down while cores idle. Give it
    where a quota or a LimitRange of the namespace asks for one."""
    memory: Quantity = "32Gi"
    """Memory, requested and limited, including shared memory."""
    ephemeral_storage: Quantity | None = None
    """Storage on the node for logs and temporary files, requested and limited; a pod that needs more is evicted.
    Default: none, or that of a LimitRange, which may be too low."""
    shared_memory: Quantity = "8Gi"
    """Upper limit of /dev/shm, through which the data augmentation workers hand over batches."""
    preprocessing: PreprocessingResources = PreprocessingResources()
    """Resources of the pods that need no GPU."""
    configurations: Annotated[
        dict[ConfigurationName, ConfigurationResources], Field(max_length=MAX_TRAINED_CONFIGURATIONS)
    ] = {}
    """By configuration: what the pods of its folds get in place of the above, field by field. A 2d network, for
    example, is fed by more CPU cores than a 3d one. GPUs are the same for all. An evaluation with a test set gets of
    each field the most of all."""

    def of(self, configuration: str) -> "Resources":
        """Return the resources of the folds of a configuration."""
        own = self.configurations.get(configuration)
        return self.model_copy(update=own.model_dump(exclude_none=True)) if own else self

    def of_all(self, configurations: Sequence[str]) -> "Resources":
        """Return what a pod gets that computes with the networks of all these: of each field the most.

        Without a CPU limit there is no bound, so that is the most; of a field that only some have the most of those.
        """
        all_of = [self, *(self.of(one) for one in configurations)]
        limits = [one.cpu_limit for one in all_of]
        return self.model_copy(
            update={
                "cpu": _most(one.cpu for one in all_of),
                "cpu_limit": None if None in limits else _most(limits),
                "memory": _most(one.memory for one in all_of),
                "ephemeral_storage": _most(one.ephemeral_storage for one in all_of),
                "shared_memory": _most(one.shared_memory for one in all_of),
            }
        )


def _most(quantities: Iterable[Quantity | None]) -> Quantity | None:
    """Return the greatest quantity, the first of those that are equal; None where none is given."""
    return max((one for one in quantities if one is not None), key=amount, default=None)


def amount(quantity: Quantity) -> Decimal:
    """Return how much a quantity is, in its unit: bytes or cores."""
    number = quantity.rstrip("mkKMGTi")
    return Decimal(number) * _UNITS[quantity.removeprefix(number)]
