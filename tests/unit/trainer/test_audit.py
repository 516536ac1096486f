"""policy.jsonl: what the pods of a run worked under, whatever happens to the file."""

import errno
import json
import multiprocessing
import os
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest

from nnunet_api.contract import POLICY_FILE, RunContract
from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.process import files
from nnunet_trainer.process.failures import TrainerError
from nnunet_trainer.run import audit
from nnunet_trainer.run.audit import record, records
from tests.support.made_contracts import contract, exception, policy


def run(**policies: Any) -> RunContract:
    return contract(policy=policy(**policies))


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / POLICY_FILE).read_text(encoding="ascii").splitlines() if line]


def stages(folder: Path) -> list[str]:
    return [line.stage for line in records((folder / POLICY_FILE).read_bytes())]


def test_without_a_policy_there_is_no_file(tmp_path: Path) -> None:
    record(contract(), tmp_path, "plan")
    assert list(tmp_path.iterdir()) == []


def test_a_line_for_each_stage_and_each_change(tmp_path: Path) -> None:
    excepted = run(minEpochs=300, exceptions=[exception(reason="two\nlines, \u2028 and \x85")])
    for made, stage in (
        (run(), "plan"),
        (run(), "train"),
        (run(), "train"),
        (run(), "plan"),
        (excepted, "train"),
        (excepted, "train"),
        (run(), "train"),
        (run().model_copy(update={"uid": "other"}), "train"),
        (run(), "verify"),
    ):
        record(made, tmp_path, stage)
    found = lines(tmp_path)
    assert [(line["stage"], line["policy"]["minEpochs"], line["uid"][:5]) for line in found] == [
        ("plan", 600, "01234"),
        ("train", 600, "01234"),
        ("train", 300, "01234"),
        ("train", 600, "01234"),
        ("train", 600, "other"),
        ("verify", 600, "01234"),
    ]
    assert (found[0]["namespace"], found[0]["name"]) == ("imaging", "hippocampus") and found[0]["time"].endswith("Z")
    assert found[2]["policy"] == json.loads(json.dumps(excepted.policy.to_json_dict() if excepted.policy else None))


@pytest.mark.parametrize("cut", [1, 20, 200], ids=["the end of the line", "a part", "nearly all"])
def test_a_line_that_was_cut_short_spoils_no_other(tmp_path: Path, cut: int) -> None:
    record(run(), tmp_path, "plan")
    record(run(), tmp_path, "train")
    path = tmp_path / POLICY_FILE
    path.write_bytes(path.read_bytes()[:-cut])
    for _ in range(2):
        record(run(), tmp_path, "train")
    record(run(), tmp_path, "verify")
    assert stages(tmp_path) == ["plan", "train", "verify"]


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[]\n", b"{}\n\n\n", b"\n"])
def test_what_is_no_record_is_passed_over(tmp_path: Path, content: bytes) -> None:
    (tmp_path / POLICY_FILE).write_bytes(content)
    record(run(), tmp_path, "plan")
    assert (tmp_path / POLICY_FILE).read_bytes().startswith(content)
    assert stages(tmp_path) == ["plan"]


def test_only_the_end_of_a_long_file_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "_TAIL_BYTES", 2000)
    for number in range(20):
        record(run(minEpochs=600 + number), tmp_path, "train")
    record(run(minEpochs=619), tmp_path, "train")
    assert [line["policy"]["minEpochs"] for line in lines(tmp_path)] == list(range(600, 620))


ROUNDS = 5


def _pod(folder: Path, number: int, start: Barrier) -> None:
    for turn in range(ROUNDS):
        start.wait(60)
        record(run(minEpochs=1 + turn), folder, "train")
        record(run(minEpochs=1 + turn), folder, f"of pod {number}")


def test_pods_that_write_at_once_lose_no_line_and_repeat_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_LOOK_SECONDS", 0.005)
    context = multiprocessing.get_context("fork")
    start = context.Barrier(4)
    pods = [context.Process(target=_pod, args=(tmp_path, number, start)) for number in range(4)]
    for pod in pods:
        pod.start()
    for pod in pods:
        pod.join(60)
    assert [pod.exitcode for pod in pods] == [0] * 4
    for stage in ("train", "of pod 0", "of pod 1", "of pod 2", "of pod 3"):
        found = [line["policy"]["minEpochs"] for line in lines(tmp_path) if line["stage"] == stage]
        assert found == list(range(1, ROUNDS + 1)), stage


def test_a_full_disk_ends_the_stage_and_the_next_one_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda fd, data: write(fd, data[:50]))
        with pytest.raises(TrainerError, match=r"policy\.jsonl could not be written whole") as caught:
            record(run(), tmp_path, "plan")
        assert caught.value.code == ExitCode.STORAGE_FAILED

        def full(fd: int, data: bytes) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        patched.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space left") as failed:
            record(run(), tmp_path, "plan")
        assert failed.value.filename == str(tmp_path / POLICY_FILE)
    record(run(), tmp_path, "plan")
    assert stages(tmp_path) == ["plan"]


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    foreign.write_text("of another run")
    (tmp_path / POLICY_FILE).symlink_to(foreign)
    with pytest.raises(OSError):
        record(run(), tmp_path, "verify")
    assert foreign.read_text() == "of another run"
    (tmp_path / POLICY_FILE).unlink()
    os.mkfifo(tmp_path / POLICY_FILE)
    with pytest.raises(TrainerError, match="is not a file"):
        record(run(), tmp_path, "verify")
