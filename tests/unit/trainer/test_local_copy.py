"""The copy of the data on the node: whole and as the manifest says, or none and a word on what to do."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nnunet_api.contract import PlanFacts
from nnunet_api.exit_codes import ExitCode
from nnunet_api.facts import FoldProvenance
from nnunet_api.local_copy import LOCAL_COPY_ENV, LOCAL_COPY_FIELD, CopyFacts, CopyState
from nnunet_trainer.dataset import local_copy
from nnunet_trainer.dataset.local_copy import data_identifier, read_order, reads_from, use_local_copy
from nnunet_trainer.dataset.manifest import write_manifest
from nnunet_trainer.process.failures import TrainerError
from nnunet_trainer.run.fold_run import FoldRun
from nnunet_trainer.run.metrics import FoldMetrics
from nnunet_trainer.run.paths import ROOT_ENV, RunPaths, run_paths
from tests.support.made_contracts import contract
from tests.support.plan_facts import PLAN_FACTS

DATASET, DATA = "Dataset004_Hippocampus", "nnUNetPlans_3d_fullres"
PLANS = {
    "dataset_name": DATASET,
    "plans_name": "nnUNetPlans",
    "configurations": {
        "2d": {"data_identifier": "nnUNetPlans_2d"},
        "3d_fullres": {"data_identifier": DATA},
        "3d_cascade_fullres": {"inherits_from": "3d_fullres", "previous_stage": "3d_lowres"},
    },
}
CASES = {f"case_{number}.b2nd": os.urandom(3000 + number) for number in range(6)}
READS = "nnUNet_preprocessed"
LIMIT = f"{LOCAL_COPY_FIELD}.sizeLimit"


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunPaths:
    """Return the paths of a run with preprocessed data of two configurations, and a volume for the copy."""
    monkeypatch.setenv(ROOT_ENV, str(tmp_path))
    monkeypatch.setenv(READS, "as it was")
    found = run_paths(contract())
    home = found.preprocessed / PLAN_FACTS.preprocessed_key / DATASET
    for folder in (DATA, "nnUNetPlans_2d", "gt_segmentations"):
        (home / folder).mkdir(parents=True)
        for name, content in CASES.items():
            (home / folder / name).write_bytes(content)
    (home / "nnUNetPlans.json").write_text(json.dumps(PLANS))
    (home / "dataset.json").write_text("{}")
    write_manifest(home.parent, {}, 1)
    (tmp_path / "nnunet/local").mkdir(parents=True)
    (tmp_path / "fold").mkdir()
    order(monkeypatch)
    return found


def order(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    told = {"medium": "Disk", "sizeLimit": 1 << 30, "limitedBy": LIMIT, **changes}
    monkeypatch.setenv(LOCAL_COPY_ENV, json.dumps(told))


@pytest.fixture
def a_run(paths: RunPaths, tmp_path: Path) -> Callable[[], FoldRun]:
    """Return what begins an attempt."""

    def begin() -> FoldRun:
        told = contract(folds=["0"])
        run = FoldRun(told, "0", tmp_path / "fold", FoldMetrics(told, "0", "nnUNetPlans"))
        run.start_attempt()
        return run

    return begin


def plan() -> PlanFacts:
    return PLAN_FACTS.model_copy(update={"plans_name": "nnUNetPlans"})


def source(paths: RunPaths) -> Path:
    return paths.preprocessed / PLAN_FACTS.preprocessed_key


def target(tmp_path: Path) -> Path:
    return tmp_path / "nnunet/local" / PLAN_FACTS.preprocessed_key


def copied(run: FoldRun, paths: RunPaths) -> CopyFacts:
    use_local_copy(run, paths, plan())
    assert run.facts.local_copy is not None
    return run.facts.local_copy


def files(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(folder)), hashlib.sha256(path.read_bytes()).hexdigest()


def test_what_nnunet_reads_is_copied_and_the_rest_is_found(
    paths: RunPaths, a_run: Callable[[], FoldRun], tmp_path: Path
) -> None:
    run = a_run()
    facts = copied(run, paths)
    home, copy = source(paths) / DATASET, target(tmp_path) / DATASET
    small = [home / "nnUNetPlans.json", home / "dataset.json"]
    total = sum(map(len, CASES.values())) + sum(path.stat().st_size for path in small)
    assert (facts.state, facts.copied_bytes, facts.total_bytes) == (CopyState.IN_USE, total, total)
    assert dict(files(copy / DATA)) == dict(files(home / DATA)) and not (copy / DATA).is_symlink()
    assert (copy / "nnUNetPlans.json").read_text() == json.dumps(PLANS)
    for folder in ("nnUNetPlans_2d", "gt_segmentations"):
        assert (copy / folder).is_symlink() and dict(files(copy / folder)) == dict(files(home / folder))
    assert os.environ[READS] == str(target(tmp_path))
    assert reads_from(run, str(copy / DATA)) == "local copy" and reads_from(run, str(home / DATA)) == "claim"
    # One that only validates makes no copy, and says what that was trained from which it validates.
    run.provenance = FoldProvenance(data_read_from="local copy")
    run.complete(0.5)
    assert reads_from(a_run(), str(home / DATA)) == "local copy"
    assert reads_from(a_run(), str(home / DATA), trains=True) == "claim", "it made no copy, and trains all the same"
    assert [path.name for path in (copy / DATA).iterdir() if path.name.startswith(".")] == []
    metrics = {one.name: [sample.value for sample in one.samples] for one in run.metrics.collect()}
    assert metrics["nnunet_local_copy_bytes"] == [total] and "nnunet_local_copy_seconds" in metrics
    assert metrics["nnunet_local_copy_ratio"] == [1]
    assert metrics["nnunet_local_copy_state"] == [0, 1, 0], "Copying, InUse, Skipped"


@pytest.mark.parametrize(
    ("facts", "share", "states"),
    [
        (
            CopyFacts(state=CopyState.COPYING, copied_bytes=3, total_bytes=4),
            0.75,
            {"Copying": 1, "InUse": 0, "Skipped": 0},
        ),
        (CopyFacts(state=CopyState.COPYING), 0, {"Copying": 1, "InUse": 0, "Skipped": 0}),
        (CopyFacts(state=CopyState.SKIPPED, why="full"), 0, {"Copying": 0, "InUse": 0, "Skipped": 1}),
    ],
)
def test_prometheus_sees_how_far_a_copy_is_and_that_there_is_none(
    a_run: Callable[[], FoldRun], facts: CopyFacts, share: float, states: dict[str, float]
) -> None:
    run = a_run()
    run.tell_copy(facts)
    found = {one.name: one.samples for one in run.metrics.collect()}
    assert [sample.value for sample in found["nnunet_local_copy_ratio"]] == [share]
    assert {sample.labels["state"]: sample.value for sample in found["nnunet_local_copy_state"]} == states


def test_nothing_happens_where_none_is_asked_for(
    paths: RunPaths, a_run: Callable[[], FoldRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(LOCAL_COPY_ENV)
    run = a_run()
    use_local_copy(run, paths, plan())
    assert run.facts.local_copy is None and os.environ[READS] == "as it was"
    assert read_order() is None and reads_from(run, "/nnunet/preprocessed/x") is None


def test_an_order_of_a_later_operator_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    order(monkeypatch, something="new")
    assert read_order() is not None


def test_a_cascade_reads_what_its_configuration_inherits() -> None:
    assert data_identifier(PLANS, "3d_cascade_fullres") == DATA and data_identifier(PLANS, "2d") == "nnUNetPlans_2d"


def test_what_an_interruption_left_is_gone_on_with(
    paths: RunPaths, a_run: Callable[[], FoldRun], tmp_path: Path
) -> None:
    """Whole files are taken, no file is copied twice, and half ones never are."""
    copied(a_run(), paths)
    data = target(tmp_path) / DATASET / DATA
    kept = (data / "case_0.b2nd").stat()
    (data / "case_1.b2nd").write_bytes(CASES["case_1.b2nd"][:100])
    (data / "case_2.b2nd").unlink()
    left = tmp_path / "nnunet/local/.unfinished"
    left.mkdir(exist_ok=True)
    (left / "7").write_bytes(b"half")
    # What is whole is not read again: on a slow volume that would take as long as the first time.
    (source(paths) / DATASET / DATA / "case_0.b2nd").unlink()
    facts = copied(a_run(), paths)
    assert facts.state is CopyState.IN_USE
    assert (data / "case_0.b2nd").stat() == kept and not (left / "7").exists()
    assert {name: (data / name).read_bytes() for name in CASES} == CASES


def test_a_link_of_a_copy_for_another_configuration_is_no_copy(
    paths: RunPaths, a_run: Callable[[], FoldRun], tmp_path: Path
) -> None:
    home = target(tmp_path) / DATASET
    home.mkdir(parents=True)
    (home / DATA).symlink_to(source(paths) / DATASET / DATA)
    assert copied(a_run(), paths).state is CopyState.IN_USE
    assert not (home / DATA).is_symlink() and {name: (home / DATA / name).read_bytes() for name in CASES} == CASES


def damage(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (damage, "case_3.b2nd was changed"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "case_3.b2nd was changed"),
        (lambda path: path.write_bytes(path.read_bytes() + b"x"), "case_3.b2nd was changed"),
        (Path.unlink, "case_3.b2nd is missing"),
    ],
    ids=["a bit", "cut short", "longer", "gone"],
)
def test_data_that_is_not_as_it_was_made_is_never_trained_on(
    paths: RunPaths, a_run: Callable[[], FoldRun], tmp_path: Path, harm: Callable[[Path], object], words: str
) -> None:
    harm(source(paths) / DATASET / DATA / "case_3.b2nd")
    with pytest.raises(TrainerError) as caught:
        use_local_copy(a_run(), paths, plan())
    assert caught.value.code is ExitCode.WRONG_DATA
    assert words in caught.value.message and "Suspend and resume the training to have it made" in caught.value.message
    assert not (target(tmp_path) / DATASET / DATA / "case_3.b2nd").exists()
    assert os.environ[READS] == "as it was"


def skipped(run: FoldRun, paths: RunPaths, tmp_path: Path) -> str:
    facts = copied(run, paths)
    assert facts.state is CopyState.SKIPPED and facts.why
    assert os.environ[READS] == "as it was" and not target(tmp_path).exists()
    assert list((tmp_path / "nnunet/local").iterdir()) == []
    return facts.why


def test_what_is_larger_than_the_limit_is_read_from_the_claim(
    paths: RunPaths, a_run: Callable[[], FoldRun], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files take whole blocks: 18 KiB of data are 32 KiB on disk, by which the kubelet counts."""
    order(monkeypatch, sizeLimit=30_000)
    why = skipped(a_run(), paths, tmp_path)
    assert why == (
        f"the data takes 0.0 MiB, and {LIMIT} is 0.0 MiB: raise it to 1Gi, then suspend and resume the training"
    )


