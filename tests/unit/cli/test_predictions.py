"""What predictions have left in the cluster: which of it is whose, what is said of it, and what may be removed."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from nnunet_api.prediction import RECORD_FILE
from nnunet_cli.predict.left import (
    FORGOTTEN_SECONDS,
    Left,
    data,
    forgotten,
    in_use,
    labels_of,
    left_in,
    left_of,
    removed,
    rows,
)
from nnunet_cli.predict.places import OnClaim
from nnunet_cli.predict.request import Request
from nnunet_cli.predict.work import folders_beside, key_of_folder, work_folder
from nnunet_cli.volumes import agent
from tests.support.pipes import LocalVolume
from tests.unit.cli.exporting import training
from tests.unit.cli.test_predict import asked, made, places
from tests.unit.cli.test_predict_state import ended_job

KEY = "f1234567"
DAY = 86400.0


def request() -> Request:
    return asked(training("2d", provenance={"plansName": "nnUNetPlans"}))


def folder(name: str, seconds: float = 0.0, **more: Any) -> dict[str, Any]:
    return {"name": name, "images": 2, "segmented": False, "bytes": 2048, "seconds": seconds, **more}


def job(target: str = "work/out", claim: str = "nnunet-results", **status: Any) -> dict[str, Any]:
    one = request()
    mounts = places(one, segmentations=claim)
    body = made(one, folders=mounts)
    for mount in body["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]:
        if mount["mountPath"] == "/nnunet/segmentations":
            mount["subPath"] = target
    return {**body, "status": status}


def test_the_agent_finds_the_folders_and_what_is_in_them(tmp_path: Path) -> None:
    clinic = tmp_path / "clinic"
    for name in ("predictions_hippo-f1234567", "predictions_other-f1234567", "hippo-12345678", "notes"):
        (clinic / name / "images").mkdir(parents=True)
    (clinic / "predictions_link-f1234567").symlink_to(clinic / "notes")
    own = clinic / "predictions_hippo-f1234567"
    for name in ("a_0000.nii.gz", "b_0000.nii.gz", ".c_0000.nii.gz.0123abcd.part"):
        (own / "images" / name).write_bytes(b"x" * 100)
    (own / "elsewhere").symlink_to("/etc")
    for path in (*own.rglob("*"), own):
        os.utime(path, (0, path.lstat().st_mtime - 1000), follow_symlinks=False)
    first, other = folders_beside(LocalVolume(tmp_path), "clinic")
    assert first["name"] == own.name and other["name"] == "predictions_other-f1234567"
    assert (first["images"], first["segmented"], first["bytes"]) == (2, False, 300)
    assert 1000 <= first["seconds"] < 2000 and 0 <= other["seconds"] < 1000
    (own / "segmentations").mkdir()
    (own / "segmentations" / agent.SEGMENTED).touch()
    first, _ = folders_beside(LocalVolume(tmp_path), "clinic")
    assert first["segmented"] and first["seconds"] < 1000
    assert folders_beside(LocalVolume(tmp_path), "nowhere") == []
    assert agent.SEGMENTED == RECORD_FILE


@pytest.mark.parametrize("training", ["hippo", "a." * 120 + "b"])
def test_a_folder_is_known_again_by_its_name(training: str) -> None:
    assert key_of_folder(Path(work_folder("clinic/x-12345678", training, KEY)).name, training) == KEY


@pytest.mark.parametrize(
    "name",
    ["predictions_hippo-2-f1234567", "predictions_hippo-12345678", "predictions_hipp-f1234567", "hippo-f1234567"],
)
def test_that_of_another_training_is_not_taken_for_its_own(name: str) -> None:
    assert key_of_folder(name, "hippo") == ""
    assert left_of("hippo", [], "clinic", [folder(name)]) == []


def test_jobs_and_folders_of_one_prediction_go_together() -> None:
    own = job(active=1)
    key = request().prediction.key
    stranger = {"metadata": {"name": own["metadata"]["name"], "annotations": {}}}
    both = [folder(f"predictions_hippo-{key}"), folder(f"predictions_hippo-{KEY}", 3 * DAY, segmented=True)]
    old, new = left_of("hippo", [stranger, own], "clinic", both)
    assert (old.name, old.job, old.state) == (f"hippo-predict-{KEY}", None, "")
    assert old.folder and old.folder.path == f"clinic/predictions_hippo-{KEY}" and old.hidden is None
    assert new.name == own["metadata"]["name"] and new.job is own and new.state == "runs"
    assert rows([old, new]) == [
        (f"hippo-predict-{KEY}", "", "2", "yes", "2.0 KiB", "3d"),
        (new.name, "runs", "2", "no", "2.0 KiB", "0s"),
    ]
    labels = own["metadata"]["labels"]
    assert dict(one.split("=") for one in labels_of("hippo").split(",")).items() <= labels.items()


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ({}, "waits"),
        ({"active": 1}, "runs"),
        (ended_job("Complete")["status"], "complete"),
        (ended_job("Failed")["status"], "failed"),
    ],
)
def test_what_its_job_does(status: dict[str, Any], state: str) -> None:
    (found,) = left_of("hippo", [job(**status)], "clinic", [])
    assert found.state == state and found.folder is None
    (item,) = data([found])["items"]
    assert item["job"] == state and item["folder"] is None and item["bytes"] is None
    assert rows([found]) == [(found.name, state, "", "", "", "")]


def test_of_a_folder_of_somebodys_own_only_what_is_not_whole_is_removed() -> None:
    key = request().prediction.key
    (found,) = left_of("hippo", [job("2026/segmented", "imaging")], "clinic", [])
    assert found.hidden == OnClaim("imaging", f"2026/segmented/.nnunet-predict-{key}")
    own = job(f"clinic/predictions_hippo-{key}/segmentations")
    (found,) = left_of("hippo", [own], "clinic", [folder(f"predictions_hippo-{key}")])
    assert found.hidden is None, "it goes with its folder"
    broken = job()
    broken["spec"]["template"]["spec"]["volumes"] = []
    (found,) = left_of("hippo", [broken], "clinic", [])
    assert found.hidden is None


def test_a_removal_promises_no_more_than_it_does() -> None:
    key = request().prediction.key
    beside = folder(f"predictions_hippo-{key}")
    inside = job(f"clinic/predictions_hippo-{key}/segmentations")
    own = job("2026/segmented", "imaging")
    for jobs, folders, says in (
        ([inside], [beside], "its Job and its folder beside the run are gone"),
        ([own], [beside], "its Job and its folder beside the run are gone, and what was not done yet in"),
        (
            [own],
            [],
            "its Job is gone, and what was not done yet in imaging:2026/segmented. What else is in that folder",
        ),
        ([], [beside], f"run is gone. If it wrote to a CLAIM:PATH, .nnunet-predict-{key} may be left there: look"),
        ([], [{**beside, "segmented": True}], "its folder beside the run is gone"),
    ):
        (found,) = left_of("hippo", jobs, "clinic", folders)
        assert removed(found).startswith(f"{found.name}: ") and says in removed(found), removed(found)
        assert ("may be left" in removed(found)) is ("may be left" in says)


def test_what_is_not_whole_in_a_folder_of_somebodys_own_is_found_when_its_job_is_gone() -> None:
    """Of a Job that is there, whoever's, it goes with that Job; what only has such a name is nobody's to remove."""
    place, there = OnClaim("imaging", "2026/segmented"), request().prediction.key
    names = [f".nnunet-predict-{key}" for key in (KEY, "f7654321", there, "01234567")]
    folders = [folder(name, 10 * DAY * number) for number, name in enumerate([*names, "predictions_x-f1234567"])]
    oldest, newest = left_in(place, [job(), {"metadata": {"name": "other"}}], folders)
    assert (oldest.name, newest.name) == (names[1], names[0]) and oldest.hidden is None and oldest.state == ""
    assert oldest.folder and oldest.folder.path == f"2026/segmented/{names[1]}"
    assert rows([oldest]) == [(names[1], "", "0", "no", "2.0 KiB", "10d")]
    (item,) = data([oldest])["items"]
    assert (item["name"], item["job"], item["folder"]) == (names[1], None, f"imaging:2026/segmented/{names[1]}")
    assert removed(oldest) == f"{names[1]}: it is gone from imaging:2026/segmented. What else is in that folder stays"
    assert forgotten([oldest, newest], "clinic/hippo", place) == (
        "1 earlier prediction has left 2.0 KiB in imaging:2026/segmented, untouched for more than a week: "
        "kubectl nnunet predictions hippo -n clinic --in imaging:2026/segmented"
    )
    assert forgotten([oldest], "clinic/hippo", OnClaim("imaging", "a b")).endswith("--in 'imaging:a b'")


def test_what_may_be_written_to_is_not_removed() -> None:
    """A claim of another namespace may be the same folder, and its Jobs are not listed in this one."""
    place, key = OnClaim("imaging", "2026/segmented"), request().prediction.key
    names = [f".nnunet-predict-{key}", f".nnunet-predict-{KEY}"]
    found = left_in(place, [job()], [folder(names[0], DAY), folder(names[1], 600.0)])
    assert in_use(names[0], found) == "a Job has been made for it, or it is gone"
    assert "it was written to 10m ago, maybe by a Job of another namespace (kubectl get" in in_use(names[1], found)
    assert in_use(names[1], left_in(place, [job()], [folder(names[1], 3600.0)])) == ""


def test_what_nobody_came_back_for_is_spoken_of() -> None:
    def left(*seconds: float) -> list[Left]:
        names = [f"predictions_hippo-f{number:07}" for number in range(len(seconds))]
        return left_of("hippo", [], "clinic", [folder(*both) for both in zip(names, seconds, strict=True)])

    assert forgotten(left(FORGOTTEN_SECONDS - 1), "clinic/hippo") == ""
    assert forgotten(left(FORGOTTEN_SECONDS + 1, 0.0), "clinic/hippo") == (
        "1 earlier prediction has left 2.0 KiB on the claim, untouched for more than a week: "
        "kubectl nnunet predictions hippo -n clinic"
    )
    assert "2 earlier predictions have left 4.0 KiB" in forgotten(left(10 * DAY, 20 * DAY), "clinic/hippo")
    assert json.loads(json.dumps(data(left(1.4))))["items"][0]["untouchedSeconds"] == 1
