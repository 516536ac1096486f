"""A training reaches its own part of the claims, whatever its spec says."""

from collections.abc import Iterator
from dataclasses import replace
from fnmatch import fnmatch
from typing import Any

import pytest

from nnunet_api.fold_key import FoldKey
from nnunet_api.folders import inside, maker_of, owned_part, run_folder
from nnunet_api.labels import PREPROCESSED_LABEL
from nnunet_api.status import NnunetTrainingStatus, Provenance
from nnunet_operator.core.training import Training
from nnunet_operator.kube.builders.stages import evaluate_job, fold_job, plan_job, verify_job
from nnunet_operator.kube.objects import Manifest
from tests.support.made_trainings import OPTIONS, training

RUN = "clinic/hippo-0a1b2c3d"
DATASET = "Dataset004_Hippocampus"
ALL: dict[str, Any] = {
    "dataset": {"name": DATASET, "claimName": "imaging", "subPath": "raw"},
    "storage": {
        "preprocessed": {"claimName": "imaging", "subPath": "./a//b/"},
        "results": {"claimName": "imaging", "subPath": "results"},
    },
}


def jobs(of: Training) -> dict[str, Manifest]:
    return {
        "plan": plan_job(of, OPTIONS),
        "fold": fold_job(of, OPTIONS, FoldKey("3d_fullres", "0")),
        "verify": verify_job(of, OPTIONS),
        "evaluate": evaluate_job(of, OPTIONS),
    }


def pod(job: Manifest) -> dict[str, Any]:
    spec: dict[str, Any] = job["spec"]["template"]["spec"]
    return spec


def reached(container: dict[str, Any]) -> Iterator[tuple[str, str, bool]]:
    """Yield path, folder of the claim, and whether it is read-only, of each claim that a container sees."""
    for mount in container["volumeMounts"]:
        if mount["mountPath"].startswith("/nnunet"):
            yield mount["mountPath"], mount.get("subPath", ""), mount["readOnly"]


@pytest.mark.parametrize("where", [{}, ALL], ids=["three claims", "one claim"])
def test_no_container_of_the_training_sees_more_than_its_own_part(where: dict[str, Any]) -> None:
    of = training(testSet={}, **where)
    maker = f"clinic/{maker_of(of.spec)}"
    raw, preprocessed, results = ("raw/", "a/b/", "results/") if where else ("", "", "")
    dataset = (f"/nnunet/raw/{DATASET}", f"{raw}{DATASET}", True)
    run = (f"/nnunet/results/{RUN}", f"{results}{RUN}", False)
    made = jobs(of)
    assert {stage: list(reached(pod(job)["containers"][0])) for stage, job in made.items()} == {
        "plan": [dataset, ("/nnunet/preprocessed", f"{preprocessed}{maker}", False), run],
        "fold": [("/nnunet/preprocessed", f"{preprocessed}{maker}", True), run],
        "verify": [run],
        "evaluate": [dataset, run],
    }
    assert {stage: len(pod(job)["containers"]) for stage, job in made.items()} == dict.fromkeys(made, 1)


def test_a_selection_sees_the_segmentations_that_it_scores_by() -> None:
    of = training(selection={}, configurations=["2d", "3d_fullres"])
    seen = {path: read_only for path, _, read_only in reached(pod(evaluate_job(of, OPTIONS))["containers"][0])}
    assert seen == {"/nnunet/preprocessed": True, f"/nnunet/results/{RUN}": False}


@pytest.mark.parametrize(("pictures", "sees"), [(False, False), (True, True)])
def test_the_evaluation_sees_the_dataset_without_a_test_set_only_to_show_cases(pictures: bool, sees: bool) -> None:
    of = training(evaluation={"pictures": pictures})
    found = [path for path, _, _ in reached(pod(evaluate_job(of, OPTIONS))["containers"][0])]
    assert (f"/nnunet/raw/{DATASET}" in found) is sees and f"/nnunet/results/{RUN}" in found


