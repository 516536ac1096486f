"""Is there a GPU, and may this torch train on it? torch is loaded only to ask."""

import logging

from nnunet_trainer.process import torch_builds
from nnunet_trainer.process.failures import wrong_configuration

log = logging.getLogger(__name__)


def require_gpu() -> None:
    """Raise an error that tells an image that can't train on GPUs from a node without a working one.

    TrainerError with WRONG_CONFIGURATION for a CPU build of torch, and for one that `torch_builds` refuses;
    RuntimeError where it is the node, which may be another one next time.
    """
    import torch

    if torch.version.cuda is None and getattr(torch.version, "hip", None) is None:
        raise wrong_configuration(
            "trainer.device is cuda, but torch in this image is built for the CPU only. Use an image that is built for "
            "GPUs (`make images GPU=1`, or on a CUDA PyTorch base)"
        )
    if torch.version.cuda is not None:
        _require_sound_build(torch.__version__, torch.backends.cudnn.version())
    if not torch.cuda.is_available():
        raise RuntimeError(
            "torch sees no GPU in this pod: check the node's driver"
            f"{torch_builds.driver_needed(torch.version.cuda)}, the device plugin and podTemplate.runtimeClassName"
        )
    if torch.version.cuda is not None:
        _require_fitting_gpu(torch.cuda.get_device_capability(0), torch.cuda.get_arch_list())


def _require_sound_build(torch: str, cudnn: int | None) -> None:
    for fault in torch_builds.faults(torch, cudnn):
        said = torch_builds.described(torch, cudnn, fault)
        if fault.refused:
            raise wrong_configuration(
                f"this image has a torch that should not be used on GPUs: {said}. Use an image with another one: "
                "`make images GPU=1` builds it"
            )
        log.warning("%s", said)


def _require_fitting_gpu(capability: tuple[int, int], built_for: list[str]) -> None:
    if torch_builds.runs_on(capability, built_for):
        return
    import torch

    needed, there = f"{capability[0]}.{capability[1]}", ", ".join(built_for) or "none"
    raise RuntimeError(
        f"the GPU of this pod, {torch.cuda.get_device_name(0)}, has compute capability {needed}, and torch "
        f"{torch.__version__} of this image was built for {there}. Have the pods run on other GPUs "
        "(podTemplate.nodeSelector), or use an image with a torch for this one"
    )
