"""The CRD as people meet it: what it accepts, what it says when it refuses, what kubectl shows."""

import copy
import json
from pathlib import Path

import pytest
import yaml

from hack.prepare.helm import ROOT
from nnunet_api.comparison.template import merge_patch
from tests.integration.chart.conftest import COMPARISON_CRD, CRD, POLICY_CRD, Site
from tests.support.api import wait_served
from tests.support.kube import Object
from tests.support.made_trainings import FULL_POD_TEMPLATE
from tests.support.networks import small_network

MANIFESTS = ROOT / "manifests"
SAMPLES = MANIFESTS / "samples"
MINIMAL: Object = {
    "apiVersion": "nnunet.dev/v1alpha1",
    "kind": "NnunetTraining",
    "metadata": {"name": "sample", "namespace": "default"},
    "spec": {"dataset": {"name": "Dataset004_Hippocampus"}},
}


def with_spec(**fields: object) -> Object:
    manifest = copy.deepcopy(MINIMAL)
    manifest["spec"].update(fields)
    return manifest


def env(**variable: object) -> Object:
    """Return the fields of a spec that sets one variable."""
    return {"trainer": {"env": [variable]}}


def configured(**settings: object) -> Object:
    return {"planning": {"configurations": {"mine": settings}}}


@pytest.fixture(scope="module")
def defined(cluster_site: Site) -> Site:
    """A cluster with the CRD of manifests/ and no operator."""
    cluster_site.wipe()
    cluster_site.kube.run("apply", "-f", str(ROOT / "manifests" / "crd"))
    wait_served(cluster_site.api, CRD, POLICY_CRD, COMPARISON_CRD)
    known = lambda: "FIELDS:" in cluster_site.kube.run("explain", "nnt.spec", check=False)  # noqa: E731
    cluster_site.kube.wait("kubectl explain to know it", known, timeout=60)  # by a poll, after it is served
    return cluster_site


def create(site: Site, manifest: Object) -> str:
    """Return why kubectl could not create the object, "" where it could: it asks for strict validation."""
    return site.api.refusal("nnunettrainings", manifest, fieldValidation="Strict")


def test_tools_that_compare_by_the_server_see_no_difference(defined: Site) -> None:
    """As kubectl diff, Flux, and Argo CD with ServerSideDiff: defaults in lists are written on both sides."""
    variables = [
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "wandb", "key": "token"}}},
        {"name": "nnUNet_n_proc_DA", "value": "8"},
    ]
    volumes = [{"name": "certificates", "configMap": {"name": "certificates"}}]
    manifest = with_spec(trainer={"env": variables}, podTemplate={"volumes": volumes}, folds=[0])
    text = json.dumps({**manifest, "metadata": {"name": "compared", "namespace": "default"}})
    command = ("apply", "--server-side", "-f", "-", "-o", "json")
    stored = json.loads(defined.kube.run(*command, stdin=text))
    again = json.loads(defined.kube.run(*command, "--dry-run=server", stdin=text))
    try:
        assert again["spec"] == stored["spec"]
        assert again["metadata"]["generation"] == stored["metadata"]["generation"]
        assert not defined.kube.run("diff", "-f", "-", stdin=text)
    finally:
        defined.api.delete("nnunettrainings", "default", "compared")


@pytest.mark.parametrize(
    "path",
    sorted((*SAMPLES.rglob("*.yaml"), *(MANIFESTS / "comparisons").glob("*.yaml"))),
    ids=lambda path: str(path.relative_to(MANIFESTS)),
)
def test_samples_are_accepted(defined: Site, path: Path) -> None:
    for manifest in yaml.safe_load_all(path.read_text()):
        if manifest.get("kind") == "Kustomization":
            continue
        namespace = manifest["metadata"].get("namespace")
        if namespace:
            defined.namespace(namespace)
        command = "apply" if manifest["kind"] == "Namespace" else "create"
        text = defined.kube.run(command, "--dry-run=server", "-f", "-", stdin=json.dumps(manifest))
        assert "(server dry run)" in text


def test_the_full_sample_shows_every_field(defined: Site) -> None:
    """`kubectl explain --recursive` lists the fields with two spaces for each level."""
    explained = defined.kube.run("explain", "nnt.spec", "--recursive")
    lines = explained.partition("FIELDS:\n")[2].splitlines()
    names = {line.split("\t")[0].strip() for line in lines if "\t<" in line}
    sample = (SAMPLES / "full.yaml").read_text()
    assert {name for name in names if f" {name}:" not in sample} == set()
    assert len(names) > 50