def test_the_operators_own_image_alone_sees_whole_claims() -> None:
    of = training(trainer={"image": "mine:1", "env": [{"name": "MINE", "value": "x"}]}, **ALL)
    made = jobs(of)
    assert [stage for stage, job in made.items() if "initContainers" in pod(job)] == ["plan"]
    (prepare,) = pod(made["plan"])["initContainers"]
    assert prepare["image"] == OPTIONS.trainer_image
    assert "MINE" not in {variable["name"] for variable in prepare["env"]}
    assert list(reached(prepare)) == [
        ("/nnunet/claims/raw", "", True),
        ("/nnunet/claims/preprocessed", "", False),
        ("/nnunet/claims/results", "", False),
    ]
    assert prepare["args"] == [
        "prepare",
        f"--raw=raw/{DATASET}",
        f"--preprocessed=a/b/clinic/{maker_of(of.spec)}",
        f"--results=results/{RUN}",
    ]
    assert prepare["resources"] == pod(made["plan"])["containers"][0]["resources"], "the pod asks for no more with it"


def test_one_claim_in_several_parts_is_one_volume() -> None:
    volumes = [volume for volume in pod(plan_job(training(**ALL), OPTIONS))["volumes"] if "emptyDir" not in volume]
    assert volumes == [{"name": "raw", "persistentVolumeClaim": {"claimName": "imaging"}}]


@pytest.mark.parametrize(
    ("patterns", "where", "owned"),
    [
        (("nnunet-*",), {}, True),
        (("nnunet-*",), {"storage": {"results": {"claimName": "postgres-data-0"}}}, False),
        (("nnunet-*",), {"storage": {"preprocessed": {"claimName": "pacs-archive"}}}, False),
        (("nnunet-*",), ALL, False),
        (("nnunet-*", "imaging"), ALL, True),
        (("*",), ALL, True),
        ((), {}, False),
        (("nnunet-results",), {}, False),
        # What is only read is read-only as a whole: there the kubelet changes nothing.
        (("nnunet-*",), {"dataset": {"name": DATASET, "claimName": "pacs-archive"}}, True),
    ],
)
def test_only_claims_of_nnunet_are_given_to_the_trainer(
    patterns: tuple[str, ...], where: dict[str, Any], owned: bool
) -> None:
    options = replace(OPTIONS, owned_claims=patterns)
    of = training(testSet={}, **where)
    for job in (plan_job(of, options), fold_job(of, options, FoldKey("3d_fullres", "0"))):
        assert ("fsGroup" in pod(job)["securityContext"]) is owned
    for job in (verify_job(of, options), evaluate_job(of, options)):  # which see the results alone
        own = any(fnmatch(of.spec.storage.results.claim_name, pattern) for pattern in patterns)
        assert ("fsGroup" in pod(job)["securityContext"]) is own


def test_the_dataset_is_read_only_as_a_volume() -> None:
    for job in (plan_job(training(), OPTIONS), evaluate_job(training(testSet={}), OPTIONS)):
        (raw,) = (volume for volume in pod(job)["volumes"] if volume["name"] == "raw")
        assert raw["persistentVolumeClaim"] == {"claimName": "nnunet-raw", "readOnly": True}


@pytest.mark.parametrize(
    "known", ["Dataset004_Hippocampus-0123456789abcdef", "a/b/Dataset004_Hippocampus-0123456789abcdef"]
)
def test_a_run_that_began_on_whole_claims_goes_on_with_its_data(known: str) -> None:
    where: dict[str, Any] = ALL if known.startswith("a/b/") else {}
    of = training(status=NnunetTrainingStatus(provenance=Provenance(preprocessed_path=known)), **where)
    (data, _) = reached(pod(fold_job(of, OPTIONS, FoldKey("3d_fullres", "0")))["containers"][0])
    assert data == ("/nnunet/preprocessed/Dataset004_Hippocampus-0123456789abcdef", known, True)
    (_, planned, _) = reached(pod(plan_job(of, OPTIONS))["containers"][0])
    assert planned[1].endswith(f"clinic/{maker_of(of.spec)}"), "planned anew, it gets a folder of its own"


