"""How many test cases are predicted at once, by the memory that there is."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.process.failures import TrainerError
from nnunet_trainer.process.files import read_json, write_json
from nnunet_trainer.run.fence import FENCE_FILE, Fence
from nnunet_trainer.scoring import predicting
from nnunet_trainer.scoring.predicting import WORKERS_FILE, choose_workers, forget_attempt, predict_cases
from nnunet_trainer.scoring.prediction_memory import (
    ALONE,
    Extent,
    after_a_kill,
    extent,
    fitting_mergers,
    fitting_postprocessors,
    fitting_scorers,
    fitting_workers,
    needed_bytes,
    shortage,
)
from tests.support.made_contracts import contract

GIB = 1 << 30
SMALL = Extent(32**3, 64**3, 1, 3)
"""A block of the demo."""
ABDOMEN = extent((200, 512, 512), (2.5, 0.8, 0.8), (2.5, 0.8, 0.8), (64, 160, 160), 1, 14)
WHOLE_BODY = extent((1000, 512, 512), (1.5, 0.98, 0.98), (1.5, 1.5, 1.5), (128, 128, 128), 1, 118)


@pytest.mark.parametrize(
    ("shape", "spacing", "target", "patch", "voxels", "resampled"),
    [
        ((10, 20, 30), (1, 1, 1), (1, 1, 1), (4, 4, 4), 6000, 6000),
        ((10, 20, 30), (2, 1, 1), (1, 1, 1), (4, 4, 4), 6000, 12000),
        ((10, 20, 30), (2, 1, 1), (1, 1, 1), (32, 32, 32), 6000, 32**3),
        ((10, 20, 30), (5, 1, 1), (2, 2), (4, 4), 6000, 10 * 10 * 15),
        ((1, 64, 64), (999, 1, 1), (1, 1), (128, 128), 4096, 128 * 128),
    ],
    ids=["as it is", "finer", "at least a patch", "2D leaves slices", "an image of one slice"],
)
def test_how_large_a_case_gets(shape: Any, spacing: Any, target: Any, patch: Any, voxels: int, resampled: int) -> None:
    found = extent(shape, spacing, target, patch, 2, 3)
    assert (found.voxels, found.resampled) == (voxels, resampled)
    assert found.logits == 2 * 3 * resampled


CT, THICK = (1, 0.8, 0.8), (3, 0.8, 0.8)


@pytest.mark.parametrize(
    ("slices", "spacing", "target", "heads", "probabilities", "preparing", "writing"),
    [
        (300, CT, (1, 0.85, 0.85), 3, False, 43.3, 41.2),
        (300, CT, (1, 0.85, 0.85), 3, True, 43.3, 43.9),
        (60, CT, (1, 0.85, 0.85), 9, False, None, 108.6),
        (60, CT, CT, 9, True, None, 101.0),
        (40, CT, (1, 0.7, 0.7), 3, False, 55.9, None),
        (60, THICK, (2.7, 0.8, 0.8), 3, False, 92.2, 129.5),
        (60, THICK, (2.7, 0.8, 0.8), 3, True, None, 129.6),
        (60, THICK, (2.7, 0.8, 0.8), 9, False, None, 208.6),
    ],
)
def test_a_case_is_counted_as_it_was_measured(
    slices: int,
    spacing: Any,
    target: Any,
    heads: int,
    probabilities: bool,
    preparing: float | None,
    writing: float | None,
) -> None:
    """Peaks of nnU-Net's functions by the kernel (VmHWM), in bytes a voxel of images of 512 x 512 voxels a slice."""
    case = extent((slices, 512, 512), spacing, target, (8, 8, 8), 1, heads)
    case = replace(case, keeps_probabilities=probabilities)
    for measured, counted in ((preparing, case.preparing), (writing, case.writing)):
        assert measured is None or measured <= counted / case.voxels < 1.4 * measured, counted / case.voxels


