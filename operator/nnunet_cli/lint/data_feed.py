"""Whether the CPU of a fold is enough to keep its GPUs fed, as far as that can be told beforehand. Pure."""

from collections.abc import Iterator
from typing import Any

from nnunet_api.data_feed import BARE_MINIMUM, needs_of, whole_cores
from nnunet_api.training import Device, NnunetTrainingSpec

PRODUCT_LABEL = "nvidia.com/gpu.product"
"""Label of NVIDIA's GPU feature discovery on nodes."""
_WHOLE_GPU = "nvidia.com/gpu"
_MEASURED = "the condition DataStarved tells what it comes to in training"


def cpu_advice(spec: NnunetTrainingSpec) -> Iterator[tuple[str, str]]:
    """Yield the fields by which folds get less CPU than their GPUs take, and what to think about.

    A slice of a GPU takes less than the whole, and nobody has told how much; nor of which kind a GPU is that no label
    asks for.
    """
    own = spec.resources
    if spec.trainer.device is not Device.CUDA or own.gpu_resource_name != _WHOLE_GPU:
        return
    needs = needs_of(_products(spec))
    least = needs.cpu if needs else BARE_MINIMUM
    given = {"spec.resources.cpu": own.cpu} | {
        f"spec.resources.configurations.{name}.cpu": each.cpu for name, each in own.configurations.items() if each.cpu
    }
    for field, cpu in given.items():
        if whole_cores(cpu) >= least * own.gpus:
            continue
        if needs:
            why = f"each GPU of kind {needs.gpu} takes {least} CPUs for its data"
        else:
            why = f"nnU-Net calls {BARE_MINIMUM} cores for each GPU the bare minimum, and faster GPUs take more"
        gpus = f" for {own.gpus} GPUs" if own.gpus > 1 else ""
        yield (
            field,
            f"{field} is {cpu}{gpus}: {why}. Ask for {least * own.gpus}, or see whether the GPU waits: {_MEASURED}",
        )


def _products(spec: NnunetTrainingSpec) -> list[str]:
    """Return the kinds of GPU of which the nodes have one that the pods may run on; none where any may."""
    if product := spec.pod_template.node_selector.get(PRODUCT_LABEL):
        return [product]
    terms = _at(spec.pod_template.affinity, "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
    each = [_of_term(term) for term in _list(_at(terms, "nodeSelectorTerms"))]
    return [product for products in each for product in products] if all(each) else []


def _of_term(term: Any) -> list[str]:
    for rule in _list(_at(term, "matchExpressions")):
        if _at(rule, "key") == PRODUCT_LABEL and _at(rule, "operator") == "In":
            return [str(value) for value in _list(_at(rule, "values"))]
    return []


def _at(value: Any, *keys: str) -> Any:
    """Return what lies under these keys; None where there is nothing. The affinity is anybody's."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
