"""Pictures of cases in the report: few, checked against the scores, and never in the way of these."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from nnunet_trainer.dataset.raw import Case
from nnunet_trainer.report import cases as module
from nnunet_trainer.report.cases import (
    MOST_CLASSES,
    NOTE,
    CasePictures,
    Picture,
    Sources,
    forget_drawing,
    pictures_of_cases,
    region_of,
)
from nnunet_trainer.report.html_report import render
from nnunet_trainer.report.overlays import Chosen
from tests.support.made_contracts import contract, paths_of, plan_facts
from tests.unit.trainer.scored import evidence, replicate, results

SHAPE = (4, 70, 60)
NAMES = {"1": "liver", "2": "tumour", "(1, 2)": "whole"}


class Reader:
    """Reads as nnU-Net's readers do: (channels, z, y, x), and the spacing."""

    def read_images(self, paths: tuple[str, ...]) -> Any:
        images = [nibabel.load(path) for path in paths]
        spacing = [float(step) for step in images[0].header.get_zooms()][::-1]
        return np.stack([image.get_fdata().T for image in images]), {"spacing": spacing}

    def read_seg(self, path: str) -> Any:
        return self.read_images((path,))


def save(path: Path, values: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(np.asarray(values, np.int16).T, np.eye(4)), path)
    return path


def made(root: Path, **shifts: int) -> Sources:
    """Return the files of cases whose prediction is the reference, moved by so many voxels."""
    paths = paths_of(contract(), root)
    paths.run.mkdir(parents=True)
    files, predictions = {}, {}
    for case, shift in shifts.items():
        reference: Any = np.zeros(SHAPE, int)
        reference[1:3, 20:40, 20:40] = 1
        reference[2, 25:35, 25:35] = 2
        image = save(root / f"raw/{case}_0000.nii.gz", reference * 50)
        files[case] = Case((image,), save(root / f"raw/{case}.nii.gz", reference))
        predictions[case] = save(paths.run / f"{case}.nii.gz", np.roll(reference, shift, axis=1))
    return Sources(Reader(), files, predictions, None, paths)


def dice_of(shift: int, label: int = 1) -> float:
    reference: Any = np.zeros((70, 60), bool)
    reference[20:40, 20:40] = True
    if label == 2:
        reference[:] = False
        reference[25:35, 25:35] = True
    moved = np.roll(reference, shift, axis=0)
    return 2 * float(np.count_nonzero(reference & moved)) / float(2 * np.count_nonzero(reference))


def drawn(sources: Sources, *wanted: Chosen, size: int = 1_000_000) -> list[Picture]:
    return module._drawn(list(wanted), sources, NAMES, size)


def test_a_case_is_shown_with_its_dice(tmp_path: Path) -> None:
    sources = made(tmp_path, a=0, b=5)
    (good, bad) = drawn(sources, Chosen("2", "best", "a", 1.0), Chosen("2", "worst", "b", dice_of(5, 2)))
    assert (good.name, good.rank, good.case, good.dice, good.missing) == ("tumour", "best", "a", 1.0, "")
    assert good.source.startswith("data:image/jpeg;base64,") and bad.source != good.source
    assert not (sources.paths.run / NOTE).exists()
    (whole,) = drawn(sources, Chosen("(1, 2)", "only", "a", 1.0))
    assert whole.source and region_of("(1, 2)") == (1, 2) and region_of("12") == 12


def change_label(sources: Sources) -> None:
    save(sources.cases["a"].label, np.ones(SHAPE))


def change_shape(sources: Sources) -> None:
    save(sources.predictions["a"], np.ones((4, 70, 61)))


def damage(sources: Sources) -> None:
    sources.predictions["a"].write_bytes(b"no image")


def link_out(sources: Sources) -> None:
    sources.predictions["a"].unlink()
    sources.predictions["a"].symlink_to(sources.cases["a"].label)


def remove(sources: Sources) -> None:
    sources.cases["a"].images[0].unlink()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (change_label, "no longer those that were scored: their Dice is"),
        (change_shape, "differ in shape"),
        (damage, ""),
        (link_out, "no file inside the run's folder"),
        (remove, "a_0000.nii.gz"),
    ],
)
def test_a_picture_that_is_missing_says_why_and_the_others_are_there(tmp_path: Path, change: Any, why: str) -> None:
    sources = made(tmp_path, a=0, b=0)
    change(sources)
    lost, there = drawn(sources, Chosen("2", "worst", "a", 1.0), Chosen("2", "best", "b", 1.0))
    assert not lost.source and lost.missing and why in lost.missing
    assert there.source and not there.missing


