"""What a training leaves on its claim, and its export by the real agent."""

import functools
import hashlib
import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nnunet_cli.export.archive import files_of, write_archive
from nnunet_cli.export.choice import Wanted, wanted
from nnunet_cli.kube.watched import watched
from nnunet_cli.volumes.agent import BLOCK
from tests.support.made_statuses import condition
from tests.support.pipes import LocalVolume

DATASET = "Dataset004_Hippocampus"
RUN = "clinic/hippo-12345678"
WEIGHTS = bytes(range(256)) * (3 * BLOCK // 512)  # one block and a half
PLANS = b'{"plans_name": "nnUNetPlans", "configurations": {}}'
OWN = ("nnunetv2.postprocessing.remove_connected_components", "remove_all_but_largest_component_from_segmentation")
Change = Callable[[Path], Any]


@functools.cache
def weights(configuration: str, fold: int, replicate: int = 1) -> bytes:
    """Return a checkpoint as torch writes it."""
    return weights_with(configuration, fold, replicate)


@functools.cache
def _digest(configuration: str, fold: int, replicate: int) -> str:
    return hashlib.sha256(weights(configuration, fold, replicate)).hexdigest()


def weights_with(configuration: str, fold: int, replicate: int = 1, **more: Any) -> bytes:
    """Return a checkpoint as torch writes it, which holds more than others do."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        of = f"{configuration} {fold} {replicate}"
        archive.writestr(zipfile.ZipInfo("archive/data.pkl"), pickle.dumps({"of": of, **more}, 2))
        archive.writestr(zipfile.ZipInfo("archive/data/0"), WEIGHTS)
    return file.getvalue()


def model(configuration: str) -> str:
    return f"nnUNetTrainer__nnUNetPlans__{configuration}"


def training(*configurations: str, replicates: int = 1, **changes: Any) -> dict[str, Any]:
    """Return a complete training as the API server gives it."""
    several = len(configurations) > 1
    folds = [
        {
            "fold": str(fold),
            "phase": "Completed",
            **({"configuration": configuration} if several else {}),
            **({"replicate": number} if replicates > 1 else {}),
            "checkpointHash": _digest(configuration, fold, number),
        }
        for configuration in configurations
        for number in range(1, replicates + 1)
        for fold in (0, 1)
    ]
    inner = "replicate-1/" if replicates > 1 else ""
    paths = {name: f"models/{RUN}/{inner}{DATASET}/{model(name)}" for name in configurations}
    if several:
        results: Any = {"configurations": [{"configuration": n, "modelPath": path} for n, path in paths.items()]}
    else:
        results = {"modelPath": paths[configurations[0]]}
    spec: Any = {"configurations": list(configurations)} if several else {"configuration": configurations[0]}
    spec |= {"dataset": {"name": DATASET}, "storage": {"results": {"subPath": "models"}}}
    complete = [condition("Complete", "TrainingComplete", "all done")]
    return {
        "metadata": {"namespace": "clinic", "name": "hippo", "uid": "12345678-aaaa"},
        "spec": {**spec, "replicates": replicates, **changes.pop("spec", {})},
        "status": {
            "conditions": complete,
            "folds": folds,
            "results": {**results, **changes.pop("results", {})},
            **changes,
        },
    }


def chosen(body: dict[str, Any], *asked: str, replicate: int = 1) -> Wanted:
    return wanted(body, watched(body), asked, replicate)


def write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def run_folder(root: Path, *configurations: str, replicates: int = 1) -> Path:
    """Write what a training leaves on the claim; return nnU-Net's nnUNet_results of its first replicate."""
    run = root / RUN
    for number in range(1, replicates + 1):
        results = run / f"replicate-{number}" if replicates > 1 else run
        for configuration in configurations:
            folder = results / DATASET / model(configuration)
            write(folder / "plans.json", PLANS)
            write(folder / "dataset.json", b"{}")
            write(folder / "dataset_fingerprint.json", b"{}")
            for fold in (0, 1):
                write(folder / f"fold_{fold}/checkpoint_final.pth", weights(configuration, fold, number))
                write(folder / f"fold_{fold}/checkpoint_best.pth", b"best")
                write(folder / f"fold_{fold}/progress.png", b"png")
                write(folder / f"fold_{fold}/validation/summary.json", b"{}")
                write(folder / f"fold_{fold}/validation/case.nii.gz", b"a patient")
    return run / "replicate-1" if replicates > 1 else run


def exported(root: Path, choice: Wanted, target: Path) -> list[str]:
    """Export as the command does, by the real agent; return the paths that are in the zip."""
    volume = LocalVolume(root)
    folder = f"{RUN}/{choice.folder}" if choice.folder else RUN
    with volume.run("sizes", f"{folder}/{choice.export.dataset}") as remote:
        there = {f"{DATASET}/{one['path']}": one["size"] for one in remote.messages()}
    moved: list[int] = []
    files = files_of(choice.export, there, "clinic/hippo")
    digest = write_archive(target, volume, folder, choice.export, files, moved.append)
    assert sum(moved) == sum(files.values()) and digest == hashlib.sha256(target.read_bytes()).hexdigest()
    with zipfile.ZipFile(target) as archive:
        assert archive.testzip() is None
        return archive.namelist()


def stand_in() -> None:
    """Stand for a function of a module that is not installed here."""


def steps(*of: Any, function: tuple[str, str] = OWN, **others: Any) -> bytes:
    """Return the postprocessing.pkl of nnU-Net that keeps the largest components of these."""
    content = [stand_in] * len(of), [{"labels_or_regions": one, **others} for one in of]
    # By the newest protocol in which a name has no length before it.
    data, own = pickle.dumps(content, protocol=3), f"c{__name__}\nstand_in\n".encode()
    assert data.count(own) == bool(of)
    return data.replace(own, f"c{function[0]}\n{function[1]}\n".encode())


def doubled() -> Any:
    """Lists that hold each other twice: to write them down takes hundreds of MB."""
    found: Any = ["xxxxxxxx"]
    for _ in range(24):
        found = [found, found]
    return found
