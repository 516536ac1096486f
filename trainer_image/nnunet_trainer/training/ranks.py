"""Several processes that train one fold together (nnU-Net's DDP), one for each GPU of the pod; gloo on the CPU.

The trainer's own process is rank 0: it leads, writes everything but the others' share of the
validation's segmentations, and starts the others, which end with it.
"""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from nnunetv2.training.nnUNetTrainer import nnUNetTrainer as nnunet_trainer_module
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from nnunet_api.training import Device
from nnunet_trainer.process.followers import Follower

Answer = TypeVar("Answer")


def start_followers(
    world: int, follow: Callable[..., None], *arguments: Any, volumes: Sequence[Path], read_only: Sequence[Path]
) -> Path:
    """Start the ranks 1, 2, ..., each with `follow(rank, rendezvous, *arguments)`; return the rendezvous."""
    rendezvous = Path(tempfile.mkdtemp(prefix="ranks-"), "rendezvous")
    for rank in range(1, world):
        given = (rendezvous, *arguments)
        Follower(rank, world, follow, given, rendezvous.parent, volumes, read_only).start()
    return rendezvous


def join_group(rank: int, world: int, rendezvous: Path, device: Device) -> None:
    """Become one of the processes that train together. Blocks until all are there.

    They meet by a file, and listen where `environment.LOOPBACK` says.
    """
    if device is Device.CUDA:
        torch.cuda.set_device(rank)
    else:
        # nnU-Net asks for a GPU's index, which the CPU does not have.
        nnunet_trainer_module.DDP = lambda network, device_ids: DistributedDataParallel(network)
    backend = "nccl" if device is Device.CUDA else "gloo"
    distributed.init_process_group(backend, init_method=f"file://{rendezvous}", rank=rank, world_size=world)


def agreed(decide: Callable[[], Answer]) -> Answer:
    """Return what rank 0 decides, in all processes; in a process of its own, what it decides."""
    if not distributed.is_initialized():
        return decide()
    answer = [decide() if distributed.get_rank() == 0 else None]
    distributed.broadcast_object_list(answer, src=0)
    return answer[0]  # type: ignore[return-value]
