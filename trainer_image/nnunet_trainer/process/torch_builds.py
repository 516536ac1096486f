"""Builds of torch that are known to train slowly or wrongly on GPUs, in one table with its sources.

The standard library alone: the build of the image asks this module (check_image.py) before the trainer is installed.
A CPU uses no cuDNN, so nothing of this concerns it.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

Version = tuple[int, ...]
_END = (10**9,)
"""After every version."""


@dataclass(frozen=True)
class KnownFault:
    """What is known of some builds of torch for CUDA; bounds are the first version with it and the first without."""

    torch: tuple[Version, Version]
    cudnn: tuple[Version, Version]
    what: str
    source: str
    refused: bool
    """Whether nothing is trained with it; else it is said in the log."""

    def concerns(self, torch: Version, cudnn: Version) -> bool:
        """Tell whether a build has it."""
        return self.torch[0] <= torch < self.torch[1] and self.cudnn[0] <= cudnn < self.cudnn[1]


KNOWN_FAULTS = (
    KnownFault(
        torch=((2, 9), (2, 10)),
        cudnn=((0,), _END),
        what="3D convolutions in half precision take four times as long as with torch 2.8, and nnU-Net excludes it",
        source="https://github.com/pytorch/pytorch/issues/166122",
        refused=True,
    ),
    KnownFault(
        # Since 2.9 torch's own code goes round cuDNN for 3D convolutions with these; PyPI's 2.10.0 came with 9.10.2.
        torch=((2, 10), _END),
        cudnn=((9, 8), (9, 15)),
        what="torch does 3D convolutions in half precision without this cuDNN, which makes them several times slower",
        source="https://github.com/pytorch/pytorch/pull/166480",
        refused=True,
    ),
    KnownFault(
        # torch 2.9 then did without this cuDNN in float16 too, in which nnU-Net computes. Its standard patches have a
        # tenth of that size, and its authors advised torch 2.8, which came with cuDNN 9.10.2: no ground to refuse it.
        torch=((0,), (2, 9)),
        cudnn=((9, 8), (9, 15)),
        what="3D convolutions of very large inputs (shown for 1.8e9 values in bfloat16) gave wrong results",
        source="https://github.com/pytorch/pytorch/issues/163539",
        refused=False,
    ),
)

DRIVERS = {"11": 450, "12": 525, "13": 580}
"""The oldest branch of NVIDIA's driver for each release of CUDA (docs.nvidia.com/deploy/cuda-compatibility)."""


def faults(torch: str, cudnn: int | None) -> Iterator[KnownFault]:
    """Yield what is known of a build for CUDA, by `torch.__version__` and `torch.backends.cudnn.version()`."""
    for fault in KNOWN_FAULTS:
        if fault.concerns(numbers(torch), cudnn_numbers(cudnn or 0)):
            yield fault


def described(torch: str, cudnn: int | None, fault: KnownFault) -> str:
    """Return a sentence that names the build and what is known of it."""
    version = ".".join(map(str, cudnn_numbers(cudnn))) if cudnn else "none"
    return f"torch {torch} with cuDNN {version}: {fault.what} ({fault.source})"


def driver_needed(cuda: str | None) -> str:
    """Return which driver a build needs, in parentheses, or an empty string. The argument is `torch.version.cuda`."""
    branch = DRIVERS.get((cuda or "").partition(".")[0])
    return f" (CUDA {cuda} needs {branch} or newer)" if branch else ""


def runs_on(capability: tuple[int, int], built_for: Iterable[str]) -> bool:
    """Tell whether a GPU runs code that was built for these (`torch.cuda.get_arch_list()`).

    Machine code runs on later GPUs of the same generation, PTX (compute_NN) on all later ones
    (docs.nvidia.com/cuda/cuda-c-programming-guide, binary and PTX compatibility).
    """
    for name in built_for:
        if match := re.fullmatch(r"(sm|compute)_(\d+)(\d)([af]?)", name):
            kind, major, minor, bound = match[1], int(match[2]), int(match[3]), match[4]
            if (major, minor) == capability:
                return True
            if not bound and (major, minor) < capability and (kind == "compute" or major == capability[0]):
                return True
    return False


def numbers(version: str) -> Version:
    """Return the release of a version: (2, 7, 1) of 2.7.1+cu126."""
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0])[:3])


def cudnn_numbers(version: int) -> Version:
    """Return the release behind cuDNN's number: (9, 10, 2) of 91002, (8, 9, 7) of 8907."""
    major = 10_000 if version >= 10_000 else 1_000
    return version // major, version % major // 100, version % 100