class Room:
    """An answer of statvfs."""

    def __init__(self, free: int, whole: int = 1 << 40) -> None:
        self.f_frsize, self.f_bavail, self.f_blocks = 1, free, whole


@pytest.mark.parametrize(
    ("medium", "room", "words"),
    [
        ("Disk", Room(200_000), "node's disk has room for 0.0 MiB if 15% of it stay free"),
        ("Disk", Room((1 << 40) * 15 // 100 + 10_000), "or spec.storage.preprocessed.localCopy.claim"),
        ("Claim", Room(10_000), "its volume has 0.0 MiB free: raise F to 1Gi"),
        ("Memory", Room(10_000), "its volume has 0.0 MiB free: raise F to 1Gi"),
    ],
)
def test_a_volume_without_room_is_not_begun_with(
    paths: RunPaths,
    a_run: Callable[[], FoldRun],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    medium: str,
    room: Room,
    words: str,
) -> None:
    order(monkeypatch, medium=medium, sizeLimit=None, limitedBy="F")
    run = a_run()
    with monkeypatch.context() as patched:
        patched.setattr(os, "statvfs", lambda _: room)
        assert words in skipped(run, paths, tmp_path)


def test_a_copy_in_memory_leaves_room_for_what_runs(
    paths: RunPaths, a_run: Callable[[], FoldRun], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order(monkeypatch, medium="Memory")
    monkeypatch.setattr(local_copy, "free_memory", lambda: 10_000)
    assert "of spec.resources.memory 0.0 MiB are left: raise it by 1Gi" in skipped(a_run(), paths, tmp_path)


def test_room_that_goes_while_it_is_copied(
    paths: RunPaths, a_run: Callable[[], FoldRun], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other pods of the node write to the same disk."""
    run, left = a_run(), iter([1 << 40] * 3)
    with monkeypatch.context() as patched:
        patched.setattr(os, "statvfs", lambda _: Room(next(left, 0)))
        assert "node's disk has room for" in skipped(run, paths, tmp_path)


def test_a_volume_that_can_not_be_written_to(
    paths: RunPaths, a_run: Callable[[], FoldRun], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a claim of a pod whose other claims are nobody's to give to a group."""
    run = a_run()

    def refuse(self: Path, target: Path) -> Path:
        raise PermissionError(13, "Permission denied", str(target))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", lambda self, to: refuse(self, to) if "local" in str(to) else self.rename(to))
        assert "the chart's trainer.ownedClaims" in skipped(run, paths, tmp_path)


def test_data_of_an_older_version_has_no_manifest(
    paths: RunPaths, a_run: Callable[[], FoldRun], tmp_path: Path
) -> None:
    (source(paths) / "manifest.json").unlink()
    assert "no manifest" in skipped(a_run(), paths, tmp_path)


def test_a_manifest_that_leads_elsewhere_is_not_followed(paths: RunPaths, a_run: Callable[[], FoldRun]) -> None:
    path = source(paths) / "manifest.json"
    content = json.loads(path.read_text())
    content["files"][f"{DATASET}/{DATA}/../../../x"] = {"size": 1, "sha256": "0"}
    path.write_text(json.dumps(content))
    with pytest.raises(TrainerError, match="outside of it"):
        use_local_copy(a_run(), paths, plan())


def test_attempts_that_always_end_while_they_copy_train_without_one(
    paths: RunPaths, a_run: Callable[[], FoldRun], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a node that evicts them: no attempt would ever train."""
    cut_off = CopyFacts(state=CopyState.COPYING, total_bytes=9, copied_bytes=1)
    for interrupted in range(3):
        run = a_run()
        run.tell_copy(cut_off.model_copy(update={"interrupted": interrupted}), durable=True)
        again = a_run()
        assert again.facts.local_copy is None and again.copy_before is not None
        if interrupted < 2:
            assert copied(again, paths).state is CopyState.IN_USE
    monkeypatch.setenv(READS, "as it was")
    assert "3 attempts in a row ended while they copied" in skipped(again, paths, tmp_path)
    # The next one tries again: the node may be another.
    assert copied(a_run(), paths).state is CopyState.IN_USE


def test_each_attempt_counts_those_before_it(
    paths: RunPaths, a_run: Callable[[], FoldRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(self: Any, progress: Callable[[], None]) -> None:
        raise Killed

    monkeypatch.setattr(local_copy._Copy, "make", die)
    seen = []
    for _ in range(3):
        run = a_run()
        with pytest.raises(Killed):
            use_local_copy(run, paths, plan())
        assert run.local_copy is not None
        seen.append(run.local_copy.interrupted)
    assert seen == [0, 1, 2]
    assert copied(a_run(), paths).state is CopyState.SKIPPED


def test_an_error_of_the_source_is_none_of_the_copy(
    paths: RunPaths, a_run: Callable[[], FoldRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim that can't be read is no better to train from; another attempt may find it well."""
    broken, real = str(source(paths) / DATASET / DATA / "case_2.b2nd"), Path.open

    def failing(self: Path, *arguments: Any, **named: Any) -> Any:
        if str(self) == broken:
            raise OSError(5, "Input/output error", broken)
        return real(self, *arguments, **named)

    monkeypatch.setattr(Path, "open", failing)
    with pytest.raises(OSError, match="Input/output error"):
        use_local_copy(a_run(), paths, plan())
