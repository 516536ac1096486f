"""Which class was meant, and where one must not stand."""

from pathlib import Path

import pytest

from nnunet_trainer.training.candidates import place_problem, suggestion

KNOWN = {
    "_Helper",
    "nnUNetTrainer",
    "nnUNetTrainerDA5",
    "nnUNetTrainerAdam",
    "nnUNetTrainerNoMirroring",
    "Zebra",
    "Ant",
}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nnUNetTrainerDA55", "Did you mean nnUNetTrainerDA5 or "),
        ("nnunettraineradam", "Did you mean nnUNetTrainerAdam or "),
        ("Xyz", "There are "),
    ],
)
def test_the_nearest_come_first(name: str, said: str) -> None:
    assert suggestion(name, KNOWN).startswith(said)
    assert "_Helper" not in suggestion(name, KNOWN)


def test_private_ones_are_named_to_nobody() -> None:
    assert suggestion("_Helpers", KNOWN).startswith("There are ") and "and 1 more." in suggestion("_Helpers", KNOWN)


@pytest.mark.parametrize(("where", "refused"), [("raw/Dataset001_A/code", True), ("opt", False), ("rawer", False)])
def test_what_stands_on_the_claim_of_the_dataset_is_refused_wherever_it_is_found(
    tmp_path: Path, where: str, refused: bool
) -> None:
    said = place_problem("Ours", tmp_path / where, {"nnUNet_raw": str(tmp_path / "raw")})
    assert bool(said) is refused and ("build it into an image" in said) is refused
    assert place_problem("Ours", tmp_path / where, {}) == ""
