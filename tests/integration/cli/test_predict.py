"""predict with real Jobs on a real API server; the kubelet is played, and a folder stands for the results claim."""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel
import numpy as np
import pytest
import yaml

from nnunet_api.contract import RunContract
from nnunet_api.prediction import RECORD_FILE, Prediction, PredictionRecord
from nnunet_cli.predict import following, predictions, task
from tests.integration.cli.conftest import CLINICAL, Site
from tests.support.api import Object, wait_for
from tests.support.builders import training
from tests.support.command import Command, Run
from tests.support.kubelet import Kubelet
from tests.support.made_statuses import DONE
from tests.support.pipes import LocalVolume

HOME = "predictions"
IMAGE = ("--image", "registry.example/trainer:1")
CONFINED = {"allowPrivilegeEscalation": False, "runAsNonRoot": True, "capabilities": {"drop": ["ALL"]}}
PROFILE = {"seccompProfile": {"type": "RuntimeDefault"}}
POD: Object = {
    "spec": {
        "restartPolicy": "Never",
        "containers": [{"name": "trial", "image": "trial", "securityContext": {**CONFINED, **PROFILE}}],
    }
}
"""One that the restricted Pod Security Standard allows."""
DESCRIPTION = {"channel_names": {"0": "MRI"}, "file_ending": ".nii.gz", "labels": {"background": 0, "a": 1}}


@pytest.fixture(scope="module")
def home(site: Site) -> str:
    """A clinical namespace under the restricted Pod Security Standard, with a training that is complete."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    home = site.namespace(HOME, **labels)
    spec: dict[str, Any] = {"podTemplate": {"nodeSelector": {"gpu": "a"}}}
    for name in ("hippo", "unproven"):
        site.api.create("nnunettrainings", training(home, name, **spec))
    proven = [{**fold, "checkpointHash": "0" * 64} for fold in DONE["folds"]]
    done = {**DONE, "provenance": {"plansName": "nnUNetPlans"}}
    site.api.merge("nnunettrainings", home, "hippo", {"status": {**done, "folds": proven}}, "status")
    site.api.merge("nnunettrainings", home, "unproven", {"status": done}, "status")
    site.api.create("nnunettrainings", training(home, "waits"))
    site.api.merge("namespaces", "", home, {"metadata": {"labels": {CLINICAL: "true"}}})
    return home


@pytest.fixture(scope="module")
def person(site: Site, home: str) -> str:
    """Kubeconfig of somebody with the rights that the documentation names."""
    role = yaml.safe_load((Path(__file__).parents[3] / "manifests/samples/predictor.yaml").read_text())
    return site.person("predictor", home, *role["rules"])


@pytest.fixture
def claim(site: Site, home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of the results claim, with the model; the real agent works on it."""
    root = tmp_path / "claim"
    body = site.api.get("nnunettrainings", home, "hippo")
    assert body is not None
    model = root / f"{home}/hippo-{body['metadata']['uid'][:8]}/{body['spec']['dataset']['name']}"
    model /= "nnUNetTrainer__nnUNetPlans__3d_fullres"
    for fold in body["status"]["folds"]:
        (model / f"fold_{fold['fold']}").mkdir(parents=True)
        (model / f"fold_{fold['fold']}/checkpoint_final.pth").touch()
    (model / "plans.json").write_text("{}")
    (model / "dataset.json").write_text(json.dumps(DESCRIPTION))

    @contextmanager
    def mount(*_: Any, **__: Any) -> Iterator[LocalVolume]:
        yield LocalVolume(root)

    monkeypatch.setattr(task, "mount", mount)
    monkeypatch.setattr(predictions, "mounted", mount)
    monkeypatch.setattr(following, "INTERVAL_SECONDS", 0.1)
    images = tmp_path / "images"
    images.mkdir()
    for case in ("a", "b"):
        nibabel.save(nibabel.Nifti1Image(np.ones((3, 4, 5), np.float32), np.eye(4)), images / f"{case}_0000.nii.gz")
    return root


