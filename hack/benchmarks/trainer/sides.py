"""Plain nnU-Net and the trainer, epoch by epoch in turns, on the same data with the same network, seed and settings.

Runs inside the trainer image: `python3 -m hack.benchmarks.trainer.sides --help`. Prints a line of JSON for each epoch
that both have trained.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hack.benchmarks.trainer import watched
from hack.benchmarks.trainer.logs import rss_mib
from nnunet_api.contract import CONTRACT_ENV
from nnunet_trainer.process.processes import descendants
from nnunet_trainer.run.paths import ROOT_ENV
from nnunet_trainer.run.report import TERMINATION_LOG_ENV
from nnunet_trainer.run.serving import METRICS_PORT_ENV
from tests.trainer.tiny_dataset import BENCHED
from tests.trainer.world import TINY_NETWORK, World, make_world

CLASS = "nnUNetTrainerBench"
CONFIGURATION = "3d_bench"
PATCH, FEATURES = [32, 32, 32], [8, 16, 32]
"""With them an epoch of standard length takes some tens of seconds on a CPU."""
EPOCHS = 1000
"""nnU-Net's schedule, of which the first epochs are trained."""
PLAIN, OURS = "plain", "ours"
EPOCH_SECONDS = 1200.0
"""No epoch takes that long, nor a start."""
LOOK_SECONDS = 0.05


class Side:
    """A training that goes on by an epoch each time that it is asked to."""

    def __init__(self, name: str, folder: Path, command: list[str], env: Mapping[str, str]) -> None:
        folder.mkdir()
        self._name, self._folder, self._log = name, folder, folder / "log"
        self._peak = 0.0
        with self._log.open("wb") as output:
            everything = os.environ | env | {watched.FOLDER: str(folder)}
            self._process = subprocess.Popen(command, env=everything, stdout=output, stderr=subprocess.STDOUT)

    def train(self, epoch: int) -> dict[str, Any]:
        """Train an epoch while all else stands still; return what it took."""
        (self._folder / f"go-{epoch}").touch()
        done, deadline = self._folder / f"done-{epoch}", time.monotonic() + EPOCH_SECONDS
        while not done.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{self._name} did not train epoch {epoch}:\n{self._log.read_text()[-8000:]}")
            self._peak = max(self._peak, rss_mib(self._process.pid))
            time.sleep(LOOK_SECONDS)
        return {**json.loads(done.read_text()), "peak_mib": self._peak}

    def end(self) -> None:
        """End it where it stands."""
        for pid in (*descendants(self._process.pid), self._process.pid):
            os.kill(pid, signal.SIGKILL)
        self._process.wait()


class Bench:
    """A planned dataset, and the two ways to train on it."""

    def __init__(self, root: Path, iterations: int, validation_iterations: int) -> None:
        architecture: Any = TINY_NETWORK["architecture"]
        arguments = architecture["arch_kwargs"] | {"features_per_stage": FEATURES}
        network = TINY_NETWORK | {"patch_size": PATCH, "architecture": architecture | {"arch_kwargs": arguments}}
        classes = root / "classes"
        classes.mkdir()
        shutil.copy(watched.__file__, classes / "bench.py")
        # The same for both: what is compared is the code, not who guesses a better number of workers or threads.
        self._env = {
            "nnUNet_extTrainer": str(classes),
            "nnUNet_n_proc_DA": "0",
            "OMP_NUM_THREADS": "1",
            watched.ITERATIONS: str(iterations),
            watched.VALIDATION_ITERATIONS: str(validation_iterations),
        }
        schedule = {
            "epochs": EPOCHS,
            "iterationsPerEpoch": iterations,
            "validationIterationsPerEpoch": validation_iterations,
        }
        self._world: World = make_world(
            root / "world",
            BENCHED,
            planning={"configurations": {CONFIGURATION: network}},
            configuration=CONFIGURATION,
            schedule=schedule,
            trainerClass=CLASS,
            processes=1,
        ).with_env(**self._env)
        self._root = root
        planned = self._world.finish("plan")
        assert planned.code == 0, planned.log

    def plain(self) -> Side:
        """Start as `nnUNetv2_train` does."""
        (data,) = (path.parent.parent for path in self._world.root.glob("nnunet/preprocessed/*/*/splits_final.json"))
        env = self._env | {"nnUNet_raw": str(self._world.root / "nnunet/raw"), "nnUNet_compile": "f"}
        env |= {"nnUNet_preprocessed": str(data), "nnUNet_results": str(self._root / "plain-results")}
        module = ["nnunetv2.run.run_training", self._world.contract.dataset, CONFIGURATION, "0", "-tr", CLASS]
        return Side(PLAIN, self._root / PLAIN, [sys.executable, "-u", "-m", *module, "-device", "cpu"], env)

    def ours(self) -> Side:
        """Start as the operator's pods do."""
        env = self._env | {
            CONTRACT_ENV: self._world.contract.to_text(),
            ROOT_ENV: str(self._world.root),
            TERMINATION_LOG_ENV: str(self._root / "termination"),
            METRICS_PORT_ENV: str(self._world.metrics_port),
        }
        return Side(
            OURS, self._root / OURS, [sys.executable, "-u", "-m", "nnunet_trainer", "train", "--fold", "0"], env
        )

    def epochs(self) -> Iterator[dict[str, Any]]:
        """Yield what each epoch took of both. Both are ended where nobody asks for more."""
        sides = [self.plain(), self.ours()]
        try:
            for epoch in range(EPOCHS):
                took: dict[str, Any] = {"epoch": epoch}
                # A B, B A, ...: a machine that gets slower or faster favours nobody.
                for number in (0, 1) if epoch % 2 == 0 else (1, 0):
                    took[(PLAIN, OURS)[number]] = sides[number].train(epoch)
                yield took
        finally:
            for side in sides:
                side.end()


def main(argv: Sequence[str] | None = None) -> None:
    """Train both sides."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, required=True, help="most epochs")
    parser.add_argument("--iterations", type=int, required=True)
    parser.add_argument("--validation-iterations", type=int, required=True)
    parser.add_argument("--stop", type=Path, required=True, help="file that ends it after the epoch at hand")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        epochs = Bench(Path(folder), options.iterations, options.validation_iterations).epochs()
        for took in epochs:
            print(json.dumps(took), flush=True)
            if took["epoch"] + 1 == options.epochs or options.stop.exists():
                epochs.close()  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
