"""Where everything of a run is, inside the pod."""

import os
from dataclasses import dataclass
from pathlib import Path

from nnunet_api.contract import PLAN_RESULT_FILE, PREPROCESSED_PATH, RAW_PATH, RESULTS_PATH, SUMMARY_FILE, RunContract
from nnunet_api.dataset.splits import SPLITS_FILE
from nnunet_api.fold_key import replicate_folder
from nnunet_api.folders import CLAIMS_PATH, model_folder
from nnunet_api.local_copy import LOCAL_COPY_PATH
from nnunet_trainer.process.files import write_atomically
from nnunet_trainer.run.fence import Fence

ROOT_ENV = "NNUNET_RUN_ROOT"
"""Folder that takes the place of / for the mounts, where there is no container runtime."""

FINAL = "checkpoint_final.pth"
LATEST = "checkpoint_latest.pth"
BEST = "checkpoint_best.pth"
PREVIOUS = "checkpoint_previous.pth"
"""The latest checkpoint but one: what there is should the latest turn out damaged."""
VALIDATION_FOLDER = "validation"
"""Folder inside a fold's, where nnU-Net puts predictions of the validation cases."""
VALIDATION_SUMMARY = Path(VALIDATION_FOLDER, "summary.json")
"""nnU-Net's scores of them, inside a fold's folder."""


@dataclass(frozen=True)
class RunPaths:
    """The mounts and the run's folders in them."""

    raw: Path
    """nnUNet_raw."""
    preprocessed: Path
    """Folder of preprocessed data that this training may share."""
    results: Path
    """Where the results claim would begin: the run's folder alone is mounted, below it."""
    run: Path
    """The run's folder: nnUNet_results for nnU-Net."""
    fence: Fence | None = None
    """The right to write beside the folds' folders, for who has to hold it."""

    def check_fence(self) -> None:
        """Raise TrainerError with PREEMPTED when another attempt has taken over."""
        if self.fence:
            self.fence.check()

    def write(self, path: Path, text: str) -> None:
        """Write a small file of the run atomically, by the right to do so where one has to be held."""
        if self.fence:
            self.fence.write(path, text)
        else:
            write_atomically(path, text)

    @property
    def plan_result(self) -> Path:
        """`PlanFacts` of the run."""
        return self.run / PLAN_RESULT_FILE

    @property
    def splits(self) -> Path:
        """The splits of the run's own, where the training asks for some."""
        return self.run / SPLITS_FILE

    @property
    def summary(self) -> Path:
        """The evaluation in full."""
        return self.run / SUMMARY_FILE

    def own_file(self, path: Path) -> Path:
        """Return where a file of the run really is.

        Raises FileNotFoundError, or ValueError for what is no file or lies elsewhere: neither a link in the run's
        folder nor one in the place of it, or of the namespace's, may lead to another run's files.
        """
        real = path.resolve(strict=True)
        if not real.is_relative_to(self.results.resolve() / self.run.relative_to(self.results)) or not real.is_file():
            raise ValueError("it is no file inside the run's folder")
        return real

    def results_of(self, contract: RunContract, replicate: int = 1) -> Path:
        """Return nnU-Net's nnUNet_results: the run's folder, or one in it for each of several replicates."""
        return self.run / replicate_folder(None if contract.replicates == 1 else replicate)

    def model(self, contract: RunContract, plans_name: str, replicate: int = 1) -> Path:
        """Return the model folder of a replicate (1 = first) of the configuration at hand, in nnU-Net's naming."""
        name = model_folder(contract.trainer_class, plans_name, contract.configuration)
        return self.results_of(contract, replicate) / contract.dataset / name

    def fold(self, contract: RunContract, plans_name: str, fold: str, replicate: int = 1) -> Path:
        """Return the folder of a fold of a replicate (1 = first) of the configuration at hand."""
        return self.model(contract, plans_name, replicate) / contract.fold_key(fold, replicate).folder

    def folds(self, contract: RunContract, plans_name: str) -> dict[str, Path]:
        """Return the folder of each fold of each replicate of all configurations by the name of its run."""
        return {
            key.name: self.fold(one, plans_name, key.fold, replicate)
            for one in contract.by_configuration
            for replicate in range(1, contract.replicates + 1)
            for key in one.fold_keys_of(replicate)
        }


def run_paths(contract: RunContract) -> RunPaths:
    """Return the paths of a run in this pod."""
    here = root()
    results = here / RESULTS_PATH.lstrip("/")
    return RunPaths(
        raw=here / RAW_PATH.lstrip("/"),
        preprocessed=here / PREPROCESSED_PATH.lstrip("/"),
        results=results,
        run=results / contract.run_folder,
    )


def compared_run(folder: str) -> RunPaths:
    """Return the paths of a run that a comparison reads: its folder inside the results, and nothing else of it."""
    results = root() / RESULTS_PATH.lstrip("/")
    return RunPaths(raw=Path(), preprocessed=Path(), results=results, run=results / folder)


def local_folder() -> Path:
    """Return the volume for a copy of the preprocessed data on the node, where the training asks for one."""
    return root() / LOCAL_COPY_PATH.lstrip("/")


def claims_root() -> Path:
    """Return where the claims are mounted as a whole, in the container that prepares the folders."""
    return root() / CLAIMS_PATH.lstrip("/")


def root() -> Path:
    """Return the folder that takes the place of / for the mounts."""
    return Path(os.environ.get(ROOT_ENV, "/"))


def has_checkpoints(contract: RunContract, paths: RunPaths) -> bool:
    """Tell whether something of a run was trained already, in any of its replicates."""
    models = (paths.results_of(contract, number) / contract.dataset for number in range(1, contract.replicates + 1))
    return any(next(model.glob("*/fold_*/checkpoint_*.pth"), None) for model in models)


def has_preprocessed_data(contract: RunContract, folder: Path, plans_name: str) -> bool:
    """Tell whether a folder of the preprocessed claim still holds what training reads first."""
    dataset = folder / contract.dataset
    return all((dataset / name).is_file() for name in (f"{plans_name}.json", "dataset.json"))
