"""Datasets that few have, to the very end: planned, trained, verified and evaluated by the real commands.

`tests/support/sizes.py` says which of them `make test` trains; `make test-soak` trains all.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image

from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.process.files import read_json, write_json
from tests.support.networks import small_network
from tests.support.sizes import ODD_LIVES
from tests.trainer.world import World, make_contract

NAME = "Dataset906_Odd"
Volume = Callable[[Any, Path], None]
SMALL = small_network("3d_fullres", [16, 16, 16], [4, 8, 8])
FLAT = small_network("2d", [32, 32], [4, 8, 8])
THIN = small_network("3d_fullres", [4, 16, 16], [4, 8, 8])
THIN["architecture"]["arch_kwargs"]["strides"] = [[1, 1, 1], [1, 2, 2], [1, 2, 2]]
TURNED = 0.4  # rad


def as_picture(values: Any, path: Path) -> None:
    Image.fromarray(values[0]).save(path)


def straight(values: Any, path: Path, spacing: Sequence[float] = (1, 1, 1)) -> None:
    nibabel.save(nibabel.Nifti1Image(values.T, np.diag([*spacing, 1.0])), path)


def thick(values: Any, path: Path) -> None:
    straight(values, path, (0.7, 0.7, 8))


def oblique(values: Any, path: Path) -> None:
    """Axes of a head that lay askew: turned about two axes."""
    c, s = np.cos(TURNED), np.sin(TURNED)
    affine = np.eye(4)
    affine[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) * 0.9
    affine[:3, 3] = (-31.5, 12, 100)
    nibabel.save(nibabel.Nifti1Image(values.T, affine), path)


@dataclass(frozen=True)
class Life:
    """A dataset, and how it is trained."""

    contract: dict[str, Any]
    """What differs from the usual contract."""
    save: Volume = straight
    ending: str = ".nii.gz"
    shapes: tuple[tuple[int, int, int], ...] = ((30, 34, 32),)
    """Of the cases in turn."""
    cases: int = 4
    tests: int = 1
    without_core: tuple[int, ...] = ()
    """Cases that lack a class."""
    splits: list[dict[str, list[str]]] = field(default_factory=list)
    validates: tuple[int, ...] = (0, 1)
    """Cases of the fold that is trained."""
    note: str = ""
    """What planning notes."""
    names: tuple[str, ...] = ()
    """Of the cases, the test cases last; by default numbers."""

    def case(self, number: int) -> str:
        """Return the name of a case."""
        return self.names[number] if self.names else case(number)


def own(network: dict[str, Any], name: str) -> dict[str, Any]:
    return {"planning": {"configurations": {name: network}}, "configuration": name}


def case(number: int) -> str:
    return f"case_{number:02d}"


HALVES = [
    {"train": [case(2), case(3)], "val": [case(0), case(1)]},
    {"train": [case(0), case(1)], "val": [case(2), case(3)]},
]
AWKWARD = ("-rf", "c%s '\"$;`", "a.nii.gz", "CON. ", "*_0000")
"""What a shell, a printf, an ending and Windows take for something else; the last is of the test set."""
LIVES = {
    "grey pictures": Life(
        {"planning": {}, "configuration": "2d"}, as_picture, ".png", ((1, 60, 70), (1, 64, 50)), splits=HALVES
    ),
    "oblique axes": Life(own(SMALL, "3d_tiny"), oblique, splits=HALVES),
    "residual encoder": Life(
        {"planning": {"planner": "nnUNetPlannerResEncM"}, "configuration": "3d_fullres"}, splits=HALVES
    ),
    "one case": Life({**own(SMALL, "3d_tiny"), "folds": ["all"]}, cases=1, validates=()),
    "two cases": Life(
        {**own(SMALL, "3d_tiny"), "splits": {"folds": 2}},
        cases=2,
        validates=(1,),
    ),
    "a class in no validation case": Life(
        own(SMALL, "3d_tiny"),
        without_core=(0, 1),
        splits=HALVES[:1],
        note="core occurs in no validation case of fold 0: the Dice of such a fold leaves it out",
    ),
    "single slices": Life(own(FLAT, "2d_tiny"), thick, shapes=((1, 40, 44), (1, 48, 36)), splits=HALVES),
    "thin volumes": Life(own(THIN, "3d_tiny"), thick, shapes=((4, 40, 44), (1, 48, 36)), splits=HALVES),
    "awkward names": Life(
        own(SMALL, "3d_tiny"), names=AWKWARD, splits=[{"train": [*AWKWARD[2:4]], "val": [*AWKWARD[:2]]}]
    ),
}


def make(root: Path, life: Life) -> World:
    """Write balls with a core, and return a world that is not planned."""
    folder, random = root / "nnunet/raw" / NAME, np.random.default_rng(0)
    for part in ("imagesTr", "labelsTr", "imagesTs", "labelsTs"):
        (folder / part).mkdir(parents=True)
    for number in range(life.cases + life.tests):
        part, shape = "Tr" if number < life.cases else "Ts", life.shapes[number % len(life.shapes)]
        centre = [(size - 1) * random.uniform(0.4, 0.6) for size in shape]
        distance = np.sqrt(sum((axis - c) ** 2 for axis, c in zip(np.indices(shape), centre, strict=True)))
        label: Any = (distance < 10).astype(np.uint8)
        if number not in life.without_core:
            label[distance < 6] = 2
        values = (np.choose(label, [40, 110, 180]) + random.normal(0, 12, shape)).clip(0, 255).astype(np.uint8)
        life.save(values, folder / f"images{part}/{life.case(number)}_0000{life.ending}")
        life.save(label, folder / f"labels{part}/{life.case(number)}{life.ending}")
    labels = {"background": 0, "shell": 1, "core": 2}
    description = {"channel_names": {"0": "grey"}, "labels": labels, "file_ending": life.ending}
    write_json(folder / "dataset.json", {**description, "numTraining": life.cases})
    if life.splits:
        write_json(folder / "splits_final.json", life.splits)
    for mount in ("preprocessed", "results"):
        (root / "nnunet" / mount).mkdir()
    schedule = {"epochs": 1, "iterationsPerEpoch": 2, "validationIterationsPerEpoch": 1}
    return World(root, make_contract(**{"dataset": NAME, "schedule": schedule, "folds": ["0"], **life.contract}))


@pytest.mark.soak
@pytest.mark.parametrize("name", ODD_LIVES)
def test_its_whole_life(tmp_path: Path, name: str) -> None:
    life = LIVES[name]
    world = make(tmp_path / "world", life)
    planned = world.finish("plan")
    assert planned.code == 0, planned.log
    assert planned.report.plan is not None
    assert life.note in (planned.report.plan.notes or "") and bool(life.note) == bool(planned.report.plan.notes)
    for fold in world.contract.folds:
        trained = world.finish("train", "--fold", fold)
        assert trained.code == 0, trained.log
    verified = world.finish("verify")
    assert verified.code == 0 and verified.report.evidence is not None, verified.log
    assert [(fold.fold, fold.epochs) for fold in verified.report.evidence.folds] == [
        (fold, 1) for fold in world.contract.folds
    ]
    evaluated = world.finish("evaluate")
    assert evaluated.code == 0 and evaluated.report.evaluation is not None, evaluated.log
    summary = read_json(world.run / "summary.json")
    assert summary["testCases"] == life.tests and set(summary["testPerClass"]) == {"shell", "core"}
    (scores,) = [*summary["replicates"][0]["validationByCase"].values()] or [{}]
    assert sorted(scores) == sorted(life.case(number) for number in life.validates)


@pytest.mark.parametrize(
    ("cases", "says"),
    [
        (
            1,
            "has 1 training case, five-fold cross-validation needs at least 5. Add cases, or set trainOnAllCases: true",
        ),
        (2, "Add cases, set splits.folds to at most 2, bring a splits_final.json, or set trainOnAllCases: true"),
    ],
)
def test_folds_of_fewer_cases_than_folds_are_refused_at_the_start(tmp_path: Path, cases: int, says: str) -> None:
    """nnU-Net's split makes five; with the fold `all`, or with splits of two folds, so few can be trained on."""
    world = make(tmp_path / "world", Life({**own(SMALL, "3d_tiny"), "folds": ["0"]}, cases=cases))
    planned = world.finish("plan")
    assert planned.code == ExitCode.WRONG_DATA and says in planned.report.message, planned.report