@pytest.mark.parametrize(
    ("slices", "spacing", "target", "channels", "heads", "preparing", "writing"),
    [
        (80, CT, (1, 0.85, 0.85), 1, 3, 49.1, None),
        (80, CT, (1, 0.85, 0.85), 2, 3, 68.7, None),
        (80, CT, (1, 0.85, 0.85), 4, 3, 107.7, 41.7),
        (80, CT, (1, 0.85, 0.85), 1, 9, None, 107.3),
        (80, CT, (1, 1.2, 1.2), 4, 3, 99.1, 34.0),
        (80, CT, (0.85, 0.85), 4, 3, 107.7, 41.7),
        (60, THICK, (2.7, 0.8, 0.8), 2, 3, 136.7, None),
        (60, THICK, (2.7, 0.8, 0.8), 4, 3, 177.6, 128.4),
    ],
)
def test_several_channels_and_regions_are_counted_as_they_were_measured(
    slices: int,
    spacing: Any,
    target: Any,
    channels: int,
    heads: int,
    preparing: float | None,
    writing: float | None,
) -> None:
    """As above, of images of 384 x 384 voxels a slice whose labels are regions."""
    case = extent((slices, 384, 384), spacing, target, (8,) * len(target), channels, heads, regions=True)
    for measured, counted in ((preparing, case.preparing), (writing, case.writing)):
        assert measured is None or measured <= counted / case.voxels < 1.5 * measured, counted / case.voxels


@pytest.mark.parametrize(
    ("target", "channels", "heads", "measured"),
    [
        ((1, 0.85, 0.85), 1, 3, 33.3),
        ((1, 0.85, 0.85), 4, 3, 47.5),
        ((1, 0.85, 0.85), 4, 9, 94.4),
        ((0.85, 0.85), 4, 3, 41.8),
    ],
)
def test_what_predicts_is_counted_as_it_was_measured(target: Any, channels: int, heads: int, measured: float) -> None:
    """Peaks of nnU-Net's predictor with two folds on the CPU, in bytes a voxel of the network's grid."""
    case = extent((80, 384, 384), CT, target, (32, 128, 128)[-len(target) :], channels, heads)
    assert measured <= case.predicting / case.resampled < 1.2 * measured, case.predicting / case.resampled


def test_probabilities_of_regions_are_computed_in_any_case() -> None:
    given = ((60, 512, 512), CT, (2, 1.6, 1.6), (64, 64, 64), 1, 9)
    labels, regions = extent(*given), extent(*given, regions=True)
    assert labels.writing < regions.writing == replace(labels, keeps_probabilities=True).writing


@pytest.mark.parametrize(
    ("spacing", "target", "apart"),
    [
        (CT, (2, 2, 2), False),
        (THICK, THICK, False),
        (THICK, (3, 1, 1), False),
        (THICK, (2, 1, 1), True),
        ((2, 0.8, 0.8), (4, 0.8, 0.8), True),
        ((0.2, 1.25, 1.25), (0.3, 1, 1), False),
        (THICK, (1, 1), False),
    ],
    ids=["fine", "as it is", "in slices alone", "coarse images", "a coarse network", "two coarse axes", "2D"],
)
def test_what_is_resampled_apart(spacing: Any, target: Any, apart: bool) -> None:
    assert extent((100, 512, 512), spacing, target, (8,) * len(target), 1, 3).apart is apart


@pytest.mark.parametrize(
    ("extents", "limit_gib", "workers"),
    [
        ([SMALL] * 20, 32, 3),
        ([SMALL] * 20, 1, 3),
        ([], 1, 3),
        ([ABDOMEN] * 20, 64, 3),
        ([ABDOMEN] * 20, 48, 2),
        ([ABDOMEN] * 20, 32, 1),
        ([ABDOMEN] * 20, 16, ALONE),
        ([WHOLE_BODY, *[SMALL] * 20], 448, 3),
        ([WHOLE_BODY, *[SMALL] * 20], 256, ALONE),
        ([WHOLE_BODY], 64, ALONE),
    ],
)
def test_the_workers_follow_the_memory(extents: list[Extent], limit_gib: int, workers: int) -> None:
    assert fitting_workers(extents, 3, limit_gib * GIB) == workers