@pytest.fixture
def predict(nnunet: Command, person: str) -> Iterator[Callable[..., Run]]:
    """Run the command; what it leaves is deleted at the end."""

    def run(*words: str, name: str = "hippo", source: str = "images", target: str = "out") -> Run:
        return nnunet("predict", name, "-i", source, "-o", target, *IMAGE, "--kubeconfig", person, *words)

    yield run
    run("--delete")


@pytest.fixture
def left(nnunet: Command, person: str) -> Callable[..., Run]:
    """Ask what predictions have left."""

    def run(*words: str, config: str = person) -> Run:
        return nnunet("predictions", "hippo", *IMAGE, "--kubeconfig", config, *words)

    return run


def jobs(site: Site) -> list[Object]:
    found: list[Object] = site.api.list("jobs", HOME, labelSelector="app.kubernetes.io/component=prediction")
    return [job for job in found if "deletionTimestamp" not in job["metadata"]]


def pod(site: Site) -> Object:
    """Wait for the pod that predicts, made by the real Job controller."""

    def pods() -> list[Object]:
        found: list[Object] = site.api.list("pods", HOME, labelSelector="app.kubernetes.io/component=prediction")
        return [one for one in found if (one.get("status") or {}).get("phase") in ("Pending", "Running")]

    wait_for("the pod that predicts", lambda: bool(pods()))
    return pods()[0]


def told(pod: Object) -> dict[str, str]:
    (container,) = pod["spec"]["containers"]
    return {one["name"]: str(one.get("value", "")).replace("$$", "$") for one in container["env"]}


def folder_of(pod: Object, claim: Path, path: str) -> Path:
    (container,) = pod["spec"]["containers"]
    (mount,) = [one for one in container["volumeMounts"] if one["mountPath"] == path]
    return claim / str(mount["subPath"])


def work(pod: Object, claim: Path) -> None:
    """Do what the trainer does: a segmentation of each image, and the record of them."""
    asked = Prediction.model_validate_json(told(pod)["NNUNET_RUN_PREDICTION"])
    contract = RunContract.model_validate_json(told(pod)["NNUNET_RUN_CONTRACT"])
    images, out = (folder_of(pod, claim, f"/nnunet/{name}") for name in ("images", "segmentations"))
    cases = sorted(path.name.removesuffix("_0000.nii.gz") for path in images.iterdir())
    for case in cases:
        (out / f"{case}.nii.gz").write_bytes(case.encode())
    record = PredictionRecord(
        training=f"{contract.namespace}/{contract.name}",
        uid=contract.uid,
        step_size=0.5,
        mirroring=True,
        device="cuda",
        nnunet_version="2.8.1",
        cases=cases,
        **asked.model_dump(include={"asked_for", "configurations", "checkpoints", "postprocessing"}),
    )
    (out / RECORD_FILE).write_text(json.dumps(record.to_json_dict()))


@contextmanager
def meanwhile(play: Callable[[], None]) -> Iterator[None]:
    """Play the kubelet beside the command."""
    thread = threading.Thread(target=play, daemon=True)
    thread.start()
    yield
    thread.join(60)
    assert not thread.is_alive(), "the kubelet waits for something"


def test_images_go_out_and_segmentations_come_back(
    site: Site, home: str, claim: Path, predict: Callable[..., Run]
) -> None:
    kubelet = Kubelet(site.api, home)
    made: list[Object] = []

    def play() -> None:
        one = pod(site)
        made.append(one)
        kubelet.wait(one, "ImagePullBackOff", "no such image")
        kubelet.run(one)
        work(one, claim)
        kubelet.end(one, message='{"message": "2 cases segmented by 3d_fullres"}')

    with meanwhile(play):
        run = predict()
    assert run.code == 0, run.err
    assert run.out == f"out: 2 segmentations by 3d_fullres of {home}/hippo\n"
    for said in ("predicts 2 cases", "2 cases segmented by 3d_fullres", "for research"):
        assert said in run.err, run.err
    assert {path.name for path in Path("out").iterdir()} == {"a.nii.gz", "b.nii.gz", RECORD_FILE}
    (spec,) = [one["spec"] for one in made]
    assert spec["nodeSelector"] == {"gpu": "a"}, "as the training's pods"
    assert jobs(site) == [] and [path.name for path in (claim / home).iterdir() if "predictions" in path.name] == []


