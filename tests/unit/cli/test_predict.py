"""What is asked of the pod that predicts, what it may do, and what is said meanwhile."""

import copy
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nnunet_api.contract import RunContract
from nnunet_api.folders import owned_part
from nnunet_api.pod_template import SecurityContext
from nnunet_api.prediction import Prediction
from nnunet_cli.errors import CliError, ExitCode
from nnunet_cli.export.choice import wanted
from nnunet_cli.kube.watched import watched
from nnunet_cli.predict.job import Folders, folders_of, job_name, prediction_job
from nnunet_cli.predict.places import Local, OnClaim, place_of, require_apart
from nnunet_cli.predict.request import Compute, Model, Request, request_of, require_class, spec_of
from nnunet_cli.predict.state import put_in
from nnunet_cli.predict.work import work_folder
from nnunet_cli.volumes.helper import Image
from tests.unit.cli.exporting import RUN, training, weights

IMAGE = Image("registry.example/trainer:1", ("pull",))
FILES = {"new_0000.nii.gz": "1" * 64}


def asked(body: dict[str, Any], *configurations: str, replicate: int = 1, **changes: Any) -> Request:
    found = watched(body)
    model = Model(body, found, wanted(body, found, configurations, replicate), replicate)
    given: Any = {"files": FILES, "compute": Compute(), "image": IMAGE.reference, "source": "", "target": ""} | changes
    return request_of(model, **given)


def places(request: Request, images: str = "nnunet-results", segmentations: str = "nnunet-results") -> Folders:
    return folders_of(request, ("nnunet-results", RUN), (images, "work/images"), (segmentations, "work/out"))


def made(request: Request, **changes: Any) -> dict[str, Any]:
    given: Any = {"image": IMAGE, "folders": places(request), "compute": Compute()} | changes
    return prediction_job(request, **given)


def pod_of(job: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = job["spec"]["template"]["spec"]
    return spec


def refused(work: Callable[[], Any]) -> CliError:
    with pytest.raises(CliError) as caught:
        work()
    return caught.value


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("images", Local(Path("images"))),
        ("./a:b", Local(Path("./a:b"))),
        ("/data/x", Local(Path("/data/x"))),
        (r"C:\images", Local(Path(r"C:\images"))),
        (r"c:\images", Local(Path(r"c:\images"))),
        ("imaging:a/./b//", OnClaim("imaging", "a/b")),
        ("my-claim.x:a b", OnClaim("my-claim.x", "a b")),
        ("imaging:incoming-20260131", OnClaim("imaging", "incoming-20260131")),
    ],
)
def test_a_place_is_a_folder_here_or_on_a_claim(text: str, place: Local | OnClaim) -> None:
    assert place_of(text, "--input") == place


@pytest.mark.parametrize(
    "text", ["", "imaging:", "imaging:/", "imaging:/a", "imaging:a/../b", "imaging:clinic/hippo-0123abcd/x", "im:a\nb"]
)
def test_other_places_are_refused(text: str) -> None:
    assert refused(lambda: place_of(text, "--input")).exit_code == ExitCode.USAGE


@pytest.mark.parametrize(
    ("source", "target", "apart"),
    [
        ("a", "b", True),
        ("a", "./a", False),
        ("a", "a/b", False),
        ("a/b", "a", False),
        ("xx:a", "xx:a", False),
        ("xx:a", "xx:a/b", False),
        ("xx:ab", "xx:a", True),
        ("xx:a", "yy:a", True),
        ("xx:a", "a", True),
    ],
)
def test_segmentations_do_not_go_among_the_images(source: str, target: str, apart: bool) -> None:
    def look() -> None:
        require_apart(place_of(source, "-i"), place_of(target, "-o"))

    if apart:
        look()
    else:
        assert "folder of their own" in str(refused(look))


