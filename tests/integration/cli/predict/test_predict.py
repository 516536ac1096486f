"""predict with real Jobs on a real API server; the kubelet is played, and a folder stands for the results claim."""

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from nnunet_api.prediction import RECORD_FILE
from tests.integration.cli.conftest import Site
from tests.integration.cli.predict.playing import IMAGE, jobs, meanwhile, pod, work
from tests.support.api import Object, wait_for
from tests.support.command import Command, Run
from tests.support.kubelet import Kubelet

CONFINED = {"allowPrivilegeEscalation": False, "runAsNonRoot": True, "capabilities": {"drop": ["ALL"]}}
PROFILE = {"seccompProfile": {"type": "RuntimeDefault"}}
POD: Object = {
    "spec": {
        "restartPolicy": "Never",
        "containers": [{"name": "trial", "image": "trial", "securityContext": {**CONFINED, **PROFILE}}],
    }
}
"""One that the restricted Pod Security Standard allows."""


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