def test_voxels_with_the_ignore_label_count_for_nothing(tmp_path: Path) -> None:
    sources = made(tmp_path, a=0)
    reference = nibabel.load(sources.cases["a"].label).get_fdata().T
    reference[3] = 3
    save(sources.cases["a"].label, reference)
    prediction = nibabel.load(sources.predictions["a"]).get_fdata().T
    prediction[3] = 1
    save(sources.predictions["a"], prediction)
    (without,) = drawn(sources, Chosen("1", "only", "a", 1.0))
    (with_it,) = drawn(replace(sources, ignore_label=3), Chosen("1", "only", "a", 1.0))
    assert "their Dice" in without.missing and with_it.source


def test_the_page_stays_small(tmp_path: Path) -> None:
    sources = made(tmp_path, a=0, b=0)
    one = len(drawn(sources, Chosen("2", "only", "a", 1.0))[0].source)
    first, second = drawn(sources, Chosen("2", "a", "a", 1.0), Chosen("2", "b", "b", 1.0), size=one + 10)
    assert first.source and second.missing == "the page would become too large"
    labels = {"background": 0, **{f"c{n}": n for n in range(1, 41)}}
    dice = {case: {str(n): 1 - n / 100 for n in range(1, 41)} for case in "abcde"}
    wanted, words = module._wanted(replicate(test=None, validation={"0": dice}), labels, MOST_CLASSES)
    assert len(wanted) == 3 * MOST_CLASSES and {one.key for one in wanted} == {str(n) for n in range(29, 41)}
    assert [one.rank for one in wanted[:3]] == ["worst", "median", "best"]
    assert words.startswith("Pictures of 28 classes with a higher mean Dice are left out")


def test_an_attempt_that_was_killed_while_it_drew_is_not_followed_by_another_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the kernel kills for its memory would be killed again, until no retry is left."""
    sources = made(tmp_path, a=0)

    def killed(*_: Any) -> Any:
        os._exit(137)

    if not (child := os.fork()):
        monkeypatch.setattr(Reader, "read_images", killed)
        drawn(sources, Chosen("1", "only", "a", 1.0))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 137
    with pytest.raises(MemoryError, match=r"ended while case a was read.*resources\.memory"):
        drawn(sources, Chosen("1", "only", "a", 1.0))
    with monkeypatch.context() as more:
        more.setattr(module, "memory_limit", lambda: 1 << 60)
        note = (sources.paths.run / NOTE).read_bytes()
        assert drawn(sources, Chosen("1", "only", "a", 1.0))[0].source, "it has more memory now"
        (sources.paths.run / NOTE).write_bytes(note)
    forget_drawing(sources.paths)
    assert drawn(sources, Chosen("1", "only", "a", 1.0))[0].source, "one that was stopped on request counts for nothing"


def test_nothing_is_drawn_that_was_not_asked_for_and_no_failure_ends_the_report(tmp_path: Path) -> None:
    run = contract(folds=["0", "1"])
    found = {run.configuration: results(replicate(test=None))}
    paths = paths_of(run, tmp_path)
    assert pictures_of_cases(run, paths, plan_facts(), found, {}, None) == {}
    asked = contract(folds=["0", "1"], evaluation={"pictures": True})
    (shown,) = pictures_of_cases(asked, paths, plan_facts(), found, {}, None).values()
    assert shown.of == "validation" and not shown.pictures and shown.left_out.startswith("There are no pictures: ")


def test_what_was_scored_on_the_test_set_is_shown_and_no_validation_besides(tmp_path: Path) -> None:
    asked = contract(folds=["0", "1"], evaluation={"pictures": True})
    found = {"2d": results(replicate(test=None)), "chosen": results(replicate())}
    (name,) = pictures_of_cases(asked, paths_of(asked, tmp_path), plan_facts(), found, {}, None)
    assert name == "chosen"


def test_the_page_says_whose_images_these_are() -> None:
    run = contract(folds=["0", "1"], evaluation={"pictures": True})
    pictures = [
        Picture("tumour", "worst", "<b>x</b>", 0.25, "data:image/jpeg;base64,AAAA"),
        Picture("liver", "best", "y", 0.75, "", "<i>gone</i>"),
    ]
    page = render(
        run,
        plan_facts(),
        {run.configuration: results(replicate(test=None))},
        evidence("0", "1"),
        {},
        dict.fromkeys(("0", "1"), ""),
        {},
        overlays={run.configuration: CasePictures("validation", pictures, "Left out.")},
    )
    for wanted in (
        "images of patients",
        "worst: &lt;b&gt;x&lt;/b&gt;, Dice 0.2500",
        "This picture is missing: &lt;i&gt;gone&lt;/i&gt;",
        "Left out.",
        '<th scope="row">evaluation.pictures</th><td><code>true</code>',
    ):
        assert wanted in page, wanted
    assert page.index("<h3>tumour</h3>") < page.index("<h3>liver</h3>")
