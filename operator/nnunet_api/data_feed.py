"""What keeps a GPU fed: processes that augment, CPU for them, and how much of it which GPU takes.

The one place for these numbers. docs/user-guide/resources.md shows the table, `kubectl nnunet lint` warns by it, and
the operator computes from a measured share what is missing.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

WORKERS_VARIABLE = "nnUNet_n_proc_DA"
"""nnU-Net's environment variable for the processes that augment for one GPU."""
MOST_WORKERS = 48
"""Processes that augment for one GPU: what nnU-Net's authors use for an H200, more than for any other."""
_STEP = 4
"""CPU is advised in steps of so many cores."""
_FEWEST_CORES = 3


def cores_of(quantity: str) -> float:
    """Return the cores in a quantity of CPU (`base.Quantity`: "8", "7500m")."""
    number = quantity.rstrip("mkMGTKi")  # but for m none of them is a CPU of this world
    return float(Decimal(number) / (1000 if quantity.endswith("m") else 1))


def whole_cores(quantity: str) -> int:
    """Return the whole cores in a quantity of CPU, at least 1: what a pod's worker processes follow."""
    return max(1, int(cores_of(quantity)))


def augmentation_workers(cores: int) -> int:
    """Return the number of data augmentation workers for a trainer process with that many CPU cores.

    nnU-Net starts half as many again for validation batches, which idle most of the time. Below three cores the
    trainer augments in its own process: measured on two, workers only take the network's time and memory.
    """
    return cores if cores >= _FEWEST_CORES else 0


def cores_wanted(workers: float, share: float) -> int:
    """Return the CPU cores that one GPU needs for its data, where it now waits for a `share` (0 to 1) of its time.

    So many workers make as many batches as are used, for they never stand still while they are waited for. Without
    waiting, 1 / (1 - share) times as many would be used. Without workers, a batch takes share / (1 - share) of a step:
    as many processes make one for each step. Where workers are more than the CPUs, `workers` are the CPUs that they
    use, all together. Rounded up, as the trainer and the validation's workers want some, too.
    """
    left = max(1.0 - share, 0.01)
    wanted = workers / left if workers else share / left
    return max(_STEP, min(MOST_WORKERS, _STEP * math.ceil(wanted / _STEP)))


@dataclass(frozen=True)
class GpuNeeds:
    """What one GPU of a kind wants for nnU-Net's standard networks, as far as a source tells."""

    gpu: str
    products: str
    """Regular expression that is found in the label nvidia.com/gpu.product of such GPUs."""
    cpu: int
    """CPUs (hardware threads) for each GPU, as many as augmentation workers."""
    memory: str
    """Memory of the pod, shared memory included."""
    shared_memory: str
    source: str
    """Who says so, in Markdown."""


_REPOSITORY = "https://github.com/MIC-DKFZ/nnUNet/blob"
_WORKERS = f"[default_n_proc_DA.py]({_REPOSITORY}/v2.8.1/nnunetv2/utilities/default_n_proc_DA.py)"
_SYSTEMS = f"[system requirements]({_REPOSITORY}/master/documentation/installation_instructions.md)"
_EPOCHS = f"[expected epoch times]({_REPOSITORY}/nnunetv1/documentation/expected_epoch_times.md)"
GPUS = (
    GpuNeeds("H200", r"H200", 48, "128Gi", "8Gi", f"48 workers: {_WORKERS}"),
    GpuNeeds(
        "H100", r"H100", 28, "64Gi", "8Gi", "no figure of nnU-Net's: at least that of the A100, which is the slower one"
    ),
    GpuNeeds("L40S", r"L40S", 28, "64Gi", "8Gi", f"28 workers: {_WORKERS}"),
    GpuNeeds("A100", r"A100", 20, "64Gi", "8Gi", f"20 and 28 workers by machine: {_WORKERS}; 24 to 30: {_SYSTEMS}"),
    GpuNeeds("V100", r"V100", 20, "64Gi", "8Gi", f"20 workers: {_EPOCHS}, which ask for 32 for an A100"),
    GpuNeeds("RTX 3090, 4090", r"RTX-[34]090", 16, "64Gi", "8Gi", f"8 to 12 cores with two threads each: {_SYSTEMS}"),
)
"""The first whose products fit holds."""
ANY_GPU = GpuNeeds(
    "any other",
    "",
    12,
    "32Gi",
    "8Gi",
    f"12 workers where nothing else is known: {_WORKERS}; 6 cores, 12 threads, as the bare minimum: {_SYSTEMS}",
)
BARE_MINIMUM = 6
"""Cores for a GPU of which nothing is known (nnU-Net's system requirements): on nodes without hyper-threading as many
CPUs."""


def needs_of(products: Iterable[str]) -> GpuNeeds | None:
    """Return what the least demanding of some products wants; None where there are none, or one is not known."""
    found = [next((gpu for gpu in GPUS if re.search(gpu.products, product)), None) for product in products]
    known = [gpu for gpu in found if gpu is not None]
    return min(known, key=lambda gpu: gpu.cpu) if known and len(known) == len(found) else None