REJECTED: dict[str, tuple[Object, str]] = {
    "no dataset": ({"dataset": None}, "spec.dataset: Required value"),
    "dataset name": ({"dataset": {"name": "Hippocampus"}}, 'spec.dataset.name: Invalid value: "Hippocampus"'),
    "typing error": ({"schedul": {}}, 'unknown field "spec.schedul"'),
    "no epochs": ({"schedule": {"epochs": 0}}, "spec.schedule.epochs in body should be greater than or equal to 1"),
    "epochs as text": ({"schedule": {"epochs": "5"}}, "spec.schedule.epochs in body must be of type integer"),
    "learning rate 0": (
        {"schedule": {"initialLearningRate": 0}},
        "initialLearningRate in body should be greater than 0",
    ),
    "fold 50": ({"folds": [50]}, "spec.folds[0] in body should be less than or equal to 49"),
    "too many fold runs": (
        {"folds": [*range(26)], "replicates": 2, "trainer": {"seed": 1}},
        "folds times replicates may be at most 50",
    ),
    "51 folds": ({"splits": {"folds": 51}}, "spec.splits.folds in body should be less than or equal to 50"),
    "a fold alone": ({"splits": {"folds": 1}}, "spec.splits.folds in body should be greater than or equal to 2"),
    "left out and grouped": (
        {"splits": {"leaveOneOut": "site", "groupBy": "patient"}},
        "leave out folds, groupBy and stratifyBy",
    ),
    "a column that is none": ({"splits": {"groupBy": "a b"}}, 'spec.splits.groupBy: Invalid value: "a b"'),
    "a subgroup twice": ({"evaluation": {"subgroups": ["a", "a"]}}, "subgroups must differ"),
    "a fold twice": ({"folds": [0, 0]}, "spec.folds: Invalid value: folds must differ"),
    "no fold": ({"folds": []}, "give folds, or trainOnAllCases: true with folds: []"),
    "all cases and folds": ({"trainOnAllCases": True}, "give folds, or trainOnAllCases: true with folds: []"),
    "cascade alone": ({"configuration": "3d_cascade_fullres"}, "3d_cascade_fullres learns from the predictions"),
    "device": ({"trainer": {"device": "gpu"}}, 'supported values: "cuda", "cpu"'),
    "cuda without GPU": ({"resources": {"gpus": 0}}, "resources.gpus must be at least 1 for trainer.device cuda"),
    "unit of memory": ({"resources": {"memory": "32GB"}}, 'spec.resources.memory: Invalid value: "32GB"'),
    "negative cores": ({"resources": {"cpu": -1}}, "spec.resources.cpu in body should be greater than or equal to 0"),
    "absolute subPath": (
        {"storage": {"results": {"subPath": "/models"}}},
        "must be relative to the root of the claim: remove the leading /",
    ),
    "subPath that a terminal obeys": ({"storage": {"results": {"subPath": "a\x1b]52;c;\x07"}}}, "subPath"),
    "image that a terminal obeys": ({"trainer": {"image": "a\x1b[2J"}}, "spec.trainer.image"),
    "image of look-alikes": ({"trainer": {"image": "registry.ex\u0430mple/trainer:1"}}, "spec.trainer.image"),
    "toleration of a key that is none": ({"podTemplate": {"tolerations": [{"key": 5}]}}, "tolerations[0].key"),
    "toleration of nothing": (
        {"podTemplate": {"tolerations": [{"effect": "NoSchedule"}]}},
        "give the key of the taint, or operator: Exists for every taint",
    ),
    "toleration with a slip": (
        {"podTemplate": {"tolerations": [{"key": "gpu", "operator": "exists"}]}},
        'supported values: "Exists", "Equal", "Lt", "Gt"',
    ),
    "toleration with a field that there is not": (
        {"podTemplate": {"tolerations": [{"key": "gpu", "efect": "NoSchedule"}]}},
        'unknown field "spec.podTemplate.tolerations[0].efect"',
    ),
    "subPath upwards": ({"storage": {"results": {"subPath": "a/../.."}}}, "must not contain '..'"),
    "the operator's variable": (
        {"trainer": {"env": [{"name": "nnUNet_raw", "value": "/x"}]}},
        '"nnUNet_raw": is set by the operator: use dataset and storage instead',
    ),
    **{
        f"variable {name}": (
            {"trainer": {"env": [{"name": name, "value": "/x"}]}},
            f'"{name}": makes the loader, the interpreter, a shell',
        )
        for name in ("LD_PRELOAD", "PYTHONWARNINGS", "BROWSER", "PATH", "HOME", "BASH_ENV", "NVIDIA_VISIBLE_DEVICES")
    },
    **{
        f"{name}={value}": ({"trainer": {"env": [{"name": name, "value": value}]}}, f"{name} must be {wanted}")
        for name, value, wanted in (
            ("nnUNet_n_proc_DA", "auto", "a whole number"),
            ("nnUNet_n_proc_DA", "", "a whole number"),
            ("nnUNet_def_n_proc", "0", "a whole number from 1"),
            ("nnUNet_compile", "yes", "true or false"),
        )
    },
    "value and valueFrom": (
        env(name="A", value="1", valueFrom={"secretKeyRef": {"name": "s", "key": "k"}}),
        "give value or valueFrom, not both",
    ),
    "no source": (env(name="A", valueFrom={}), "give one of secretKeyRef and configMapKeyRef"),
    "two sources": (
        env(name="A", valueFrom={key: {"name": "s", "key": "k"} for key in ("secretKeyRef", "configMapKeyRef")}),
        "give one of secretKeyRef and configMapKeyRef",
    ),
    "the loader's variable from a Secret": (
        env(name="LD_PRELOAD", valueFrom={"secretKeyRef": {"name": "s", "key": "k"}}),
        '"LD_PRELOAD": makes the loader, the interpreter, a shell',
    ),
    "root": (
        {"podTemplate": {"securityContext": {"runAsUser": 0}}},
        "spec.podTemplate.securityContext.runAsUser in body should be greater than or equal to 1",
    ),
    "another domain of SELinux": (
        {"podTemplate": {"securityContext": {"seLinuxOptions": {"type": "spc_t"}}}},
        'seLinuxOptions.type: Unsupported value: "spc_t"',
    ),
    "system calls": (
        {"podTemplate": {"securityContext": {"seccompProfile": {"type": "Unconfined"}}}},
        'seccompProfile.type: Unsupported value: "Unconfined"',
    ),
    "a profile without a name": (
        {"podTemplate": {"securityContext": {"appArmorProfile": {"type": "Localhost"}}}},
        "localhostProfile goes with type Localhost, and with no other",
    ),
    "a profile elsewhere": (
        {"podTemplate": {"securityContext": {"seccompProfile": {"type": "Localhost", "localhostProfile": "a/../b"}}}},
        'seccompProfile.localhostProfile: Invalid value: "a/../b"',
    ),
    "a volume of nothing": ({"podTemplate": {"volumes": [{"name": "a"}]}}, "give one of configMap and secret"),
    "a volume twice": (
        {"podTemplate": {"volumes": [{"name": "a", "configMap": {"name": "x"}}] * 2}},
        "spec.podTemplate.volumes[1]: Duplicate value",
    ),
    "a volume elsewhere": (
        {"podTemplate": {"volumes": [{"name": "../raw", "configMap": {"name": "x"}}]}},
        'spec.podTemplate.volumes[0].name: Invalid value: "../raw"',
    ),
    **{
        f"Job annotation {key}": ({"podTemplate": {"jobAnnotations": {key: ""}}}, "are not for trainings to give")
        for key in ("nnunet.dev/asked-for", "kueue.x-k8s.io/queue-name", "batch.kubernetes.io/job-tracking")
    },
    "value of a label": (
        {"podTemplate": {"labels": {"team": "Radiology & Co"}}},
        'spec.podTemplate.labels.team: Invalid value: "Radiology & Co"',
    ),
    "label": (
        {"podTemplate": {"labels": {"my team": "a"}}},
        "spec.podTemplate.labels: Invalid value: names must be [PREFIX/]NAME",
    ),
    "annotation": (
        {"podTemplate": {"annotations": {"a/b/c": ""}}},
        "podTemplate.annotations: Invalid value: names must",
    ),
    "node selector": ({"podTemplate": {"nodeSelector": {"gpu=a100": ""}}}, "nodeSelector: Invalid value: names must"),
    "priority class": (
        {"podTemplate": {"priorityClassName": "High Priority"}},
        'spec.podTemplate.priorityClassName: Invalid value: "High Priority"',
    ),
    "pull secret": (
        {"podTemplate": {"imagePullSecrets": [{"name": "My Secret"}]}},
        'spec.podTemplate.imagePullSecrets[0].name: Invalid value: "My Secret"',
    ),
    "limit below request": ({"resources": {"cpu": "8", "cpuLimit": "7500m"}}, "cpuLimit must be at least cpu"),
    "limit below request without GPU": (
        {"resources": {"preprocessing": {"cpu": 2, "cpuLimit": 1}}},
        "spec.resources.preprocessing: Invalid value: cpuLimit must be at least cpu",
    ),
    "limit below the default": ({"resources": {"cpuLimit": 4}}, "cpuLimit must be at least cpu"),
    "a variable twice": ({"trainer": {"env": [{"name": "A"}, {"name": "A"}]}}, "spec.trainer.env[1]: Duplicate value"),
    "name of a configuration": (
        {"planning": {"configurations": {"my-net": {}}}},
        "spec.planning.configurations: Invalid value: names must match",
    ),
    "folder of preprocessed data": (
        configured(data_identifier="/nnunet/results/radiology/victim"),
        "spec.planning.configurations[mine]: Invalid value: data_identifier: leave it out",
    ),
    "a function as network": (
        configured(architecture={"network_class_name": "subprocess.getoutput"}),
        'architecture.network_class_name: Invalid value: "subprocess.getoutput"',
    ),
    "a function as nonlinearity": (
        configured(architecture={"arch_kwargs": {"nonlin": "os.system", "nonlin_kwargs": {"command": "id"}}}),
        'architecture.arch_kwargs.nonlin: Invalid value: "os.system"',
    ),
    "another import": (
        configured(architecture={"_kw_requires_import": ["conv_op", "cmd"]}),
        'architecture._kw_requires_import[1]: Unsupported value: "cmd"',
    ),
    "a stage in another folder": (
        configured(previous_stage="../../other"),
        'configurations.mine.previous_stage: Invalid value: "../../other"',
    ),
    "a module as preprocessor": (configured(preprocessor_name="os"), 'preprocessor_name: Invalid value: "os"'),
    "a function that resamples nothing": (
        configured(resampling_fn_data="rmtree"),
        'resampling_fn_data: Invalid value: "rmtree"',
    ),
    "a module as normalization": (
        configured(normalization_schemes=["CTNormalization", "os"]),
        'normalization_schemes[1]: Invalid value: "os"',
    ),
}


