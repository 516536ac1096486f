"""The Jobs do what they promise: who holds a GPU, what is read-only, what fails, what is retried."""

import json
from dataclasses import replace
from typing import Any

import pytest
from kubernetes.aio.client import V1Job

from nnunet_api.contract import CONTRACT_ENV, PROVEN_ENV, RunContract
from nnunet_api.exit_codes import TERMINAL_EXIT_CODES
from nnunet_api.fold_key import FoldKey
from nnunet_api.fold_status import FoldStatus
from nnunet_api.reasons import FoldPhase
from nnunet_api.status import NnunetTrainingStatus
from nnunet_operator.kube.builders.stages import evaluate_job, fold_job, plan_job, verify_job
from tests.support.made_trainings import FULL_POD_TEMPLATE, OPTIONS, UID, training
from tests.unit.kube.built import BUILDERS, ZERO, Build, container, env, pod

TEST_SET: dict[str, Any] = {"testSet": {}}
CHOOSES: dict[str, Any] = {"selection": {}, **TEST_SET}
every_job = pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)


def test_only_pods_that_train_are_announced_to_prometheus() -> None:
    """And a training's own annotations win."""
    announcing = replace(OPTIONS, scrape_annotations=True)
    of = training(podTemplate={"annotations": {"prometheus.io/port": "9999", "note": "b"}})
    expected = {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": "9999",
        "prometheus.io/path": "/metrics",
        "note": "b",
    }
    assert fold_job(of, announcing, ZERO)["spec"]["template"]["metadata"]["annotations"] == expected
    plain = training()
    assert "annotations" not in fold_job(plain, OPTIONS, ZERO)["spec"]["template"]["metadata"]
    assert "annotations" not in plan_job(plain, announcing)["spec"]["template"]["metadata"]


@every_job
def test_the_client_library_takes_the_manifest(build: Build) -> None:
    full = training(
        queueName="gpus",
        testSet={},
        trainer={"image": "mine@sha256:00", "env": [{"name": "nnUNet_compile", "value": "f"}]},
        podTemplate=FULL_POD_TEMPLATE,
    )
    for manifest in (build(training()), build(full)):
        # It drops what it does not know: what comes out must be what went in.
        assert V1Job.model_validate(manifest).model_dump(mode="json", by_alias=True, exclude_none=True) == manifest
    assert pod(build(full))["tolerations"] == [{"key": "gpu", "operator": "Exists"}]