def test_what_was_chosen_predicts_with_what_was_verified() -> None:
    selection = {"chosen": ["2d", "3d_fullres"], "meanValidationDice": 0.9, "postprocessing": ["all foreground"]}
    body = training(
        "2d",
        "3d_fullres",
        "3d_lowres",
        spec={"selection": {}, "evaluation": {"stepSize": 0.75, "mirroring": False}},
        results={"selection": selection},
        provenance={"plansName": "nnUNetPlans", "nnunetVersion": "2.8.1"},
    )
    request = asked(body)
    prediction = request.prediction
    assert prediction.configurations == ["2d", "3d_fullres"] and prediction.postprocessing == ["all foreground"]
    assert (prediction.plans_name, prediction.nnunet_version) == ("nnUNetPlans", "2.8.1")
    expected = {
        f"{name}-{fold}": hashlib.sha256(weights(name, fold)).hexdigest()
        for name in ("2d", "3d_fullres")
        for fold in (0, 1)
    }
    assert prediction.checkpoints == expected, "and none that the pod does not need"
    assert (request.contract.evaluation.step_size, request.contract.evaluation.mirroring) == (0.75, False)
    single = asked(body, "3d_lowres").prediction
    assert (single.configurations, single.postprocessing) == (["3d_lowres"], [])
    assert "one --configuration" in str(refused(lambda: asked(body, "2d", "3d_lowres")))


def test_a_cascade_takes_its_first_stage_along() -> None:
    body = training("3d_lowres", "3d_cascade_fullres", provenance={"plansName": "nnUNetPlans"})
    assert set(asked(body, "3d_cascade_fullres").prediction.checkpoints) == {
        "3d_lowres-0",
        "3d_lowres-1",
        "3d_cascade_fullres-0",
        "3d_cascade_fullres-1",
    }


def test_of_replicates_one_predicts() -> None:
    body = training("2d", replicates=2, provenance={"plansName": "nnUNetPlans"})
    prediction = asked(body, replicate=2).prediction
    assert prediction.replicate == 2 and set(prediction.checkpoints) == {"0-r2", "1-r2"}
    assert prediction.checkpoints["0-r2"] == hashlib.sha256(weights("2d", 0, 2)).hexdigest()


def test_one_command_has_one_key_and_all_that_decides_the_result_another() -> None:
    body = training("2d", provenance={"plansName": "nnUNetPlans"})
    keys = [asked(body).prediction.asked_for, asked(body).prediction.asked_for]
    assert keys[0] == keys[1]
    others: list[dict[str, Any]] = [
        {"files": {"new_0000.nii.gz": "2" * 64}},
        {"files": {"other_0000.nii.gz": "1" * 64}},
        {"compute": Compute(cpu_only=True)},
        {"image": "registry.example/trainer:2"},
        {"source": "imaging:a"},
        {"target": "imaging:b"},
    ]
    keys = [keys[0], *(asked(body, **change).prediction.asked_for for change in others)]
    body["metadata"]["uid"] = "87654321-aaaa"
    keys.append(asked(body).prediction.asked_for)
    assert len(set(keys)) == len(keys)
    assert asked(body, compute=Compute(memory="1Gi")).prediction.asked_for == keys[-1], "memory decides nothing"


