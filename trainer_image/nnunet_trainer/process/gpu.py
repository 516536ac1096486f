"""Is there a GPU? torch is loaded only to ask."""

from nnunet_trainer.process.failures import wrong_configuration


def require_gpu() -> None:
    """Raise an error that tells a CPU build of torch from a node without a working GPU."""
    import torch

    if torch.version.cuda is None and getattr(torch.version, "hip", None) is None:
        raise wrong_configuration(
            "trainer.device is cuda, but torch in this image is built for the CPU only. Use an image that is built on "
            "a CUDA PyTorch base"
        )
    if not torch.cuda.is_available():
        raise RuntimeError(
            "torch sees no GPU in this pod: check the node's driver, the device plugin and podTemplate.runtimeClassName"
        )