@every_job
def test_pods_meet_the_restricted_standard(build: Build) -> None:
    job = build(training())
    security = pod(job)["securityContext"]
    assert security["runAsNonRoot"] is True
    assert security["runAsUser"] > 0
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container(job)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {kind for volume in pod(job)["volumes"] for kind in volume if kind != "name"} == {
        "persistentVolumeClaim",
        "emptyDir",
    }
    assert pod(job)["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod(job))


@every_job
def test_quantities_are_strings_and_cpu_has_no_limit(build: Build) -> None:
    resources = container(build(training()))["resources"]
    assert all(isinstance(value, str) for part in resources.values() for value in part.values())
    assert "cpu" in resources["requests"]
    assert "cpu" not in resources["limits"]
    assert resources["requests"]["memory"] == resources["limits"]["memory"]


OWN: dict[str, Any] = {"cpuLimit": "10", "ephemeralStorage": "2Gi"}


@pytest.mark.parametrize(
    ("stage", "changes", "limited"),
    [
        ("fold", {}, True),
        ("evaluate", TEST_SET, True),
        ("evaluate", {}, False),
        ("plan", TEST_SET, False),
        ("verify", TEST_SET, False),
    ],
)
def test_what_quotas_ask_for_can_be_given(stage: str, changes: dict[str, Any], limited: bool) -> None:
    """To pods with the network and to those without it, and to each container of them."""
    for given, found in (({"resources": OWN}, limited), ({"resources": {"preprocessing": OWN}}, not limited)):
        job = BUILDERS[stage](training(**changes, **given))
        for one in (container(job), *pod(job).get("initContainers", ())):
            limits, requests = one["resources"]["limits"], one["resources"]["requests"]
            assert limits.get("cpu") == ("10" if found else None)
            assert limits.get("ephemeral-storage") == requests.get("ephemeral-storage") == ("2Gi" if found else None)
            assert requests["cpu"] == "8"


@pytest.mark.parametrize(
    ("stage", "changes", "gpus", "memory"),
    [
        ("plan", {}, None, "16Gi"),
        ("plan", TEST_SET, None, "16Gi"),
        ("fold", {}, "1", "64Gi"),
        ("fold", {"trainer": {"device": "cpu"}, "resources": {"gpus": 0, "memory": "8Gi"}}, None, "8Gi"),
        ("verify", TEST_SET, None, "16Gi"),
        ("evaluate", {}, None, "16Gi"),
        ("evaluate", TEST_SET, "1", "64Gi"),
    ],
)
def test_a_gpu_is_held_only_where_the_network_computes(
    stage: str, changes: dict[str, Any], gpus: str | None, memory: str
) -> None:
    spec = {"resources": {"memory": "64Gi", "preprocessing": {"memory": "16Gi"}}, **changes}
    resources = container(BUILDERS[stage](training(**spec)))["resources"]
    assert resources["limits"].get("nvidia.com/gpu") == gpus
    assert resources["requests"].get("nvidia.com/gpu") == gpus
    assert resources["limits"]["memory"] == memory


@pytest.mark.parametrize("stage", ["plan", "fold", "verify", "evaluate"])
def test_gpus_come_by_a_claim_where_the_training_says_so(stage: str) -> None:
    job = BUILDERS[stage](training(**TEST_SET, resources={"gpuClaimTemplateName": "two-gpus", "gpus": 2}))
    computes = stage in ("fold", "evaluate")
    claims = [{"name": "gpu", "resourceClaimTemplateName": "two-gpus"}] if computes else None
    assert pod(job).get("resourceClaims") == claims
    assert container(job)["resources"].get("claims") == ([{"name": "gpu"}] if computes else None)
    assert "nvidia.com/gpu" not in container(job)["resources"]["limits"]
    for preparing in pod(job).get("initContainers", ()):
        assert "claims" not in preparing["resources"]


@pytest.mark.parametrize(
    ("changes", "gpus", "cpu", "memory"),
    [({}, None, "8", "32Gi"), ({"selection": {}}, None, "8", "32Gi"), (CHOOSES, "1", "16", "48Gi")],
    ids=["scores", "chooses", "predicts with what was chosen"],
)
def test_the_evaluation_of_several_has_the_most_of_all(
    changes: dict[str, Any], gpus: str | None, cpu: str, memory: str
) -> None:
    own = {"2d": {"cpu": "16", "memory": "8Gi"}, "3d_fullres": {"memory": "48Gi", "sharedMemory": "20Gi"}}
    of = training(configurations=["2d", "3d_fullres"], resources={"configurations": own}, **changes)
    job = evaluate_job(of, OPTIONS)
    requests = container(job)["resources"]["requests"]
    assert (requests.get("nvidia.com/gpu"), requests["cpu"], requests["memory"]) == (gpus, cpu, memory)
    (shared,) = (one["emptyDir"]["sizeLimit"] for one in pod(job)["volumes"] if one["name"] == "shm")
    assert shared == ("20Gi" if gpus else "8Gi")


@pytest.mark.parametrize(
    ("stage", "arguments"),
    [
        ("plan", ["plan"]),
        ("fold", ["train", "--fold", "0"]),
        ("verify", ["verify"]),
        ("evaluate", ["evaluate"]),
    ],
)
def test_the_trainer_is_told_what_to_do(stage: str, arguments: list[str]) -> None:
    job = BUILDERS[stage](training(resources={"cpu": "2500m", "preprocessing": {"cpu": "6"}}))
    assert (container(job)["command"], container(job)["args"]) == (["/opt/nnunet/bin/nnunet-trainer"], arguments)
    contract = RunContract.model_validate_json(env(job)[CONTRACT_ENV])
    assert contract.run_folder == "clinic/hippo-0a1b2c3d"
    assert contract.processes == (2 if stage == "fold" else 6)
    assert env(job)["nnUNet_raw"] == "/nnunet/raw"


@pytest.mark.parametrize(
    ("run", "arguments"),
    [
        ("3-r1", ["train", "--fold", "3", "--replicate", "1"]),
        ("0-r10", ["train", "--fold", "0", "--replicate", "10"]),
        ("all-r2", ["train", "--fold", "all", "--replicate", "2"]),
    ],
)
def test_a_replicates_fold(run: str, arguments: list[str]) -> None:
    job = fold_job(training(replicates=10, trainer={"seed": 1}), OPTIONS, FoldKey.parse(run, "3d_fullres"))
    assert container(job)["args"] == arguments
    assert job["metadata"]["name"] == f"hippo-fold-{run}"
    assert job["metadata"]["labels"]["nnunet.dev/fold"] == run
    contract = RunContract.model_validate_json(env(job)[CONTRACT_ENV])
    assert (contract.replicates, contract.seed_of(2)) == (10, 2)


def test_a_fold_of_one_of_several_configurations() -> None:
    own = {"2d": {"cpu": "16", "sharedMemory": "2Gi"}}
    of = training(configurations=["2d", "My_3D"], resources={"configurations": own})
    first, other = (fold_job(of, OPTIONS, of.spec.fold_keys[place]) for place in (0, 5))
    assert first["metadata"]["name"] == "hippo-fold-2d-0" and other["metadata"]["name"] == "hippo-fold-my-3d-0"
    labels = other["spec"]["template"]["metadata"]["labels"]
    assert (labels["nnunet.dev/fold"], labels["nnunet.dev/configuration"]) == ("My_3D-0", "My_3D")
    assert container(other)["args"] == ["train", "--fold", "0", "--configuration", "My_3D"]
    assert [container(one)["resources"]["requests"]["cpu"] for one in (first, other)] == ["16", "8"]
    limits = [volume["emptyDir"]["sizeLimit"] for one in (first, other) for volume in pod(one)["volumes"][-2:-1]]
    assert limits == ["2Gi", "8Gi"]
    assert RunContract.model_validate_json(env(first)[CONTRACT_ENV]).processes == 16


def test_one_configuration_is_part_of_no_name() -> None:
    for spec in ({"configuration": "2d"}, {"configurations": ["2d"]}):
        of = training(**spec)
        job = fold_job(of, OPTIONS, of.spec.fold_keys[0])
        assert job["metadata"]["name"] == "hippo-fold-0" and container(job)["args"] == ["train", "--fold", "0"]
        assert "nnunet.dev/configuration" not in job["metadata"]["labels"]


def test_a_users_null_reaches_nnunet() -> None:
    configurations = {"mine": {"inherits_from": "3d_fullres", "patch_size": None}}
    job = plan_job(training(planning={"configurations": configurations}), OPTIONS)
    assert json.loads(env(job)[CONTRACT_ENV])["planning"]["configurations"] == configurations


def test_kubernetes_expands_nothing_in_the_contract() -> None:
    configurations = {"mine": {"a": "$(HOME)"}}
    job = plan_job(training(planning={"configurations": configurations}), OPTIONS)
    assert "$$(HOME)" in env(job)[CONTRACT_ENV]  # the kubelet turns it back into $(HOME)


def test_the_users_environment_comes_last() -> None:
    job = fold_job(training(trainer={"env": [{"name": "nnUNet_n_proc_DA", "value": "3"}]}), OPTIONS, ZERO)
    assert container(job)["env"][-1] == {"name": "nnUNet_n_proc_DA", "value": "3"}


def test_the_evaluation_alone_is_told_which_checkpoints_were_verified() -> None:
    folds = [FoldStatus(fold=name, phase=FoldPhase.COMPLETED, checkpoint_hash=name * 64) for name in ("0", "1")]
    of = training(status=NnunetTrainingStatus(folds=folds))
    told = {stage: env(build(of)).get(PROVEN_ENV) for stage, build in BUILDERS.items()}
    assert json.loads(told.pop("evaluate") or "") == {"0": "0" * 64, "1": "1" * 64}
    assert set(told.values()) == {None}
    assert PROVEN_ENV not in env(BUILDERS["evaluate"](training()))


@every_job
def test_no_variable_reaches_a_pod_that_leads_to_other_code(build: Build) -> None:
    """Trainings that are older than the schema's rule may have some."""
    refused = ["LD_PRELOAD", "PYTHONPATH", "PYTHONWARNINGS", "BROWSER", "PATH", "HOME", "nnUNet_raw", CONTRACT_ENV]
    mine = [{"name": name, "value": "mine"} for name in refused]
    told = env(build(training(trainer={"env": mine})))
    assert "mine" not in told.values()
    assert (told["HOME"], told["nnUNet_raw"]) == ("/tmp", "/nnunet/raw")


@every_job
def test_retries(build: Build) -> None:
    spec = build(training(retryLimit=7))["spec"]
    assert spec["backoffLimit"] == 7
    assert spec["podReplacementPolicy"] == "Failed"
    assert (spec["completions"], spec["parallelism"]) == (1, 1)
    disruption, *by_code = spec["podFailurePolicy"]["rules"]
    assert disruption == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    # A rule for a container that a pod has not is refused by the API server.
    containers = ["trainer", *(one["name"] for one in spec["template"]["spec"].get("initContainers", []))]
    terminal = sorted(int(code) for code in TERMINAL_EXIT_CODES)
    assert [
        (rule["action"], rule["onExitCodes"]["containerName"], rule["onExitCodes"]["values"]) for rule in by_code
    ] == [*(("Ignore", name, [75]) for name in containers), *(("FailJob", name, terminal) for name in containers)]


@every_job
def test_the_training_owns_the_job(build: Build) -> None:
    job = build(training())
    (owner,) = job["metadata"]["ownerReferences"]
    assert owner["uid"] == UID
    assert (owner["apiVersion"], owner["kind"], owner["controller"]) == ("nnunet.dev/v1alpha1", "NnunetTraining", True)
    assert job["metadata"]["namespace"] == "clinic"


def test_labels_find_the_pods_and_users_cannot_forge_them() -> None:
    labels = {"team": "a", "nnunet.dev/fold": "4", "app.kubernetes.io/managed-by": "me"}
    job = fold_job(training(podTemplate={"labels": labels}), OPTIONS, FoldKey("3d_fullres", "1"))
    found = job["spec"]["template"]["metadata"]["labels"]
    assert found["team"] == "a"
    assert found["nnunet.dev/fold"] == "1"
    assert found["app.kubernetes.io/managed-by"] == "nnunet-operator"
    assert "team" not in job["metadata"]["labels"]


def test_only_a_queue_name_brings_kueues_label() -> None:
    assert "kueue.x-k8s.io/queue-name" not in plan_job(training(), OPTIONS)["metadata"]["labels"]
    job = plan_job(training(queueName="gpus"), OPTIONS)
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpus"
    assert job["spec"]["suspend"] is True, "a Job that no Kueue sees must not run outside its quota"
    assert "suspend" not in plan_job(training(), OPTIONS)["spec"]


def test_stages_after_the_folds_may_have_a_priority_of_their_own() -> None:
    label = "kueue.x-k8s.io/priority-class"
    queued, options = (
        training(queueName="gpus", queuePriorityClassName="low"),
        replace(OPTIONS, finishing_priority_class="high"),
    )
    made = [plan_job(queued, options), verify_job(queued, options), evaluate_job(queued, options)]
    assert [job["metadata"]["labels"].get(label) for job in made] == ["low", "high", "high"]
    assert label not in verify_job(training(), OPTIONS)["metadata"]["labels"]
    assert label not in verify_job(queued, options)["spec"]["template"]["metadata"]["labels"]


def test_long_names_stay_apart_and_within_limits() -> None:
    names = [f"{'x' * 240}-{tail}" for tail in ("a", "b")]
    jobs = [fold_job(training(name=name), OPTIONS, ZERO) for name in names]
    assert len({job["metadata"]["name"] for job in jobs}) == 2
    for job in jobs:
        values = [job["metadata"]["name"], *job["metadata"]["labels"].values()]
        assert max(len(value) for value in values) <= 63