def test_fewer_workers_always_need_less_and_one_case_alone_the_least() -> None:
    for cases in ([SMALL], [ABDOMEN] * 5, [WHOLE_BODY, ABDOMEN, SMALL]):
        needed = [needed_bytes(cases, workers) for workers in range(5)]
        assert needed == sorted(needed)


def test_what_fits_in_no_way_is_said_with_the_remedy() -> None:
    assert shortage([SMALL], GIB) == ""
    said = shortage([WHOLE_BODY], 32 * GIB)
    assert "the pod may use 32 GiB" in said
    assert re.search("raise resources.memory, or --memory of kubectl nnunet predict, to [0-9]+Gi$", said)


def test_scores_are_computed_by_as_many_as_fit() -> None:
    assert fitting_scorers([SMALL.voxels], 8, 2 * GIB) == 2
    assert fitting_scorers([512 * 512 * 1000], 8, 32 * GIB) == 4
    assert fitting_scorers([512 * 512 * 1000], 8, 2 * GIB) == 1


def test_as_many_cases_of_a_choice_are_in_work_as_fit() -> None:
    """512 x 512 x 300 voxels of 5 classes take 4.5 GiB while they are averaged, and 2.5 while components are looked
    for, by what was measured for each voxel, with its process."""
    voxels = [512 * 512 * 300, 64**3]
    assert [fitting_mergers(voxels, 5, 8, limit * GIB) for limit in (4, 12, 32)] == [1, 2, 6]
    assert [fitting_postprocessors(voxels, 8, limit * GIB) for limit in (4, 12, 32)] == [1, 3, 8]


@pytest.mark.parametrize(
    ("planned", "before", "now"), [(3, None, 3), (3, 3, 1), (3, 2, 1), (3, 1, ALONE), (3, ALONE, ALONE), (1, 8, 1)]
)
def test_after_a_kill_there_are_fewer(planned: int, before: int | None, now: int) -> None:
    assert after_a_kill(planned, before) == now


@pytest.mark.parametrize(
    ("noted", "extents", "workers"),
    [
        (None, [ABDOMEN], 3),
        ({"workers": 3, "memoryLimit": 64 * GIB}, [ABDOMEN] * 9, 1),
        ({"workers": 1, "memoryLimit": 64 * GIB}, [ABDOMEN] * 9, ALONE),
        # The limit was raised since: what killed it then is no reason now.
        ({"workers": 1, "memoryLimit": 32 * GIB}, [ABDOMEN] * 9, 3),
        # Such small cases fill no memory: it was the node, or a preemption.
        ({"workers": 3, "memoryLimit": 64 * GIB}, [SMALL] * 9, 3),
        ({"workers": "many"}, [ABDOMEN] * 9, 3),
        ([], [ABDOMEN] * 9, 3),
    ],
)
def test_an_attempt_that_was_killed_is_followed_by_one_that_needs_less(
    tmp_path: Path, noted: Any, extents: list[Extent], workers: int
) -> None:
    note = tmp_path / WORKERS_FILE
    if noted is not None:
        write_json(note, noted)
    assert choose_workers(extents, 3, 64 * GIB, note) == workers
    assert read_json(note) == {"workers": workers, "memoryLimit": 64 * GIB}


@pytest.fixture
def replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fence:
    """The right of an attempt that another one has replaced, which has noted its workers."""
    monkeypatch.setattr(predicting, "_under_way", {})
    fence = Fence(tmp_path)
    choose_workers([ABDOMEN], 3, 64 * GIB, tmp_path / WORKERS_FILE, fence)
    new = Fence(tmp_path)
    new.write(tmp_path / WORKERS_FILE, "of the new one")
    return fence


