"""The check for machines with a GPU, with a tiny network on the CPU: all of it but CUDA, NCCL and torch.compile."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from hack.benchmarks.gpu.__main__ import main
from hack.benchmarks.gpu.runs import Process, start_anew
from tests.trainer.world import zygote


def start(command: Sequence[str], env: Mapping[str, str], log: Path) -> Process:
    """Fork the trainer, as other tests do; what is plain nnU-Net starts as people start it."""
    if "nnunet_trainer" not in command:
        return start_anew(command, env, log)
    with log.open("wb") as output:
        return zygote().start(command[1:], env, output.fileno(), pools=True)


def test_it_compares_with_plain_nnunet_and_says_what_it_could_not_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--device", "cpu", "--seconds", "900", "--epoch-budget", "99"], start) == 0
    said = capsys.readouterr().out
    table = {line.split(" | ")[0].removeprefix("| "): line for line in said.splitlines() if line.startswith("| ")}
    for same in ("training losses, plain / trainer", "training losses in peace / killed and resumed"):
        assert "| equal | good |" in table[same], said
    for what in ("an epoch, plain / trainer, s", "of that waiting for training data", "peak memory, MiB"):
        assert what in table, said
    assert "an epoch in one / two processes, s" in table and "an epoch without / with a seed, s" in table
    assert (
        "- torch.compile: nnU-Net compiles nothing for the CPU" in said and "- anything of GPUs: --device cpu" in said
    )


def test_without_a_gpu_nothing_is_checked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    told = capsys.readouterr()
    assert "no NVIDIA GPU is at hand" in told.err and told.out == ""


def test_where_there_was_no_time_nothing_is_checked_and_all_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--device", "cpu", "--seconds", "2"], start) == 2
    assert "- plain nnU-Net: no time was left (--seconds)" in capsys.readouterr().out