@pytest.mark.parametrize("case", REJECTED)
def test_what_is_wrong_is_refused_by_name(defined: Site, case: str) -> None:
    fields, message = REJECTED[case]
    assert message in create(defined, with_spec(**fields))


@pytest.mark.parametrize("path", sorted((MANIFESTS / "comparisons").glob("*.yaml")), ids=lambda path: path.stem)
def test_what_comparisons_on_public_data_make_is_taken(defined: Site, path: Path) -> None:
    """Each arm, from 100 to 2000 epochs with three seeds."""
    spec = yaml.safe_load(path.read_text(encoding="utf-8"))["spec"]
    assert {arm["name"] for arm in spec["arms"]} >= {"100-epochs", "2000-epochs"}
    for arm in spec["arms"]:
        made = with_spec(**merge_patch(spec["template"]["spec"], arm["patch"]))
        assert create(defined, made) == "", arm["name"]


def test_configurations_are_stored_as_they_were_sent(defined: Site) -> None:
    """What the schema does not name is kept, whatever it is."""
    network = small_network("3d_fullres", [16, 16, 16], [4, 8, 8]) | {"spacing": [1, 1, 1.5], "next_stage": ["a", "b"]}
    sent = with_spec(**configured(**network))
    answer = defined.kube.run("create", "--dry-run=server", "-o", "json", "-f", "-", stdin=json.dumps(sent))
    assert json.loads(answer)["spec"]["planning"]["configurations"] == {"mine": network}