def test_an_attempt_that_was_replaced_notes_nothing(tmp_path: Path, replaced: Fence) -> None:
    with pytest.raises(TrainerError) as caught:
        choose_workers([ABDOMEN], 3, 64 * GIB, tmp_path / WORKERS_FILE, replaced)
    assert caught.value.code == ExitCode.PREEMPTED
    assert (tmp_path / WORKERS_FILE).read_text() == "of the new one"
    assert {path.name for path in tmp_path.iterdir()} == {FENCE_FILE, WORKERS_FILE}


def test_stopped_it_leaves_the_note_of_the_new_one(tmp_path: Path, replaced: Fence) -> None:
    forget_attempt()
    assert (tmp_path / WORKERS_FILE).read_text() == "of the new one"


class Recorder:
    """Stands for nnU-Net's predictor: remembers what it is asked for."""

    def __init__(self) -> None:
        self.calls: list[tuple[list[str], int, int]] = []

    def predict_from_files(
        self,
        _images: list[list[str]],
        targets: list[str],
        num_processes_preprocessing: int,
        num_processes_segmentation_export: int,
        save_probabilities: bool,
        folder_with_segs_from_prev_stage: str | None,
    ) -> None:
        names = [Path(target).name for target in targets]
        self.calls.append((names, num_processes_preprocessing, num_processes_segmentation_export))


@pytest.mark.parametrize(
    ("evaluation", "processes", "limit_gib", "calls"),
    [
        ({}, 8, 64, [(["a", "b"], 3, 3)]),
        ({}, 2, 64, [(["a", "b"], 2, 2)]),
        ({"processes": 1}, 8, 64, [(["a", "b"], 1, 1)]),
        ({"processes": 6}, 2, 512, [(["a", "b"], 6, 6)]),
        ({}, 8, 12, [(["a"], 1, 1), (["b"], 1, 1)]),
    ],
    ids=["nnU-Net's", "fewer cores", "as asked for", "more than cores", "one after the other"],
)
def test_what_nnunet_is_asked_for(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    evaluation: Mapping[str, Any],
    processes: int,
    limit_gib: int,
    calls: list[Any],
) -> None:
    monkeypatch.setattr(predicting, "memory_limit", lambda: limit_gib * GIB)
    monkeypatch.setattr(predicting, "_under_way", {})
    run, recorder = contract(evaluation=evaluation, processes=processes), Recorder()
    images = {name: [tmp_path / f"{name}_0000.nii.gz"] for name in ("a", "b")}
    workers = predict_cases(run, recorder, images, [ABDOMEN, ABDOMEN], tmp_path)
    assert recorder.calls == calls
    assert workers == (calls[0][1] if len(calls) == 1 else ALONE)
    assert not (tmp_path / WORKERS_FILE).exists(), "what came to its end binds no later attempt"


def test_one_that_was_replaced_while_it_predicted_ends_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its note is gone, or that of the new one: neither is a failure of its own."""
    monkeypatch.setattr(predicting, "_under_way", {})
    fence, note = Fence(tmp_path), tmp_path / WORKERS_FILE

    class Replaced(Recorder):
        def predict_from_files(self, *_: Any, **__: Any) -> None:
            Fence(tmp_path).write(note, "of the new one")

    images = {"a": [tmp_path / "a_0000.nii.gz"]}
    with pytest.raises(TrainerError) as caught:
        predict_cases(contract(), Replaced(), images, [ABDOMEN], tmp_path, fence=fence)
    assert caught.value.code == ExitCode.PREEMPTED and note.read_text() == "of the new one"


def test_a_note_that_somebody_removed_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing needs it at the end, and all is predicted."""
    monkeypatch.setattr(predicting, "_under_way", {})

    class Removed(Recorder):
        def predict_from_files(self, *_: Any, **__: Any) -> None:
            (tmp_path / WORKERS_FILE).unlink()

    predict_cases(contract(), Removed(), {"a": [tmp_path / "a_0000.nii.gz"]}, [ABDOMEN], tmp_path)
