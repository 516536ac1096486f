"""One round of a small training, stage by stage: by plain nnU-Net's commands, by the trainer, or by both.

Runs inside the trainer image: `python3 -m hack.benchmarks.start.stages --help`. Prints a line of JSON for each stage.
"""

import argparse
import contextlib
import ctypes
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from nnunet_api.contract import CONTRACT_ENV
from nnunet_trainer.run.paths import ROOT_ENV
from nnunet_trainer.run.report import TERMINATION_LOG_ENV
from nnunet_trainer.run.serving import METRICS_PORT_ENV
from tests.trainer.tiny_dataset import BENCHED
from tests.trainer.world import World, make_world

SIDES = ("plain", "trainer")
PLAN, PREPARED, START, EPOCHS = "plan", "prepared", "start", "epochs"
VALIDATION, VERIFY, EVALUATE = "validation", "verify", "evaluate"
STAGES = (PLAN, PREPARED, START, EPOCHS, VALIDATION, VERIFY, EVALUATE)
CLASS = "nnUNetTrainerMarked"
MARKS_ENV = "BENCH_MARKS"
CLASS_SOURCE = f"""
import os
import time
from pathlib import Path

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


def mark(what):
    seconds = used = time.time(), sum(os.times()[:4])
    with Path(os.environ["{MARKS_ENV}"]).open("a") as marks:
        marks.write(f"{{what}} {{seconds[0]}} {{used[1]}}\\n")


class {CLASS}(nnUNetTrainer):
    def __init__(self, plans, configuration, fold, dataset_json, device=torch.device("cpu")):
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.num_epochs, self.num_iterations_per_epoch, self.num_val_iterations_per_epoch = 2, 10, 2
        self.has_begun = False

    def train_step(self, batch):
        result = super().train_step(batch)
        if not self.has_begun:
            self.has_begun = True
            mark("{START}")
        return result

    def perform_actual_validation(self, save_probabilities=False):
        mark("{EPOCHS}")
        super().perform_actual_validation(save_probabilities)
"""
"""nnU-Net's trainer with a short schedule, which notes when the first iteration and the last epoch are done: at what
time, and how many CPU seconds it and its ended children have used. With augmentation in its own process there are no
others then."""
SCHEDULE = {"epochs": 2, "iterationsPerEpoch": 10, "validationIterationsPerEpoch": 2}
CONFIGURATION = "3d_tiny"
PREPROCESSED_FOR = "3d_fullres"
"""What the tiny configuration inherits from, so that both are trained on the same preprocessed data."""
_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Cost:
    """What one stage took on one side."""

    side: str
    stage: str
    cpu_seconds: float
    """Of all its processes."""
    seconds: float