def test_what_clusters_ask_for_is_taken(defined: Site) -> None:
    source = {"name": "a", "key": "b.c"}
    variables: list[Object] = [
        {"name": "A", "valueFrom": {"secretKeyRef": source}},
        # What a Secret holds is judged when the trainer starts.
        {"name": "nnUNet_n_proc_DA", "valueFrom": {"configMapKeyRef": source}},
    ]
    resources = {"cpu": "8", "cpuLimit": 8, "preprocessing": {"cpu": 2, "cpuLimit": "2000m", "ephemeralStorage": "1Gi"}}
    templates: tuple[Object, ...] = (FULL_POD_TEMPLATE, {"securityContext": {}})
    for pod_template in templates:
        body = with_spec(trainer={"env": variables}, podTemplate=pod_template, resources=resources)
        assert create(defined, body) == ""


def test_quantities_may_be_plain_numbers(defined: Site) -> None:
    assert create(defined, with_spec(resources={"cpu": 8, "memory": "32Gi"})) == ""


def test_integers_with_exponents_do_not_get_in(defined: Site, tmp_path: Path) -> None:
    """kubectl would tidy the number up, so the request goes to the API server as it is."""
    raw = tmp_path / "raw.json"
    raw.write_text(json.dumps(with_spec(schedule={"epochs": 77})).replace("77", "1e3"))
    url = "/apis/nnunet.dev/v1alpha1/namespaces/default/nnunettrainings?dryRun=All"
    answer = defined.kube.run("create", "--raw", url, "-f", str(raw), check=False)
    assert "must be written as a whole number without exponent or decimal point" in answer


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"schedule": {"epochs": 10}}, "schedule can't change after creation"),
        ({"testSet": {}}, "testSet can't change after creation"),
        ({"selection": {}}, "selection can't change after creation"),
        ({"planning": {"configurations": {"net": {"batch_size": 8}}}}, "planning can't change after creation"),
        ({"trainer": {"className": "nnUNetTrainerNoMirroring"}}, "trainer can't change after creation"),
        ({"suspend": True, "maxParallelFolds": 1, "ttlSecondsAfterFinished": 60}, ""),
        ({"resources": {"memory": "64Gi"}, "podTemplate": {"tolerations": [{"key": "other"}]}, "retryLimit": 5}, ""),
    ],
    ids=str,
)
def test_the_conditions_of_a_run_are_fixed(defined: Site, change: Object, refusal: str) -> None:
    configurations = {"net": {"inherits_from": "3d_fullres", "batch_size": 4}}
    pod_template = {"tolerations": [{"key": "gpu"}]}
    defined.kube.apply(with_spec(planning={"configurations": configurations}, podTemplate=pod_template))
    patch = json.dumps({"spec": change})
    command = ["patch", "nnt", "sample", "-n", "default", "--type=merge", "--dry-run=server", "-p", patch]
    answer = defined.kube.run(*command, check=False)
    assert refusal in answer if refusal else "patched" in answer


