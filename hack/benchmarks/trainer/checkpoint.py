"""What a checkpoint of a network of standard size costs, written as the trainer does and by plain torch.save.

Runs inside the trainer image: `python3 -m hack.benchmarks.trainer.checkpoint FOLDER ROUNDS` prints one JSON object.
"""

import io
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import torch
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

from nnunet_trainer.run.fence import Fence
from nnunet_trainer.training.checkpoints import write_checkpoint

STANDARD_NETWORK: dict[str, Any] = {
    "n_stages": 6,
    "features_per_stage": [32, 64, 128, 256, 320, 320],
    "conv_op": torch.nn.Conv3d,
    "kernel_sizes": [[3, 3, 3]] * 6,
    "strides": [[1, 1, 1], *[[2, 2, 2]] * 5],
    "n_conv_per_stage": [2] * 6,
    "n_conv_per_stage_decoder": [2] * 5,
    "conv_bias": True,
    "norm_op": torch.nn.InstanceNorm3d,
    "norm_op_kwargs": {"eps": 1e-5, "affine": True},
    "nonlin": torch.nn.LeakyReLU,
}
"""What nnU-Net plans for 3d_fullres with patches of 128 x 128 x 128 and 8 GB."""


def standard_state() -> dict[str, Any]:
    """Return network and optimizer of a standard 3d_fullres training, as its checkpoints hold them."""
    name = "dynamic_network_architectures.architectures.unet.PlainConvUNet"
    network = get_network_from_plans(name, STANDARD_NETWORK, [], 1, 3, deep_supervision=True)
    optimizer = torch.optim.SGD(network.parameters(), 1e-2, momentum=0.99, nesterov=True)
    for weights in network.parameters():
        weights.grad = torch.ones_like(weights)
    optimizer.step()
    return {"network_weights": network.state_dict(), "optimizer_state": optimizer.state_dict(), "current_epoch": 1}


def plain(state: dict[str, Any], path: Path) -> dict[str, float]:
    """Save as nnU-Net does: in place, and the disk may take its time."""
    began = time.perf_counter()
    torch.save(state, path)
    return {"plain": time.perf_counter() - began}


def ours(state: dict[str, Any], path: Path) -> dict[str, float]:
    """Save as the trainer does: beside the old one, flushed to disk, renamed."""
    fence = Fence(path.parent)
    began = time.perf_counter()
    write_checkpoint(path, lambda name: torch.save(state, name), fence, path.with_name("previous.pth"))
    return {"ours": time.perf_counter() - began}


def in_background(state: dict[str, Any], path: Path) -> dict[str, float]:
    """Make the bytes in memory, which the training would wait for, then write and flush them."""
    times = [time.perf_counter()]
    buffer = io.BytesIO()
    torch.save(state, buffer)
    times.append(time.perf_counter())
    with path.open("wb") as file:
        file.write(buffer.getbuffer())
        os.fsync(file.fileno())
    times.append(time.perf_counter())
    return {"serialise": times[1] - times[0], "write_and_flush": times[2] - times[1]}


def main() -> None:
    """Measure by turns and print each figure's values."""
    folder, rounds = Path(sys.argv[1]), int(sys.argv[2])
    state = standard_state()
    path = folder / "checkpoint.pth"
    found: dict[str, list[float]] = {}
    for number in range(rounds + 1):
        for measure in (plain, ours, in_background):
            for name, seconds in measure(state, path).items():
                # The first round also pays for memory that the later ones have.
                if number:
                    found.setdefault(name, []).append(seconds)
            # What one way leaves to the disk must not be paid by the next.
            os.sync()
    found["bytes"] = [path.stat().st_size]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
