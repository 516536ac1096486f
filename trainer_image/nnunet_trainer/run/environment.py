"""Environment variables that nnU-Net and torch read when they are imported: set before, never after."""

import math
import os
from pathlib import Path

from nnunet_api.contract import RunContract
from nnunet_api.data_feed import WORKERS_VARIABLE, augmentation_workers
from nnunet_api.environment import VALUES, value_fault
from nnunet_api.training import Device
from nnunet_trainer.process import compiling, pools
from nnunet_trainer.process.failures import wrong_configuration
from nnunet_trainer.run.paths import RunPaths

LOOPBACK = {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}
"""Where the processes that train one fold together listen for one another, whatever trainer.env says: all are
in this pod, and believe who connects. Left alone, NCCL takes any other network first, where others could connect."""
FOREIGN = ("NCCL_COMM_ID",)
"""Another address at which NCCL would have them meet."""


def defaults(contract: RunContract) -> dict[str, str]:
    """Return the variables to set where the user has not set them (spec.trainer.env)."""
    variables = {
        # As `python -m nnunetv2.run.run_training` does; its console script forgets it.
        **dict.fromkeys(pools.THREADS, "1"),
        "TORCHINDUCTOR_COMPILE_THREADS": "1",
        # nnU-Net's defaults are 8 and 12, whatever the container may use.
        "nnUNet_def_n_proc": str(contract.processes),
        WORKERS_VARIABLE: str(augmentation_workers(contract.processes // max(1, contract.gpus))),
        # Worker processes print through pipes too.
        "PYTHONUNBUFFERED": "1",
        # Caches are named after the user; the pod's user ID has no name.
        "USER": "nnunet",
    }
    if contract.seed is not None:
        # Without it cuBLAS may choose another order of summation each time.
        variables["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    if contract.device is Device.CPU or compiling.lacking():
        variables[compiling.VARIABLE] = "f"
    return variables


def prepare(contract: RunContract, paths: RunPaths, preprocessed: Path, results: Path | None = None) -> None:
    """Set what nnU-Net needs: its nnUNet_preprocessed, and its nnUNet_results if that is not the run folder.

    Raises TrainerError with WRONG_CONFIGURATION for a variable whose value nnU-Net can't read. The schema refuses those
    of trainer.env; the image may bring others along.
    """
    if faults := [fault for name in VALUES if name in os.environ and (fault := value_fault(name, os.environ[name]))]:
        raise wrong_configuration(f"{'; '.join(faults)}. Correct trainer.env, or ENV of the image")
    for name, value in defaults(contract).items():
        os.environ.setdefault(name, value)
    os.environ.update(LOOPBACK)
    for name in FOREIGN:
        os.environ.pop(name, None)
    folders = {"nnUNet_raw": paths.raw, "nnUNet_preprocessed": preprocessed, "nnUNet_results": results or paths.run}
    os.environ.update({name: str(folder) for name, folder in folders.items()})


def read_from(preprocessed: Path) -> None:
    """Let nnU-Net read its preprocessed data from another folder: before it is imported."""
    os.environ.update({"nnUNet_preprocessed": str(preprocessed)})


def torch_threads(contract: RunContract) -> int:
    """Return the threads for the network: all cores on the CPU, one beside a GPU (as nnU-Net does)."""
    return max(1, contract.processes // max(1, contract.gpus)) if contract.device is Device.CPU else 1


def training_processes(contract: RunContract) -> int:
    """Return how many processes train a fold: those of its GPUs, and the workers that augment for them.

    nnU-Net starts half as many again for the batches of the validation.
    """
    groups = max(1, contract.gpus)
    return groups * (1 + math.ceil(1.5 * int(os.environ[WORKERS_VARIABLE])))