class Round:
    """A new dataset, and its way through all stages."""

    def __init__(self, root: Path, processes: int) -> None:
        classes = root / "classes"
        classes.mkdir()
        (classes / "marked.py").write_text(CLASS_SOURCE)
        self._root, self._processes = root, processes
        self._world: World = make_world(
            root / "world", BENCHED, folds=["0"], schedule=SCHEDULE, trainerClass=CLASS, processes=processes
        )
        self._env = {"nnUNet_extTrainer": str(classes), "nnUNet_n_proc_DA": "0"}

    def trainer(self) -> Iterator[Cost]:
        """Yield the costs of the trainer, each of whose commands has a pod of its own."""
        env = {
            CONTRACT_ENV: self._world.contract.to_text(),
            ROOT_ENV: str(self._world.root),
            TERMINATION_LOG_ENV: str(self._root / "termination"),
            METRICS_PORT_ENV: str(self._world.metrics_port),
        }
        another = self._world.but(name="another", uid="fedcba9876543210").contract.to_text()
        for words, stages in (
            (["plan"], [PLAN]),
            (["plan"], [PREPARED]),
            (["train", "--fold", "0"], [START, EPOCHS, VALIDATION]),
            (["verify"], [VERIFY]),
            (["evaluate"], [EVALUATE]),
        ):
            own = {CONTRACT_ENV: another} if stages == [PREPARED] else {}
            yield from self._costs("trainer", stages, [["-m", "nnunet_trainer", *words]], env | own)

    def plain(self) -> Iterator[Cost]:
        """Yield the costs of nnU-Net's commands with the same settings; the trainer has been here before."""
        raw, results, count = self._world.root / "nnunet/raw", self._root / "plain-results", str(self._processes)
        (data,) = (path.parent.parent for path in self._world.root.glob("nnunet/preprocessed/*/*/splits_final.json"))
        # The planner asks torch for so many threads, of which there must be one.
        own = {"nnUNet_preprocessed": str(self._root / "plain-preprocessed"), "nnUNet_n_proc_DA": count}
        env = {"nnUNet_raw": str(raw), "nnUNet_results": str(results), "nnUNet_compile": "f"}
        env |= {"nnUNet_def_n_proc": count, "OMP_NUM_THREADS": "1"}
        planned = ["-d", "901", "-c", PREPROCESSED_FOR, "-npfp", count, "-np", count, "--verify_dataset_integrity"]
        plan = _script("nnUNetv2_plan_and_preprocess")
        yield from self._costs("plain", [PLAN], [[plan, *planned]], env | own)
        env["nnUNet_preprocessed"] = str(data)
        dataset = self._world.contract.dataset
        of_model = ["-tr", CLASS, "-device", "cpu"]
        train = [_script("nnUNetv2_train"), dataset, CONFIGURATION, "0", *of_model]
        yield from self._costs("plain", [START, EPOCHS, VALIDATION], [train], env)
        output = self._root / "plain-predicted"
        predict = [_script("nnUNetv2_predict")]
        predict += ["-i", str(raw / dataset / "imagesTs"), "-o", str(output), "-d", "901", "-c", CONFIGURATION]
        predict += ["-f", "0", *of_model, "-npp", count, "-nps", count]
        (model,) = (results / dataset).glob(f"{CLASS}__*")
        score = [_script("nnUNetv2_evaluate_folder")]
        score += [str(raw / dataset / "labelsTs"), str(output), "-np", count]
        score += ["-djfile", str(model / "dataset.json"), "-pfile", str(model / "plans.json")]
        yield from self._costs("plain", [EVALUATE], [predict, score], env)

    def _costs(
        self, side: str, stages: Sequence[str], commands: Sequence[Sequence[str]], env: Mapping[str, str]
    ) -> Iterator[Cost]:
        """Run Python's commands, each with empty caches as in a new pod, and yield what the stages took."""
        marks = self._root / "marks"
        marks.unlink(missing_ok=True)
        began, used = time.time(), _used_by_children()
        for words in commands:
            scratch = self._root / "scratch"
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir()
            fresh = {"HOME": str(scratch), "MPLCONFIGDIR": str(scratch / "matplotlib"), MARKS_ENV: str(marks)}
            done = subprocess.run(
                [sys.executable, *words],
                env={**os.environ, **self._env, **fresh, **env},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            assert done.returncode == 0, f"{side}, {stages}: exit code {done.returncode}\n{done.stdout[-8000:]}"
        _reap_orphans()
        before = (began, 0.0)
        for line in marks.read_text().splitlines() if marks.exists() else ():
            stage, moment, cpu = line.split()
            yield Cost(side, stage, float(cpu) - before[1], float(moment) - before[0])
            before = (float(moment), float(cpu))
        yield Cost(side, stages[-1], _used_by_children() - used - before[1], time.time() - before[0])


def _script(name: str) -> str:
    """Return the path of a command of nnU-Net's."""
    return str(Path(sys.prefix, "bin", name))


def _used_by_children() -> float:
    times = os.times()
    return times.children_user + times.children_system


def _reap_orphans() -> None:
    """Wait for processes whose parents have ended before them, so that what they used is counted."""
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()


def main() -> None:
    """Run a round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, required=True)
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=SIDES)
    options = parser.parse_args()
    # Orphans become children of this process.
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with tempfile.TemporaryDirectory() as folder:
        one = Round(Path(folder), options.processes)
        costs = [one.trainer]
        if "plain" in options.sides:
            costs.append(one.plain)
        for measured in costs:
            for cost in measured():
                print(json.dumps(asdict(cost)), flush=True)


if __name__ == "__main__":
    main()