@pytest.mark.parametrize(
    ("changes", "shared"),
    [
        ({"schedule": {"epochs": 250}, "folds": [0]}, True),
        ({"trainer": {"className": "nnUNetTrainerDA5", "seed": 3}}, True),
        ({"dataset": {"name": DATASET, "claimName": "elsewhere"}}, True),
        ({"dataset": {"name": "Dataset005_Prostate"}}, False),
        ({"trainer": {"image": "registry.example/trainer:1"}}, False),
        ({"trainer": {"env": [{"name": "nnUNet_def_n_proc", "value": "2"}]}}, False),
        ({"planning": {"planner": "nnUNetPlannerResEncM"}}, False),
        ({"planning": {"configurations": {"mine": {"inherits_from": "3d_fullres"}}}}, False),
        ({"configuration": "2d"}, False),
        ({"podTemplate": {"annotations": {"instrumentation.opentelemetry.io/inject-python": "evil/x"}}}, False),
        ({"podTemplate": {"labels": {"inject": "me"}}}, False),
        ({"podTemplate": {"jobAnnotations": {"inject": "me"}}}, False),
        ({"podTemplate": {"serviceAccountName": "x"}}, False),
        ({"podTemplate": {"runtimeClassName": "x"}}, False),
        (
            {"podTemplate": {"nodeSelector": {"a": "b"}, "priorityClassName": "low", "tolerations": [{"key": "x"}]}},
            True,
        ),
    ],
)
def test_who_could_make_other_data_has_another_folder(changes: dict[str, Any], shared: bool) -> None:
    """Preprocessed data are believed: so nobody may write there who runs other code, or plans something else."""
    assert (maker_of(training().spec) == maker_of(training(**changes).spec)) is shared
    assert plan_job(training(**changes), OPTIONS)["metadata"]["labels"][PREPROCESSED_LABEL] == maker_of(
        training(**changes).spec
    )


@pytest.mark.parametrize(("at", "shared"), [({}, True), ({"claimName": "mine"}, False), ({"subPath": "mine"}, False)])
def test_code_beside_the_dataset_makes_another_folder(at: dict[str, str], shared: bool) -> None:
    """A variable may lead to it, and two datasets of one name may lie on two claims."""
    env = {"env": [{"name": "nnUNet_extTrainer", "value": f"/nnunet/raw/{DATASET}/code"}]}
    first, second = (training(trainer=env, dataset={"name": DATASET, **more}).spec for more in ({}, at))
    assert (maker_of(first) == maker_of(second)) is shared


@pytest.mark.parametrize("sub_path", ["-imaging", "--results=x", "$(HOME)", "a$$b"])
def test_a_sub_path_is_no_option_and_nothing_is_expanded_in_it(sub_path: str) -> None:
    of = training(dataset={"name": DATASET, "subPath": sub_path})
    (prepare,) = pod(plan_job(of, OPTIONS))["initContainers"]
    assert prepare["args"][1] == f"--raw={sub_path}/{DATASET}".replace("$", "$$")


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("", ""),
        ("nnUNet_raw/projects", ""),
        ("liver-20260131/raw", ""),
        ("radiology/hippo-1234abcd/Dataset004_X", "hippo-1234abcd"),
        ("hippo-12345678", "hippo-12345678"),
        ("hippo-20261331", "hippo-20261331"),
        (f"a/shared-{'0a' * 16}", f"shared-{'0a' * 16}"),
        ("a/shared-0123456789ab", ""),
        ("ns/VICTIM-1234ABCD", "VICTIM-1234ABCD"),
        ("ns/VICTIM~1", "VICTIM~1"),
        ("ns/victim-1234abcd.", "victim-1234abcd."),
        ("v1.2/x.y", ""),
        ("1234abcd", ""),
    ],
)
def test_folders_of_trainings_are_known_by_name(path: str, part: str) -> None:
    assert owned_part(path) == part


@pytest.mark.parametrize("uid", ["20260131-aaaa", "19991231-aaaa", "12345678-aaaa", "2026013f-aaaa"])
def test_every_run_has_a_folder_that_is_known_by_name(uid: str) -> None:
    """Whatever its UID begins with: a folder whose name ends with a date may be anybody's."""
    folder = run_folder("radiology", "hippo", uid)
    assert owned_part(f"{folder}/Dataset004_X") == folder.removeprefix("radiology/")
    assert folder.endswith(uid[1:8])


@pytest.mark.parametrize(
    ("sub_path", "folder", "path"),
    [("", "ns/run", "ns/run"), ("a", "b", "a/b"), ("./a//b/", "c", "a/b/c"), ("", "", "")],
)
def test_folders_from_the_root_of_the_claim(sub_path: str, folder: str, path: str) -> None:
    assert inside(sub_path, folder) == path
