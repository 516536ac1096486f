"""Run while the trainer image is built: does this base carry nnU-Net? Torch-free messages, one for each defect."""

import importlib.util
import sys
from pathlib import Path

FORBIDDEN = ("kopf", "kubernetes")
PROBE = "nnUNetTrainerDA5"
"""A variant that nnU-Net finds only by importing its other trainers, and with them torchvision."""


def main() -> None:
    """Exit with a message when the image can't train."""
    if sys.version_info < (3, 11):  # noqa: UP036 - a user's base image may bring any Python
        sys.exit(f"the base image has Python {sys.version.split()[0]}: take one with 3.11 or newer")
    for name in FORBIDDEN:
        if importlib.util.find_spec(name):
            sys.exit(f"{name} is installed: the trainer image must hold no Kubernetes client")
    try:
        import torch
    except ImportError as error:
        sys.exit(f"the base image has no usable torch ({error}): set BASE_IMAGE to a PyTorch image")
    try:
        import nnunetv2
        from nnunetv2.utilities.find_class_by_name import recursive_find_python_class

        folder = Path(nnunetv2.__path__[0], "training", "nnUNetTrainer")
        found = recursive_find_python_class(str(folder), PROBE, "nnunetv2.training.nnUNetTrainer")
    except Exception as error:
        sys.exit(
            f"nnU-Net's search for trainer classes fails on this base: {error}\ntorch is {torch.__version__}; "
            "torchvision must be the release that was built for it, see the table in torchvision's README"
        )
    if found is None:
        sys.exit(f"nnU-Net does not find its own trainer {PROBE}")
    print(f"torch {torch.__version__}, nnU-Net's class search works", file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    main()