def test_columns_short_name_category_and_field_selector(defined: Site) -> None:
    trained: dict[str, Object] = {
        "shown": {"configurations": ["2d", "3d_lowres"]},
        "former": {"configuration": "2d_small"},
    }
    for name, changes in trained.items():
        spec = {**MINIMAL["spec"], **changes}
        defined.kube.apply({**MINIMAL, "metadata": {"name": name, "namespace": "default"}, "spec": spec})
    status = {
        "phase": "WaitingForGPU",
        "progress": {"summary": "412/1000", "estimatedSecondsLeft": 86412},
        "results": {"summary": "0.873"},
        "conditions": [
            {
                "type": "Progressing",
                "status": "False",
                "reason": "WaitingForGPU",
                "message": "fold 1 waits for a GPU",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }
        ],
    }
    patch = json.dumps({"status": status})
    defined.kube.run("patch", "nnt", "shown", "-n", "default", "--subresource=status", "--type=merge", "-p", patch)
    header, row = defined.kube.run("get", "nnt", "shown", "-n", "default").splitlines()
    assert header.split() == ["NAME", "PHASE", "EPOCH", "DICE", "AGE"]
    assert row.split()[:4] == ["shown", "WaitingForGPU", "412/1000", "0.873"]
    wide = defined.kube.run("get", "nnunet", "-n", "default", "-o", "wide")
    for shown in ('["2d","3d_lowres"]', "2d_small", "Dataset004_Hippocampus", "86412", "fold 1 waits for a GPU"):
        assert shown in wide
    selected = ["get", "nnt", "-n", "default", "-o", "name"]
    assert defined.kube.run(*selected, "--field-selector=status.phase=WaitingForGPU").strip().endswith("/shown")
    assert defined.kube.run(*selected, "--field-selector=status.phase=Training") == ""


def test_explain_documents_units_and_defaults(defined: Site) -> None:
    assert "nnU-Net's standard is 1000" in defined.kube.run("explain", "nnt.spec.schedule.epochs")
