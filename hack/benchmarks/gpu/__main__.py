"""The trainer beside plain `nnUNetv2_train` at the standard 3d_fullres network, on a machine with an NVIDIA GPU.

Time of an epoch, memory, what follows the last batch, the wait for data, what a seed and torch.compile cost, two
processes by NCCL, and going on after SIGKILL. It runs with the Python of the trainer image, with `hack` and `tests` of
this checkout on PYTHONPATH, in under 8 minutes, and says what it could not check. With --device cpu it does the same
with a tiny network: that tells nothing of GPUs, but whether the check itself works.
"""

import argparse
import dataclasses
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from hack.benchmarks.gpu import report
from hack.benchmarks.gpu.report import Run
from hack.benchmarks.gpu.runs import CPU, CUDA, SIZES, Late, Start, Trainings, start_anew

SECONDS = 450.0
"""After so many no training goes on."""
SEED = 1


def main(argv: Sequence[str] | None = None, start: Start = start_anew) -> int:
    """Run the check; return 1 where something is not as it has to be, 2 where nothing was checked.

    `start` starts each of its trainings.
    """
    parser = argparse.ArgumentParser(prog="python -m hack.benchmarks.gpu", description=__doc__)
    parser.add_argument("--device", choices=(CUDA, CPU), default=CUDA, help="(default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="time for all of it (default: %(default)s)")
    parser.add_argument("--iterations", type=int, help="of an epoch (default: 25, with --device cpu 5)")
    parser.add_argument(
        "--epoch-budget",
        type=float,
        default=report.EPOCH_BUDGET,
        help="of plain nnU-Net's epoch (default: %(default)s)",
    )
    options = parser.parse_args(argv)
    deadline = time.monotonic() + options.seconds
    gpus = _gpus() if options.device == CUDA else []
    if options.device == CUDA and not gpus:
        _say("no NVIDIA GPU is at hand, or torch is built without CUDA: nothing was checked")
        return 2
    size = SIZES[options.device]
    if options.iterations:
        size = dataclasses.replace(size, iterations=options.iterations)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        trainings = Trainings(Path(folder), options.device, size, deadline, start)
        found, unchecked, failed = _all(trainings, options.device, len(gpus))
    machine = ", ".join(gpus) if gpus else "a CPU, with a tiny network: this says nothing of GPUs"
    told = report.rows(found, options.epoch_budget, same_batches=trainings.same_batches)
    print(report.text(told, unchecked, machine))
    if failed or any(row.good is False for row in told):
        return 1
    return 0 if told else 2


def _all(trainings: Trainings, device: str, gpus: int) -> tuple[dict[str, Run], dict[str, str], bool]:
    """Return the trainings that came to their end, why the others did not, and whether one has failed."""
    cpu = device == CPU
    steps: list[tuple[str, str, Callable[[], Run], str]] = [
        (report.PLAIN, "plain nnU-Net", trainings.plain, ""),
        (report.TRAINER, "the trainer", trainings.trainer, ""),
        (report.SEEDED, "what a seed costs", lambda: trainings.trainer(seed=SEED), ""),
        (report.RESUMED, "going on after SIGKILL", lambda: trainings.killed(seed=SEED), ""),
        (
            report.TWO,
            "two processes by gloo" if cpu else "two processes by NCCL",
            lambda: trainings.trainer(gpus=2),
            "" if cpu or gpus > 1 else "there is one GPU",
        ),
        (
            report.COMPILED,
            "torch.compile",
            lambda: trainings.trainer(compiled=True),
            "nnU-Net compiles nothing for the CPU" if cpu else _no_compiler(),
        ),
        (
            report.PLAIN_COMPILED,
            "torch.compile of plain nnU-Net",
            lambda: trainings.plain(compiled=True),
            "nnU-Net compiles nothing for the CPU" if cpu else _no_compiler(),
        ),
    ]
    found: dict[str, Run] = {}
    unchecked: dict[str, str] = {}
    failed = False
    if cpu:
        unchecked["anything of GPUs"] = "--device cpu"
    try:
        _say("planning and preprocessing")
        trainings.plan()
        for name, what, train, why_not in steps:
            if why_not:
                unchecked[what] = why_not
                continue
            _say(what)
            try:
                found[name] = train()
            except RuntimeError as error:
                failed, unchecked[what] = True, f"FAILED: {error}"
    except Late:
        missing = [what for name, what, _, _ in steps if name not in found and what not in unchecked]
        unchecked |= dict.fromkeys(missing, "no time was left (--seconds)")
    return found, unchecked, failed


def _gpus() -> list[str]:
    import torch

    if not torch.cuda.is_available() or shutil.which("nvidia-smi") is None:
        return []
    return [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]


def _no_compiler() -> str:
    from nnunet_trainer.process import compiling

    return compiling.lacking() or ""


def _say(what: str) -> None:
    print(f"check-gpu: {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
