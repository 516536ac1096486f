"""Leaks, twins and missing labels are found by what the files hold."""

from pathlib import Path

import numpy as np
import pytest

from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.dataset.contents import (
    CONTENTS_FILE,
    CaseContents,
    fingerprint,
    read_contents,
    require_disjoint,
    require_labels,
    same_images,
    torn_apart,
    unlearned,
    unvalidated,
    write_contents,
)
from nnunet_trainer.dataset.raw import Case, RawDataset
from nnunet_trainer.process.failures import TrainerError

IMAGES = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
FOLDER = Path("/raw/Dataset004_Hippocampus")


def case(name: str, part: str) -> Case:
    return Case((FOLDER / f"images{part}/{name}_0000.nii.gz",), FOLDER / f"labels{part}/{name}.nii.gz")


DATASET = RawDataset(
    FOLDER, {"labels": {"background": 0, "front": 1, "back": 2}}, {name: case(name, "Tr") for name in "abcd"}, None
)


def contents(**fingerprints: str) -> dict[str, CaseContents]:
    return {name: CaseContents(value, (0, 1, 2)) for name, value in fingerprints.items()}


@pytest.mark.parametrize(
    ("images", "same"),
    [
        pytest.param(IMAGES.copy(), True, id="copy"),
        pytest.param(IMAGES.astype(np.float64), True, id="other type of number"),
        pytest.param(IMAGES.astype(">f4"), True, id="other order of bytes"),
        pytest.param(np.asfortranarray(IMAGES), True, id="other layout in memory"),
        pytest.param(IMAGES[::-1], True, id="other order of channels"),
        pytest.param(IMAGES[:, ::-1], False, id="flipped"),
        pytest.param(IMAGES.reshape(2, 4, 3, 5), False, id="other shape"),
        pytest.param(IMAGES[:1], False, id="fewer channels"),
        pytest.param(IMAGES + np.float32(1e-3), False, id="other intensities"),
    ],
)
def test_fingerprint(images: np.ndarray, same: bool) -> None:
    before = images.copy()
    assert (fingerprint(images) == fingerprint(IMAGES)) is same
    assert np.array_equal(images, before), "the images must not change"


def test_zero_has_no_sign() -> None:
    zeros: np.ndarray = np.zeros((1, 2, 2, 2), np.float32)
    assert fingerprint(zeros) == fingerprint(-zeros)


def test_a_label_that_occurs_nowhere_is_named() -> None:
    found = {"a": CaseContents("1", (0, 1)), "b": CaseContents("2", (0,))}
    with pytest.raises(TrainerError, match=r"back \(2\) of labels .* none of the 2 training cases") as caught:
        require_labels(DATASET, found)
    assert caught.value.code == ExitCode.WRONG_DATA
    require_labels(DATASET, found | {"c": CaseContents("3", (0, 2, 1))})


def test_a_class_that_a_fold_can_not_learn_is_named() -> None:
    """A class in one case only, or in cases that all are validated on together."""
    found = {"a": CaseContents("1", (0, 1)), "b": CaseContents("2", (0, 1, 2)), "c": CaseContents("3", (0,))}
    splits = [{"train": ["a", "c"], "val": ["b"]}, {"train": ["b", "c"], "val": ["a"]}, {"train": ["c"], "val": ["a"]}]
    front, back = sorted(unlearned(DATASET, found, splits), reverse=True)
    assert front.startswith("front occurs in no training case of fold 2: such a fold can't learn it")
    assert back.startswith("back occurs in no training case of fold 0, 2")


def test_a_class_that_a_fold_does_not_validate_on_is_named() -> None:
    found = {"a": CaseContents("1", (0, 1)), "b": CaseContents("2", (0, 1, 2)), "c": CaseContents("3", (0,))}
    splits = [{"train": ["a", "b"], "val": ["c"]}, {"train": ["b", "c"], "val": ["a"]}, {"train": ["a"], "val": ["b"]}]
    front, back = sorted(unvalidated(DATASET, found, splits), reverse=True)
    assert front.startswith("front occurs in no validation case of fold 0: the Dice of such a fold leaves it out")
    assert back.startswith("back occurs in no validation case of fold 0, 1")
    assert not list(unvalidated(DATASET, found, []))


def test_a_leak_is_refused_and_names_both_files() -> None:
    training, test = contents(a="1", b="2", c="2"), contents(x="2", y="3")
    cases = {name: case(name, "Ts") for name in test}
    with pytest.raises(TrainerError) as caught:
        require_disjoint(DATASET, training, cases, test)
    assert caught.value.code == ExitCode.WRONG_DATA
    assert "1 of 2 test cases" in caught.value.message
    assert "imagesTs/x_0000.nii.gz is imagesTr/b_0000.nii.gz" in caught.value.message


def test_the_same_name_with_other_images_is_only_a_hint(caplog: pytest.LogCaptureFixture) -> None:
    test = contents(a="9")
    require_disjoint(DATASET, contents(a="1", b="2"), {"a": case("a", "Ts")}, test)
    assert "a: names of training cases and of test cases" in caplog.text


@pytest.mark.parametrize(
    ("splits", "told"),
    [
        pytest.param([{"train": ["a", "b"], "val": ["c", "d"]}], [], id="together"),
        pytest.param([{"train": ["a", "d"], "val": ["b"]}], ["a = b (fold 0)"], id="apart"),
        pytest.param(
            [{"train": ["a", "c"], "val": ["b", "d"]}, {"train": ["b", "c"], "val": ["a", "d"]}],
            ["a = b (fold 0, 1)", "c = d (fold 0, 1)"],
            id="two pairs in two folds",
        ),
        pytest.param([{"train": ["a"], "val": ["d"]}], [], id="left out"),
    ],
)
def test_twins_that_a_fold_trains_and_validates_on(splits: list[dict[str, list[str]]], told: list[str]) -> None:
    groups = same_images(contents(a="1", b="1", c="2", d="2", e="3"))
    assert groups == [["a", "b"], ["c", "d"]]
    assert torn_apart(groups, splits) == told


def test_contents_are_noted(tmp_path: Path) -> None:
    assert read_contents(tmp_path) is None
    noted = contents(a="1", b="2")
    write_contents(tmp_path, noted)
    assert read_contents(tmp_path) == noted


EARLIER = '{"a": {"checks": 1, "fingerprint": "1", "labels": [1]}}'
"""Of a time when cases were looked at for less."""


@pytest.mark.parametrize(
    "text", ["", "[]", '{"a": 1}', '{"a": {"checks": 3, "labels": [1]}}', '{"a": {"fingerprint": "1"}}', EARLIER]
)
def test_notes_that_cannot_be_read_are_made_again(tmp_path: Path, text: str) -> None:
    (tmp_path / CONTENTS_FILE).write_text(text)
    assert read_contents(tmp_path) is None
