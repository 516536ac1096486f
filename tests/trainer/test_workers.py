"""A process that a training needs fails or is killed: the attempt ends at once, and says why."""

import os
import signal
import socket
import struct
from pathlib import Path

import pytest

from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.process.processes import descendants
from tests.trainer.world import Command, World

LISTENS = "0A"
"""A state of a socket, as in the kernel's tables."""
LONG = {"epochs": 3, "iterationsPerEpoch": 10, "validationIterationsPerEpoch": 2}

UNEVEN = '''
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


class UnevenTrainer(nnUNetTrainer):
    """The second process fails in the second epoch."""

    def train_step(self, batch):
        if self.local_rank == 1 and self.current_epoch == 1:
            {failure}
        return super().train_step(batch)
'''


@pytest.mark.parametrize(
    ("failure", "code", "says"),
    [
        pytest.param(
            "raise RuntimeError('CUDA out of memory. Tried to allocate 2.00 GiB')",
            ExitCode.GPU_OUT_OF_MEMORY,
            ["the GPU's memory is too small for this network. Use a larger GPU", "2.00 GiB"],
            id="GPU memory",
        ),
        pytest.param("raise RuntimeError('odd')", 1, ["RuntimeError: odd. The log of this pod"], id="anything else"),
    ],
)
def test_the_failure_of_the_second_of_two_processes_is_that_of_the_attempt(
    world: World, tmp_path: Path, failure: str, code: int, says: list[str]
) -> None:
    (tmp_path / "uneven.py").write_text(UNEVEN.format(failure=failure))
    world = world.but(trainerClass="UnevenTrainer", schedule=LONG, gpus=2, processes=2)
    ended = world.with_env(nnUNet_extTrainer=str(tmp_path)).finish("train", "--fold", "0")
    assert ended.code == code, ended.log
    assert ended.report.message.startswith("rank 1 of the 2 processes that train this fold together: ")
    assert all(part in ended.report.message for part in says), ended.report.message
    assert "resources.memory" not in ended.report.message
    assert ended.fold.epoch == 1


def test_the_second_of_two_processes_is_killed(world: World) -> None:
    """Until then they listen inside the pod alone, whatever the training asks for: they believe who connects."""
    # Started as in the pod, here and below: the processes are the point.
    world = (
        world.anew()
        .but(schedule=LONG, gpus=2, processes=2)
        .with_env(GLOO_SOCKET_IFNAME="eth0", NCCL_SOCKET_IFNAME="eth0")
    )
    held = world.held_in(1)
    command = held.start("train", "--fold", "0")
    command.wait_until(held.begun(1), "the first epoch")
    listening = {pid: addresses for pid in descendants(command.pid) if (addresses := listens_at(pid))}
    assert listening and set().union(*listening.values()) == {"127.0.0.1"}
    assert listens_at(command.pid) == {"127.0.0.1", f"0.0.0.0:{world.metrics_port}"}
    command.kill_a_worker()
    ended = command.end(seconds=300)
    assert ended.code == 1, ended.log
    assert "a worker process died" in ended.report.message and "resources.memory" in ended.report.message
    assert "rank 1 was ended by SIGKILL" in ended.report.message


def test_an_augmentation_worker_is_killed_in_training(world: World) -> None:
    held = world.anew().but(schedule=LONG).with_env(nnUNet_n_proc_DA="2").held_in(2)
    command = held.start("train", "--fold", "0")
    command.wait_until(held.begun(2), "the second epoch")
    os.kill(augmentation_workers(command)[0], signal.SIGKILL)
    ended = command.end(seconds=300)
    assert ended.code == 1, ended.log
    # Held, nnU-Net does not get to see it first: the watchdog does.
    assert "a worker process died" in ended.report.message
    assert "Raise resources.memory" in ended.report.message and "resources.sharedMemory" in ended.report.message
    assert (ended.fold.epoch, ended.fold.checkpoint_epoch) == (1, 1)
    again = held.held_in(None).start("train", "--fold", "0")
    again.wait_for_log("going on from checkpoint_latest.pth: 1 epoch finished")
    again.kill()


def listens_at(pid: int) -> set[str]:
    """Return the addresses at which a process listens for connections, with the port where that is for all."""
    sockets = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}
    found = set()
    for family, table in ((socket.AF_INET, "tcp"), (socket.AF_INET6, "tcp6")):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] != LISTENS or f"socket:[{fields[9]}]" not in sockets:
                continue
            number, port = fields[1].split(":")
            words = [int(number[at : at + 8], 16) for at in range(0, len(number), 8)]
            address = socket.inet_ntop(family, struct.pack(f"={len(words)}I", *words))
            found.add(address if address in ("127.0.0.1", "::1") else f"{address}:{int(port, 16)}")
    return found


def augmentation_workers(command: Command) -> list[int]:
    """Return the workers that the trainer forked: they have its command line."""
    line = Path(f"/proc/{command.pid}/cmdline").read_bytes()
    found = [pid for pid in descendants(command.pid) if Path(f"/proc/{pid}/cmdline").read_bytes() == line]
    assert found, "no augmentation worker runs"
    return found
