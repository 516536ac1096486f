"""What a copy of the data on the node gains where the volume of the preprocessed data is slow.

The preprocessed data lies in a folder that is read no faster than --megabytes a second, the copy on the disk of this
machine. Both sides train by turns, in the trainer image, with the same data, network and seed. Twice a second the
kernel is told to forget what it keeps of the copy in memory, as if that were larger than memory. Needs root and FUSE.
Run it by `make bench-local-copy`.
"""

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.trainer.world import World

MOUNTED, VOLUME = "/bench", "/volume"
_PLANNED = Path(MOUNTED, "planned")
CASES, SIZE = 6, 96
"""Training cases, and voxels along each of their axes."""
PATCH = [32, 32, 32]
SIDES = ("claim", "local copy")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and print what it came to."""
    parser = argparse.ArgumentParser(prog="python -m hack.benchmarks.bench_local_copy", description=__doc__)
    parser.add_argument(
        "--megabytes", type=int, default=2, help="throughput of the volume, MB/s (default: %(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=2, help="runs of each side (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=5, help="of a run (default: %(default)s)")
    parser.add_argument("--iterations", type=int, default=10, help="of an epoch (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="that augment (default: %(default)s)")
    parser.add_argument("--inside", choices=("plan", "train"), help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.inside == "plan":
        _plan(options)
        return 0
    if options.inside:
        for run in _measure(options):
            print(json.dumps(run), flush=True)
        return 0
    # Not at the top: the trainer image lacks what these import.
    from hack.images import ImageError, ensure
    from hack.images.container import command_in
    from hack.localcluster.slow_volume import slow_volume

    try:
        image = ensure(["trainer"])["trainer"]
    except ImageError as error:
        print(f"bench-local-copy: {error}", file=sys.stderr)
        return 1
    words = [f"--{name}={getattr(options, name)}" for name in ("rounds", "epochs", "iterations", "workers")]
    command = ["python3", "-m", "hack.benchmarks.bench_local_copy", *words, "--inside"]
    with tempfile.TemporaryDirectory() as scratch:
        world, volume = Path(scratch, "world"), Path(scratch, "volume")
        world.mkdir()
        volume.mkdir()
        writable = {world: MOUNTED, volume: VOLUME}
        with command_in(image, [*command, "plan"], writable=writable) as full:
            subprocess.run(full, check=True, stdout=subprocess.DEVNULL)
        with (
            slow_volume(volume, 1000 * options.megabytes),
            command_in(image, [*command, "train"], writable=writable) as full,
        ):
            runs = list(_runs(full))
    medians = {side: statistics.median(run["epochSeconds"] for run in runs if run["side"] == side) for side in SIDES}
    print(f"epochs take {medians['claim'] / medians['local copy']:.1f} times as long from the claim: {medians}")
    return 0


def _runs(command: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield what each run came to, and print it as it comes."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            if line.startswith("{"):
                print(line, end="", flush=True)
                yield json.loads(line)
    if process.returncode:
        raise SystemExit(f"the runs ended with exit code {process.returncode}")


def _world(options: argparse.Namespace) -> "World":
    from tests.support.networks import small_network
    from tests.trainer.world import World, make_contract

    return World(
        Path(MOUNTED, "world"),
        make_contract(
            planning={"configurations": {"3d_tiny": small_network("3d_fullres", PATCH, [4, 8, 8])}},
            folds=["all"],
            schedule={
                "epochs": options.epochs,
                "iterationsPerEpoch": options.iterations,
                "validationIterationsPerEpoch": 1,
            },
            testSet=None,
            seed=1,
            processes=2,
        ),
        {"nnUNet_n_proc_DA": str(options.workers)},
    )


def _plan(options: argparse.Namespace) -> None:
    """Make the preprocessed data, at full speed; inside the trainer image."""
    from tests.trainer.tiny_dataset import write_dataset

    world = _world(options)
    write_dataset(world.root / "nnunet/raw", training=CASES, test=0, shape=(SIZE, SIZE, SIZE))
    (world.root / "nnunet/results").mkdir()
    (world.root / "nnunet/preprocessed").symlink_to(VOLUME)
    planned = world.finish("plan")
    assert planned.code == 0, planned.log
    shutil.copytree(world.root / "nnunet/results", _PLANNED)


def _measure(options: argparse.Namespace) -> Iterator[dict[str, object]]:
    """Yield what each run took; inside the trainer image."""
    world = _world(options)
    threading.Thread(target=_forget_all_the_time, daemon=True).start()
    for number in range(options.rounds):
        for side in SIDES if number % 2 == 0 else reversed(SIDES):
            shutil.rmtree(world.root / "nnunet/results")
            shutil.rmtree(world.root / "nnunet/local", ignore_errors=True)
            shutil.copytree(_PLANNED, world.root / "nnunet/results")
            ended = _as(world, side).finish("train", "--fold", "all")
            assert ended.code == 0, ended.log
            fold = ended.fold
            copy = fold.local_copy
            yield {
                "side": side,
                "epochSeconds": fold.median_epoch_seconds,
                "dataWaitShare": fold.data_wait_share,
                "workerUse": fold.data_worker_use,
                **({"copied": copy.copied_bytes, "copySeconds": copy.seconds} if copy else {}),
            }


def _as(world: "World", side: str) -> "World":
    # Of a disk of the node's 15 % would have to stay free, which this machine may not have.
    return world.copying(medium="Claim", sizeLimit=None) if side == SIDES[1] else world


def _forget_all_the_time() -> None:
    """Let the kernel keep nothing of the copy in memory; of what lies on the slow volume it keeps nothing."""
    while not threading.Event().wait(0.5):
        for path in Path(MOUNTED, "world/nnunet/local").rglob("*.b2nd"):
            with contextlib.suppress(OSError):
                file = os.open(path, os.O_RDONLY)
                try:
                    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
                finally:
                    os.close(file)


if __name__ == "__main__":
    sys.exit(main())
