"""A model as it is used elsewhere: its zip is installed by nnU-Net's own command, and the printed commands are run."""

import os
import zipfile
from pathlib import Path

import nibabel
import numpy as np

from nnunet_api.model_export import INSTRUCTIONS_FILE, ModelExport, instructions
from tests.trainer.theirs import run_shell
from tests.trainer.world import World


def packed(results: Path, export: ModelExport, target: Path) -> list[str]:
    """Write a zip of what an export takes along of a folder nnUNet_results; return the paths of the files."""
    names = [name for name in export.files if (results / name).exists()]
    with zipfile.ZipFile(target, "w") as archive:
        for name in names:
            archive.write(results / name, name)
        archive.writestr(f"{export.dataset}/{INSTRUCTIONS_FILE}", instructions(export, names))
    return names


def predicted_elsewhere(world: World, results: Path, export: ModelExport, folder: Path) -> Path:
    """Install an export in an empty folder, and let the commands that are in it predict the test images.

    Returns the folder that the last of them has written to.
    """
    folder.mkdir()
    packed(results, export, folder / "model.zip")
    installed, output = folder / "installed", folder / "output"
    by_nnunet(world, installed, f"nnUNetv2_install_pretrained_model_from_zip {folder}/model.zip", output)
    commands = (installed / export.dataset / INSTRUCTIONS_FILE).read_text()
    by_nnunet(world, installed, commands, output)
    return max((path.parent for path in output.rglob("*.nii.gz")), key=lambda found: found.stat().st_mtime_ns)


def by_nnunet(world: World, results: Path, commands: str, output: Path) -> None:
    """Run commands of nnU-Net's in a shell, as people run them, but for what `tests.trainer.theirs` says."""
    raw = world.root / "nnunet/raw"
    folders = {
        "nnUNet_raw": str(raw),
        "nnUNet_preprocessed": str(output.parent),
        "nnUNet_results": str(results),
        "INPUT": str(raw / world.contract.dataset / "imagesTs"),
        "OUTPUT": str(output),
        # As many threads and processes as the evaluation has: then the sums are the same to the last bit.
        "PYTHON_CPU_COUNT": str(world.contract.processes),
        "nnUNet_def_n_proc": str(world.contract.processes),
    }
    run_shell(commands, os.environ | folders)


def require_same(ours: Path, theirs: Path) -> None:
    """Fail unless two folders have the same segmentations, voxel by voxel."""
    names = sorted(path.name for path in ours.glob("*.nii.gz"))
    assert names and names == sorted(path.name for path in theirs.glob("*.nii.gz"))
    for name in names:
        first, second = (np.asanyarray(nibabel.load(folder / name).dataobj) for folder in (ours, theirs))
        assert np.array_equal(first, second), f"{name}: {int((first != second).sum())} voxels differ"
