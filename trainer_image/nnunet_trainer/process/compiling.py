"""Can torch.compile work here, and is it on? nnU-Net compiles its network on GPUs unless nnUNet_compile says no."""

import importlib.util
import os
import shutil
import sys
import sysconfig
from pathlib import Path

VARIABLE = "nnUNet_compile"
ON = "on"
OLDEST_GPU = (7, 0)
"""Compute capability from which on triton makes code for a GPU (torch/_inductor: has_triton)."""


def lacking() -> str:
    """Return what the image lacks for torch.compile on a GPU, or an empty string.

    triton compiles a launcher in C when a network runs for the first time.
    """
    if not (os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")):
        return "the image has no C compiler"
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        return "the image has no headers of Python"
    if importlib.util.find_spec("triton") is None:
        return "the image has no triton"
    return ""


def too_old(capability: tuple[int, int]) -> str:
    """Return why a GPU is none for torch.compile, or an empty string."""
    if capability >= OLDEST_GPU:
        return ""
    needed = ".".join(map(str, OLDEST_GPU))
    return f"the GPU has compute capability {capability[0]}.{capability[1]}, {needed} is needed"


def seconds() -> float | None:
    """Return what torch.compile has taken in this process; None where it compiled nothing, or does not tell.

    By torch's own count, which is no public one: another version of torch may have none. It is what torch has found
    out and made on the CPU. GPUs choose kernels beside that, with torch.compile and without.
    """
    try:
        taken = float(sys.modules["torch._dynamo.utils"].calculate_time_spent()["total_wall_time"])
    except Exception:
        return None
    return round(taken, 1) or None


def stated(compiles: bool, gpu: tuple[int, int] | None, trainer_class: str) -> str:
    """Return "on", or "off: " and why.

    `compiles` is nnU-Net's own decision, `gpu` the GPU's compute capability, None for the CPU.
    """
    if compiles:
        return ON
    if gpu is None:
        return "off: nnU-Net compiles nothing for the CPU"
    if why := lacking() or too_old(gpu):
        return f"off: {why}"
    if (value := os.environ.get(VARIABLE)) is not None:
        return f"off: {VARIABLE} is {value}"
    return f"off: {trainer_class} does not compile"
