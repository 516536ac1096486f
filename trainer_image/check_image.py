"""Run while the trainer image is built: does this base carry nnU-Net? Torch-free messages, one for each defect."""

import importlib.util
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

import torch_builds

FORBIDDEN = ("kopf", "kubernetes")
PROBE = "nnUNetTrainerDA5"
"""A variant that nnU-Net finds only by importing its other trainers, and with them torchvision."""
BASE_BRINGS = ("torch", "torchvision")
"""Installed without asking anybody's requirements, which are therefore looked at here."""
OTHER_BASE = "Take another base: `make images GPU=1` builds one that fits"


def main() -> None:
    """Exit with a message when the image can't train."""
    if sys.version_info < (3, 11):  # noqa: UP036 - a user's base image may bring any Python
        sys.exit(f"the base image has Python {sys.version.split()[0]}: take one with 3.11 or newer")
    for name in FORBIDDEN:
        if importlib.util.find_spec(name):
            sys.exit(f"{name} is installed: the trainer image must hold no Kubernetes client")
    if odds := list(at_odds(distributions())):
        sys.exit(f"this base does not fit what is installed: {'; '.join(odds)}. {OTHER_BASE}")
    try:
        import torch
    except ImportError as error:
        sys.exit(f"the base image has no usable torch ({error}): set BASE_IMAGE to a PyTorch image")
    if torch.version.cuda is not None:
        check_build(torch.__version__, torch.backends.cudnn.version())
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


def check_build(torch: str, cudnn: int | None) -> None:
    """Exit where this build for CUDA is one that nothing is trained with; print what else is known of it."""
    for fault in torch_builds.faults(torch, cudnn):
        said = torch_builds.described(torch, cudnn, fault)
        if fault.refused:
            sys.exit(f"{said}. {OTHER_BASE}")
        print(f"warning: {said}", file=sys.stderr)  # noqa: T201


def at_odds(installed: Iterable[Distribution]) -> Iterator[str]:
    """Yield each requirement on torch and torchvision that what is installed does not meet."""
    from packaging.requirements import Requirement

    # Of two that have the same name, the first is the one that Python imports.
    known: dict[str, Distribution] = {}
    for one in installed:
        known.setdefault(one.name.lower().replace("_", "-"), one)
    for one in known.values():
        for wanted in map(Requirement, one.requires or ()):
            if wanted.name not in BASE_BRINGS or (wanted.marker and not wanted.marker.evaluate({"extra": ""})):
                continue
            there = known[wanted.name].version if wanted.name in known else None
            if there is None or not wanted.specifier.contains(there, prereleases=True):
                yield f"{one.name} {one.version} requires {wanted}, the base has {there or 'none'}"


if __name__ == "__main__":
    main()