def test_the_pod_may_do_no_more_than_predict() -> None:
    template: Any = {
        "labels": {"team": "x"},
        "annotations": {"inject": "x"},
        "serviceAccountName": "cloud",
        "volumes": [{"name": "code", "configMap": {"name": "code"}}],
        "nodeSelector": {"gpu": "a"},
        "imagePullSecrets": [{"name": "own"}],
        "hostUsers": False,
    }
    spec = {"podTemplate": template, "trainer": {"env": [{"name": "nnUNet_extTrainer", "value": "/x"}]}}
    request = asked(training("2d", spec=spec, provenance={"plansName": "nnUNetPlans"}))
    profile = {"type": "Localhost", "localhostProfile": "gpu.json"}
    security = SecurityContext.model_validate({"runAsUser": 1234, "seccompProfile": profile})
    job = made(
        request, image=replace(IMAGE, security=security), folders=places(request, images="imaging", segmentations="out")
    )
    pod = pod_of(job)
    (container,) = pod["containers"]
    metadata = [job["metadata"], job["spec"]["template"]["metadata"]]
    assert not [key for one in metadata for key in one["labels"] if key.startswith("nnunet.dev/")], "the operator's"
    assert "ownerReferences" not in job["metadata"] and "annotations" not in job["spec"]["template"]["metadata"]
    assert pod["automountServiceAccountToken"] is False and "serviceAccountName" not in pod
    assert pod["securityContext"] == {"runAsNonRoot": True, "runAsUser": 1234, "seccompProfile": profile}
    assert pod["hostUsers"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert not any("extTrainer" in json.dumps(variable) for variable in container["env"])
    assert pod["nodeSelector"] == {"gpu": "a"}
    assert pod["imagePullSecrets"] == [{"name": "pull"}, {"name": "own"}]
    mounts = {one["mountPath"]: one for one in container["volumeMounts"] if "subPath" in one}
    folder = "/nnunet/results/clinic/hippo-12345678"
    assert {path: (one["subPath"], one["readOnly"]) for path, one in mounts.items()} == {
        folder: (RUN, True),
        "/nnunet/images": ("work/images", True),
        "/nnunet/segmentations": ("work/out", False),
    }
    claims = [one["persistentVolumeClaim"] for one in pod["volumes"] if "persistentVolumeClaim" in one]
    assert claims == [
        {"claimName": "nnunet-results", "readOnly": True},
        {"claimName": "imaging", "readOnly": True},
        {"claimName": "out"},
    ]
    told = {one["name"]: one["value"].replace("$$", "$") for one in container["env"]}
    assert RunContract.model_validate_json(told["NNUNET_RUN_CONTRACT"]) == request.contract
    assert Prediction.model_validate_json(told["NNUNET_RUN_PREDICTION"]) == request.prediction


def test_claims_that_are_one_are_mounted_once() -> None:
    volumes = pod_of(made(asked(training("2d", provenance={"plansName": "nnUNetPlans"}))))["volumes"]
    assert [one["persistentVolumeClaim"] for one in volumes if "persistentVolumeClaim" in one] == [
        {"claimName": "nnunet-results"}
    ]


@pytest.mark.parametrize(
    ("spec", "compute", "requests", "limits"),
    [
        (
            {},
            Compute(),
            {"cpu": "8", "memory": "32Gi", "nvidia.com/gpu": "1"},
            {"memory": "32Gi", "nvidia.com/gpu": "1"},
        ),
        (
            {"resources": {"gpus": 4, "cpu": "4", "configurations": {"2d": {"cpu": "6", "memory": "64Gi"}}}},
            Compute(),
            {"cpu": "6", "memory": "64Gi", "nvidia.com/gpu": "1"},
            {"memory": "64Gi", "nvidia.com/gpu": "1"},
        ),
        ({}, Compute(cpu_only=True, cpu="2", memory="4Gi"), {"cpu": "2", "memory": "4Gi"}, {"memory": "4Gi"}),
        (
            {"trainer": {"device": "cpu"}, "resources": {"gpus": 0, "cpuLimit": "9", "ephemeralStorage": "1Gi"}},
            Compute(cpu="10"),
            {"cpu": "10", "memory": "32Gi", "ephemeral-storage": "1Gi"},
            {"cpu": "10", "memory": "32Gi", "ephemeral-storage": "1Gi"},
        ),
    ],
    ids=["as the training", "one GPU", "without a GPU", "limits"],
)
def test_it_gets_what_the_training_asks_for_or_the_command(
    spec: dict[str, Any], compute: Compute, requests: dict[str, str], limits: dict[str, str]
) -> None:
    request = asked(training("2d", spec=spec, provenance={"plansName": "nnUNetPlans"}), compute=compute)
    (container,) = pod_of(made(request, compute=compute))["containers"]
    assert container["resources"] == {"requests": requests, "limits": limits}
    assert request.contract.processes == int(requests["cpu"])
    assert request.contract.device.value == ("cuda" if "nvidia.com/gpu" in requests else "cpu")


def test_gpus_by_claim_and_a_queue() -> None:
    spec = {"resources": {"gpuClaimTemplateName": "one-gpu"}, "queueName": "gpus", "queuePriorityClassName": "low"}
    job = made(asked(training("2d", spec=spec, provenance={"plansName": "nnUNetPlans"})))
    (container,) = pod_of(job)["containers"]
    assert pod_of(job)["resourceClaims"] == [{"name": "gpu", "resourceClaimTemplateName": "one-gpu"}]
    assert container["resources"]["claims"] == [{"name": "gpu"}]
    assert "nvidia.com/gpu" not in container["resources"]["limits"]
    labels = job["metadata"]["labels"]
    assert job["spec"]["suspend"] is True and labels["kueue.x-k8s.io/queue-name"] == "gpus"
    assert labels["kueue.x-k8s.io/priority-class"] == "low"


def test_an_image_of_the_trainings_own_is_not_taken_unasked() -> None:
    spec = {"trainer": {"image": "own.example/x:1", "className": "MyTrainer"}}
    body = training("2d", spec=spec, provenance={"plansName": "nnUNetPlans"})
    assert "give --image own.example/x:1" in str(refused(lambda: require_class(spec_of(body), None)))
    require_class(spec_of(body), "own.example/x:1")
    body["spec"]["trainer"]["className"] = "nnUNetTrainer"
    require_class(spec_of(body), None)
    body["spec"]["unknown"] = True
    assert "Is this program older" in str(refused(lambda: spec_of(body)))


def test_names_fit_and_no_training_may_read_the_folder() -> None:
    long = "a." * 100 + "b"
    assert len(job_name(long, "f1234567")) <= 63 and "." not in job_name(long, "f1234567")
    folder = work_folder("sub/clinic/hippo-12345678", "hippo", "f1234567")
    assert folder == "sub/clinic/predictions_hippo-f1234567" and owned_part(folder) == "predictions_hippo-f1234567"
    key = asked(training("2d", provenance={"plansName": "nnUNetPlans"})).prediction.key
    assert owned_part(work_folder("clinic/x", "y", key)), "whatever its digits are"


def test_what_a_webhook_put_into_its_pod_is_told() -> None:
    body = made(asked(training("2d", provenance={"plansName": "nnUNetPlans"})))
    pods = [{"spec": copy.deepcopy(body["spec"]["template"]["spec"])} for _ in range(2)]
    assert put_in(body, []) == put_in(body, pods) == ""
    mesh = {"name": "istio-proxy", "image": "mesh:1", "env": [{"name": "LD_PRELOAD", "value": "x"}]}
    pods[0]["spec"]["containers"].insert(0, mesh)
    pods[0]["spec"]["containers"][1]["env"].append({"name": "HTTPS_PROXY", "value": "x"})
    assert put_in(body, pods) == ""
    pods[1]["spec"]["containers"][0]["env"].append({"name": "LD_PRELOAD", "value": "x"})
    pods[1]["spec"]["containers"][0]["image"] = "mine:1"
    assert "its pod has LD_PRELOAD, image mine:1, which was not asked for" in put_in(body, pods)
    mounts = pods[0]["spec"]["containers"][1]["volumeMounts"]
    written = next(mount["name"] for mount in mounts if not mount.get("readOnly"))
    mesh["volumeMounts"] = [{"name": written, "mountPath": "/x"}]
    assert put_in(body, pods[:1]).startswith(f"its pod has {written} written by container istio-proxy, which was not")