def test_what_was_left_alone_is_taken_up_by_the_same_command(
    site: Site, home: str, claim: Path, predict: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = predict("--no-wait")
    assert run.code == 0 and "goes on by itself. The same command" in run.out, run.err
    (job,) = jobs(site)

    def ctrl_c(_: float) -> None:
        raise KeyboardInterrupt  # not by a signal: whoever starts the tests in the background has it ignored

    with monkeypatch.context() as patch:
        patch.setattr("nnunet_cli.predict.following.time", SimpleNamespace(sleep=ctrl_c))
        run = predict()
    assert run.code == 1 and "is there already, and taken up" in run.err, run.err
    assert f"not waited for: Job {home}/{job['metadata']['name']} goes on" in run.err
    one = pod(site)
    kubelet = Kubelet(site.api, home)
    kubelet.run(one)
    work(one, claim)
    kubelet.end(one, message='{"message": "done"}')
    run = predict()
    assert run.code == 0 and (Path("out") / "a.nii.gz").read_bytes() == b"a", run.err
    assert jobs(site) == []


def test_a_failure_is_told_and_the_same_command_tries_anew(
    site: Site, home: str, claim: Path, predict: Callable[..., Run]
) -> None:
    kubelet = Kubelet(site.api, home)

    def fail() -> None:
        one = pod(site)
        kubelet.end(one, code=65, message='{"message": "the images can\'t be predicted: a_0000.nii.gz has 1e+30"}')

    with meanwhile(fail):
        run = predict()
    assert run.code == 1, run.err
    for said in (
        "has failed: the images can't be predicted: a_0000.nii.gz has 1e+30 (exit code 65)",
        "kubectl logs job/",
    ):
        assert said in run.err, run.err
    (first,) = jobs(site)
    run = predict("--no-wait")
    assert run.code == 0 and "had ended, and is made anew" in run.err, run.err
    (second,) = jobs(site)
    assert second["metadata"]["uid"] != first["metadata"]["uid"]
    run = predict("--delete")
    assert run.code == 0 and "nothing is left" in run.out and jobs(site) == []
    assert not [path for path in (claim / home).iterdir() if "predictions" in path.name]
    assert not any(Path("out").iterdir())


def test_folders_on_a_claim_stay_there(site: Site, home: str, claim: Path, predict: Callable[..., Run]) -> None:
    Path("images").rename(claim / "incoming")
    places = {"source": "imaging:incoming", "target": "imaging:segmented/today"}
    kubelet = Kubelet(site.api, home)

    def play() -> None:
        one = pod(site)
        claims = {volume["persistentVolumeClaim"]["claimName"] for volume in one["spec"]["volumes"][:2]}
        assert claims == {"nnunet-results", "imaging"}
        work(one, claim)
        kubelet.end(one, message='{"message": "done"}')

    with meanwhile(play):
        run = predict(**places)
    assert run.code == 0 and run.out.startswith("imaging:segmented/today: 2 segmentations"), run.err
    there = {path.name for path in (claim / "segmented/today").iterdir()}
    assert there == {"a.nii.gz", "b.nii.gz", RECORD_FILE} and not Path("out").exists()
    assert len(list((claim / "incoming").iterdir())) == 2 and jobs(site) == []
    (claim / "segmented/today/a.nii.gz").unlink()
    run = predict("--no-wait", **places)
    assert run.code == 0 and len(jobs(site)) == 1, f"what is gone is not reported as there: {run.out} {run.err}"
    assert predict("--delete", **places).code == 0 and jobs(site) == []


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
    run = left("--in", "imaging:segmented", "--remove", gone.name)
    assert run.code == 0 and "it is gone from imaging:segmented" in run.out, run.err
    assert not gone.exists() and own.exists() and (claim / "segmented/theirs.nii.gz").exists()
    assert gone.name not in left("--in", "imaging:segmented").out
    run = left("--in", "./segmented")
    assert run.code == 2 and "give a folder on a claim, as CLAIM:PATH" in run.err


def test_what_can_not_be_predicted_makes_no_job(
    site: Site, home: str, claim: Path, predict: Callable[..., Run]
) -> None:
    (Path("images") / "c_0001.nii.gz").write_bytes(b"no image")
    run = predict()
    assert run.code == 1 and "c_0000.nii.gz" in run.err and "Nothing was sent" in run.err, run.err
    for name, said in (
        ("unproven", "no SHA-256 of the final checkpoint"),
        ("waits", "has not begun yet"),
        ("nobody", "there is no training"),
    ):
        run = predict(name=name)
        assert run.code in (1, 3) and said in run.err, run.err
    run = predict("--configuration", "2d")
    assert run.code == 2 and "no model of 2d" in run.err, run.err
    assert jobs(site) == [] and not [path for path in (claim / home).iterdir() if "predictions" in path.name]


def test_who_may_make_no_jobs_is_told_so(
    site: Site, home: str, claim: Path, nnunet: Command, left: Callable[..., Run]
) -> None:
    reads = {"apiGroups": ["nnunet.dev"], "resources": ["nnunettrainings"], "verbs": ["get"]}
    looks = {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["get"]}
    config = site.person("looker", home, reads, looks)
    run = nnunet("predict", "hippo", "-i", "images", "-o", "out", *IMAGE, "--kubeconfig", config)
    assert run.code == 3 and "jobs.batch is forbidden" in run.err and "it takes the rights" in run.err, run.err
    run = left(config=config)
    assert run.code == 3 and "the Jobs of namespace predictions can't be listed" in run.err, run.err


@pytest.mark.parametrize(
    ("resource", "code", "says"),
    [
        ("pods", 1, "It goes on once the quota has room"),
        ("count/jobs.batch", 3, "have the quota raised, or free some of it"),
    ],
)
def test_a_quota_that_refuses_it_is_told_with_who_can_help(
    site: Site,
    home: str,
    claim: Path,
    predict: Callable[..., Run],
    monkeypatch: pytest.MonkeyPatch,
    resource: str,
    code: int,
    says: str,
) -> None:
    looks: list[bool] = []

    def look_again(seconds: float) -> None:
        """Have it look once more when Kubernetes has said that it makes no pod, and then no more."""
        if looks and looks[-1]:
            raise KeyboardInterrupt
        time.sleep(seconds)
        selectors = [f"reason=FailedCreate,involvedObject.name={job['metadata']['name']}" for job in jobs(site)]
        looks.append(any(site.api.list("events", home, fieldSelector=one) for one in selectors))

    site.api.create(
        "resourcequotas", {"metadata": {"name": "none", "namespace": home}, "spec": {"hard": {resource: "0"}}}
    )
    kind, trial = ("pods", POD) if resource == "pods" else ("jobs", {"spec": {"template": POD}})
    trial = {**trial, "metadata": {"name": "trial", "namespace": home}}
    wait_for("the quota to be in force", lambda: "exceeded quota" in site.api.refusal(kind, trial))
    with monkeypatch.context() as patch:
        patch.setattr("nnunet_cli.predict.following.time", SimpleNamespace(sleep=look_again))
        run = predict()
    site.api.delete("resourcequotas", home, "none")
    assert run.code == code and "exceeded quota" in run.err and says in run.err, run.err
    assert "it takes the rights" not in run.err
