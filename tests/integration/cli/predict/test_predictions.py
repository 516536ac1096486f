"""What predictions have left: listed and removed, with real Jobs on a real API server."""

import json
import os
from collections.abc import Callable
from pathlib import Path

from tests.integration.cli.conftest import Site
from tests.integration.cli.predict.playing import jobs
from tests.support.api import wait_for
from tests.support.command import Run


def test_what_nobody_comes_back_for_is_listed_and_removed(
    site: Site, home: str, claim: Path, predict: Callable[..., Run], left: Callable[..., Run]
) -> None:
    assert left().out == f"{home}/hippo: no prediction has left a Job, or a folder beside the run\n"
    assert predict("--no-wait").code == 0
    Path("images").rename(claim / "incoming")
    places = {"source": "imaging:incoming", "target": "imaging:segmented"}
    assert predict("--no-wait", **places).code == 0
    sent, own = sorted(jobs(site), key=lambda job: "claim-1" in str(job["spec"]))
    key = own["metadata"]["name"].rpartition("-")[2]
    hidden = claim / "segmented" / f".nnunet-predict-{key}"
    (hidden / "segmentations").mkdir(parents=True)
    (claim / "segmented/theirs.nii.gz").touch()
    forgotten, other = (claim / home / f"predictions_{name}" for name in ("hippo-f0000000", "hippo2-f0000000"))
    for folder in (forgotten, other):
        (folder / "images").mkdir(parents=True)
    long_ago = forgotten.stat().st_mtime - 20 * 86400
    for folder in (forgotten / "images", forgotten):
        os.utime(folder, (long_ago, long_ago))

    items = {one["name"]: one for one in json.loads(left("-o", "json").out)["items"]}
    assert set(items) == {"hippo-predict-f0000000", sent["metadata"]["name"], own["metadata"]["name"]}
    assert items[sent["metadata"]["name"]]["images"] == 2 and items["hippo-predict-f0000000"]["job"] is None
    assert items[own["metadata"]["name"]]["folder"] is None
    shown = left().out.splitlines()
    assert shown[0].split() == ["NAME", "JOB", "IMAGES", "SEGMENTED", "SIZE", "UNTOUCHED"]
    assert shown[1].split() == ["hippo-predict-f0000000", "-", "0", "no", "0", "B", "20d"]
    run = predict("--no-wait", **places)
    assert f"more than a week: kubectl nnunet predictions hippo -n {home}\n" in run.err, run.err
    assert "note: 1 earlier prediction has left 0 B" in run.err

    run = left("--remove", "hippo-predict-f0000000", "--remove", "hippo-predict-f9999999")
    assert run.code == 1 and "has no prediction hippo-predict-f9999999. There are: hippo-predict-" in run.err
    assert forgotten.is_dir(), "nothing is removed where one is not there"
    says = {
        "hippo-predict-f0000000": "its folder beside the run is gone. If it wrote to a CLAIM:PATH, "
        ".nnunet-predict-f0000000 may be left there: look with --in",
        sent["metadata"]["name"]: "its Job and its folder beside the run are gone",
        own["metadata"][
            "name"
        ]: "its Job is gone, and what was not done yet in imaging:segmented. What else is in that folder stays",
    }
    for name in items:
        run = left("--remove", name)
        assert run.code == 0 and run.out == f"{home}/hippo: {name}: {says[name]}\n", run.err
    assert (
        left().out == f"{home}/hippo: no prediction has left a Job, or a folder beside the run\n" and jobs(site) == []
    )
    assert [path.name for path in (claim / home).iterdir() if "predictions" in path.name] == [other.name]
    assert not hidden.exists() and (claim / "segmented/theirs.nii.gz").exists(), "what is somebody's own stays"
    assert len(list((claim / "incoming").iterdir())) == 2


def test_what_a_job_that_is_gone_has_left_in_a_folder_of_ones_own_is_named_and_removed(
    site: Site, home: str, claim: Path, predict: Callable[..., Run], left: Callable[..., Run]
) -> None:
    """The Job goes after 30 days, also where it has not come to its end. The folder says no more than its own name."""
    Path("images").rename(claim / "incoming")
    places = {"source": "imaging:incoming", "target": "imaging:segmented"}
    assert predict("--no-wait", **places).code == 0
    (job,) = jobs(site)
    key = job["metadata"]["name"].rpartition("-")[2]
    own, gone = (claim / "segmented" / f".nnunet-predict-{one}" for one in (key, "f0000000"))
    for folder in (own, gone):
        (folder / "segmentations").mkdir(parents=True)
        (folder / "segmentations/a.nii.gz").write_bytes(b"segmented")
    (claim / "segmented/theirs.nii.gz").touch()
    for path in (gone / "segmentations/a.nii.gz", gone / "segmentations", gone):
        os.utime(path, (0, path.stat().st_mtime - 47 * 86400))

    assert gone.name not in left().out, "who does not say where is not told"
    (mine, found) = json.loads(left("--in", "imaging:segmented", "-o", "json").out)["items"]
    assert mine["name"] == job["metadata"]["name"] and own.name not in found.values(), "it goes with its Job"
    assert (found["name"], found["bytes"]) == (gone.name, 9)
    site.api.delete("jobs", home, job["metadata"]["name"])
    wait_for("the Job to be gone", lambda: jobs(site) == [])
    run = predict("--no-wait", **places)
    said = "has left 9 B in imaging:segmented, untouched for more than a week: kubectl nnunet predictions hippo"
    assert f"note: 1 earlier prediction {said} -n {home} --in imaging:segmented\n" in run.err, run.err
    os.utime(gone)
    run = left("--in", "imaging:segmented", "--remove", gone.name)
    assert run.code == 1 and "is not removed: it was written to" in run.err and gone.exists(), run.err
    os.utime(gone, (0, gone.stat().st_mtime - 47 * 86400))
    run = left("--in", "imaging:segmented", "--remove", gone.name)
    assert run.code == 0 and "it is gone from imaging:segmented" in run.out, run.err
    assert not gone.exists() and own.exists() and (claim / "segmented/theirs.nii.gz").exists()
    assert gone.name not in left("--in", "imaging:segmented").out
    run = left("--in", "./segmented")
    assert run.code == 2 and "give a folder on a claim, as CLAIM:PATH" in run.err
