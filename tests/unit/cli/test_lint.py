"""`kubectl nnunet lint` on files, without a cluster: what is said, and how it ends."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nnunet_api.policy.model import Rule
from nnunet_cli.lint.checks import Known, check
from nnunet_cli.lint.documents import Document
from nnunet_cli.lint.reading import read_yaml
from nnunet_cli.lint.surroundings import read_policies
from tests.support.command import Command
from tests.support.made_policies import exception
from tests.unit.cli.linting import CLINICAL, SHORT, policy, training, write


def test_a_denial_names_field_value_demand_policy_and_remedy(nnunet: Command) -> None:
    file, rules = write("t.yaml", SHORT), write("p.yaml", policy())
    run = nnunet("lint", file, "--policies", rules, "--namespace-labels", CLINICAL)
    assert run.code == 1
    assert run.out.startswith("t.yaml, document 1: clinic/hippo: denied\n")
    assert "  denied   spec.schedule.epochs is 200, must be at least 1000\n" in run.out
    assert "by policy house (Enforce), rule minEpochs\n" in run.out
    assert "to do: change the training, or ask those who may write the policy for an exception\n" in run.out
    assert "not checked offline: what only the cluster knows" in run.out
    assert run.out.endswith("1 training: 1 denied\n")


def test_an_arm_of_a_comparison_is_told_what_it_complies_by(nnunet: Command) -> None:
    rules = {"minEpochs": 1000, "requireComparison": {}}
    files = write("t.yaml", training(schedule={"epochs": 200}, comparison="shorter"))
    run = nnunet("lint", files, "--policies", write("p.yaml", policy(rules=rules)), "--namespace-labels", CLINICAL)
    assert run.code == 0, run.out
    words = " ".join(run.out.split())
    assert "spec.schedule.epochs is 200, must be at least 1000: it trains as an arm, and complies once" in words
    assert "one of Superior, Equivalent, NonInferior at a margin of at most 1 point, with 3 replicates" in words


def test_one_that_is_too_large_is_invalid(nnunet: Command) -> None:
    run = nnunet("lint", write("t.yaml", training(podTemplate={"affinity": {"x": "y" * 66_000}})), "--offline")
    assert run.code == 1 and "characters, may have at most 65536: shorten planning.configurations" in run.out, run.out


def test_the_labels_of_the_namespace_decide_what_a_policy_is_for(nnunet: Command) -> None:
    file, rules = write("t.yaml", SHORT), write("p.yaml", policy())
    assert nnunet("lint", file, "--policies", rules).code == 0
    by_name = write("n.yaml", policy(namespaceSelector={"matchLabels": {"kubernetes.io/metadata.name": "clinic"}}))
    assert nnunet("lint", file, "--policies", by_name).code == 1


LISTED = (Rule.TRAINER_CLASSES, Rule.CONFIGURATIONS, Rule.PLANNERS, Rule.ENV, Rule.CLAIMS, Rule.SERVICE_ACCOUNTS)


ENV = [{"name": "nnUNet_extTrainer", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}]


@pytest.mark.parametrize(
    ("verifier", "levels"), [("a/trainer:1", ["denied"]), (f"a/trainer@sha256:{'c' * 64}", []), ("", [])]
)
def test_the_image_that_verifies_is_judged_where_it_is_known(verifier: str, levels: list[str]) -> None:
    """Admission says nothing of it, so what admission says is known without it."""
    (rules,) = read_policies([Document("p.yaml", "", policy(rules={"requireImageDigest": True}))])[0]
    mine = training(schedule={"epochs": 1000}, trainer={"image": f"a/mine@sha256:{'c' * 64}"})
    known = Known((rules,), labels={"nnunet.dev/clinical": "true"}, verifier=verifier)
    result = check(Document("t.yaml", "", mine), "clinic", known, datetime.now(UTC))
    assert [finding.level for finding in result.findings] == levels and result.said == []
    assert all("install it with trainer.image.digest" in finding.remedy for finding in result.findings)


ANCHORS = """
apiVersion: nnunet.dev/v1alpha1
kind: NnunetTraining
metadata: {name: a, labels: &x {a: b}, annotations: &x {c: d}}
spec: {dataset: {name: Dataset004_X}, podTemplate: {labels: *x}}
"""


def test_an_anchor_that_is_given_anew_counts_from_there_on() -> None:
    assert read_yaml(ANCHORS.encode())["spec"]["podTemplate"]["labels"] == {"c": "d"}


def test_lists_of_one_kind_name_it_for_all_and_lists_in_lists_are_refused(nnunet: Command) -> None:
    item = {"metadata": {"name": "hippo"}, "spec": {"dataset": {"name": "Dataset004_Hippocampus"}}}
    listed = {"apiVersion": "nnunet.dev/v1alpha1", "kind": "NnunetTrainingList", "items": [item]}
    assert nnunet("lint", "--offline", write("l.yaml", listed)).code == 0
    run = nnunet("lint", "--offline", write("l.yaml", {"apiVersion": "v1", "kind": "List", "items": [listed]}))
    assert run.code == 1 and "it is a list in a list, which kubectl does not take" in run.out


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"name": 123}, "metadata.name is 123, must be text: put it into quotes"),
        ({"namespace": 5}, "metadata.namespace is 5, must be text: put it into quotes"),
        ({"namespace": "Clinic A"}, "metadata.namespace is 'Clinic A', must be of lower-case letters"),
        ({"namespace": "a.b"}, "metadata.namespace is 'a.b', must be of lower-case letters"),
    ],
)
def test_names_as_kubernetes_takes_them(nnunet: Command, metadata: dict[str, Any], said: str) -> None:
    body = training()
    body["metadata"] |= metadata
    run = nnunet("lint", "--offline", write("t.yaml", body))
    assert run.code == 1 and said in run.out


def test_every_rule_is_found_by_its_field(nnunet: Command) -> None:
    rules = {
        "minEpochs": 1000,
        "minIterationsPerEpoch": 250,
        "minInitialLearningRate": 0.001,
        "maxWarmupEpochs": 10,
        "allowedPlanners": ["ExperimentPlanner"],
        "minGpuMemoryTargetGB": 8,
        "earlyStopping": {"allowedModes": ["Disabled"], "minEpochs": 900},
        "requireImageDigest": True,
        "requireSeed": True,
        "requireTestSet": True,
        "minReplicates": 3,
        "allowedTrainerClasses": ["nnUNetTrainer"],
        "allowedConfigurations": ["3d_fullres"],
        "allowedEnv": ["nnUNet_compile"],
        "maxGpus": 1,
        "allowedClaims": ["nnunet-preprocessed"],
        "allowedServiceAccounts": ["trainer"],
        **{rule.value: [] for rule in Rule if rule.value.startswith("allowed") and rule not in LISTED},
    }
    planned = training(planning={"planner": "Tiny", "gpuMemoryTargetGB": 1})  # which no weights may stand beside
    bad = training(
        schedule={
            "epochs": 200,
            "iterationsPerEpoch": 25,
            "initialLearningRate": 1e-12,
            "learningRatePolicy": "PolyWithWarmup",
        },
        initialWeights={"training": {"name": "other"}},
        earlyStopping={"mode": "Stop"},
        configuration="2d",
        trainer={"className": "Mine", "image": "a:1", "env": ENV},
        podTemplate={
            "priorityClassName": "system-node-critical",
            "runtimeClassName": "kata",
            "imagePullSecrets": [{"name": "theirs"}],
            **{part: {"a": "b"} for part in ("labels", "annotations", "jobAnnotations", "nodeSelector")},
            "tolerations": [{"operator": "Exists"}],
            "affinity": {"podAntiAffinity": {}},
            "securityContext": {"runAsUser": 5},
            "volumes": [{"name": "a", "secret": {"secretName": "s"}}],
            "jobAnnotations": {"a": "b"},
        },
    )
    files = write("t.yaml", bad), write("u.yaml", planned), "--policies", write("p.yaml", policy(rules=rules))
    results = nnunet("lint", *files, "--namespace-labels", CLINICAL, "-o", "json").data["results"]
    findings = [finding for result in results for finding in result["findings"]]
    denied = {finding["rule"]: finding["field"] for finding in findings if finding["level"] == "denied"}
    assert set(denied) == set(Rule)
    assert all(re.fullmatch(r"spec(\.[a-zA-Z]+)+", field) for field in denied.values()), denied


@pytest.mark.parametrize(
    ("mode", "level", "code", "strict"),
    [("Enforce", "denied", 1, 1), ("Warn", "warned", 0, 1), ("Audit", "recorded", 0, 1)],
)
def test_only_enforced_rules_fail_unless_strict(nnunet: Command, mode: str, level: str, code: int, strict: int) -> None:
    file = write("t.yaml", training(schedule={"epochs": 999, "iterationsPerEpoch": 300}))
    rules = write("p.yaml", policy(mode))
    arguments = ["lint", file, "--policies", rules, "--namespace-labels", CLINICAL, "-o", "json"]
    run = nnunet(*arguments)
    (result,) = run.data["results"]
    assert (run.code, [finding["level"] for finding in result["findings"]]) == (code, [level])
    assert nnunet(*arguments, "--strict").code == strict


def test_advice_alone_is_no_failure_unless_strict(nnunet: Command) -> None:
    file = write("t.yaml", training(schedule={"epochs": 200}, earlyStopping={"mode": "Stop"}))
    run = nnunet("lint", file, "--offline")
    assert run.code == 0 and "1-3 % Dice" in run.out and "a plateau of the validation metric" in run.out
    assert "not checked offline: policies" in run.out
    assert nnunet("lint", file, "--offline", "--strict").code == 1


def test_an_exception_that_counts_and_one_that_has_ended(nnunet: Command) -> None:
    soon = (datetime.now(UTC) + timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    file = write("t.yaml", SHORT)
    for end, code, words in (
        (soon, 0, "note     excepted (until"),
        ("2020-01-01T00:00:00Z", 1, "does not count (until 2020"),
    ):
        rules = write("p.yaml", policy(exceptions=[exception(minEpochs=200, expiresAt=end)]))
        run = nnunet("lint", file, "--policies", rules, "--namespace-labels", CLINICAL)
        assert (run.code, words in run.out, "ticket QM-17" in run.out) == (code, True, True), run.out


def test_no_exception_is_for_a_training_that_has_no_name_yet(nnunet: Command) -> None:
    body = training(schedule={"epochs": 200})
    body["metadata"] = {"generateName": "hippo-", "namespace": "clinic"}
    soon = (datetime.now(UTC) + timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    rules = write("p.yaml", policy(exceptions=[exception(name="hippo-", minEpochs=200, expiresAt=soon)]))
    run = nnunet("lint", write("t.yaml", body), "--policies", rules, "--namespace-labels", CLINICAL)
    assert run.code == 1 and "clinic/hippo-: denied" in run.out and "excepted" not in run.out, run.out


@pytest.mark.parametrize("form", ["text", "json"])
def test_files_without_a_training_are_a_mistake(nnunet: Command, form: str) -> None:
    """A wrong path in CI would pass for ever."""
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}
    write("c.yaml", config), write("e.yaml", None)
    run = nnunet("lint", "c.yaml", "e.yaml", "--offline", "-o", form)
    assert run.code == 2 and "error: there is no NnunetTraining or NnunetComparison in c.yaml, e.yaml" in run.err
    assert "ConfigMap" in run.out, "what was skipped is said"
    write("t.yaml", training())
    assert nnunet("lint", "c.yaml", "t.yaml", "--offline", "-o", form).code == 0


def test_a_clinical_namespace_without_a_policy(nnunet: Command) -> None:
    rules = write("p.yaml", policy(namespaceSelector={"matchLabels": {"nnunet.dev/other": "x"}}))
    run = nnunet("lint", write("t.yaml", training()), "--policies", rules, "--namespace-labels", CLINICAL)
    assert run.code == 1 and "no policy is for it" in run.out


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"splits": {"folds": 3}}, "fold 3, 4 does not exist: splits makes 3 folds"),
        ({"splits": {"groupBy": "patient"}, "folds": [5]}, "fold 5 does not exist: splits makes 5 folds"),
        ({"splits": {"seed": 1}, "folds": [], "trainOnAllCases": True}, "splits has no effect with trainOnAllCases"),
        ({"splits": {"leaveOneOut": "site"}, "folds": [30]}, ""),
        ({"folds": [30]}, ""),
    ],
)
def test_folds_that_the_splits_do_not_have(nnunet: Command, spec: Any, said: str) -> None:
    run = nnunet("lint", write("t.yaml", training(**spec)), "--offline", "-o", "json")
    told = [finding["message"] for finding in run.data["results"][0]["findings"] if finding["level"] == "advice"]
    assert run.code == 0 and bool(told) == bool(said) and said in "".join(told), told


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"configurations": ["2d", "3d_fullres"]}, True),
        ({"configurations": ["2d", "3d_fullres"], "selection": {}, "testSet": {}}, False),
        ({"configurations": ["2d"], "selection": {"ensembles": True}}, False),
        ({"configurations": ["2d"], "testSet": {}}, False),
    ],
)
def test_that_nothing_will_be_chosen_is_said_before_weeks_of_training(nnunet: Command, spec: Any, told: bool) -> None:
    run = nnunet("lint", write("t.yaml", training(**spec)), "--offline", "-o", "json")
    findings = run.data["results"][0]["findings"]
    assert run.code == 0 and [one["field"] for one in findings] == (["spec.selection"] if told else []), findings


def on(*products: str, terms: int = 1) -> dict[str, Any]:
    """Return a template of pods that run on nodes with one of these GPUs, by the first of some terms."""
    rule = {"key": "nvidia.com/gpu.product", "operator": "In", "values": list(products)}
    each = [
        {"matchExpressions": [rule]},
        *[{"matchExpressions": [{"key": "disk", "operator": "Exists"}]}] * (terms - 1),
    ]
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    return {"affinity": {"nodeAffinity": {required: {"nodeSelectorTerms": each}}}}


A100 = {"nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB"}}


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"podTemplate": A100}, "spec.resources.cpu is 8: each GPU of kind A100 takes 20 CPUs"),
        ({"podTemplate": A100, "resources": {"cpu": "20"}}, ""),
        ({"podTemplate": A100, "resources": {"cpu": "20", "gpus": 2}}, "is 20 for 2 GPUs: each GPU of kind A100"),
        ({"podTemplate": A100, "resources": {"gpuResourceName": "nvidia.com/mig-3g.40gb"}}, ""),
        ({"podTemplate": A100, "trainer": {"device": "cpu"}}, ""),
        (
            {"podTemplate": A100, "resources": {"cpu": "24", "configurations": {"3d_fullres": {"cpu": "4"}}}},
            "spec.resources.configurations.3d_fullres.cpu is 4",
        ),
        ({"podTemplate": on("NVIDIA-H200")}, "kind H200 takes 48 CPUs"),
        ({"podTemplate": on("NVIDIA-H200", "NVIDIA-A100-SXM4-80GB")}, "kind A100 takes 20 CPUs"),
        ({"podTemplate": on("NVIDIA-H200", "Tesla-T4")}, ""),
        ({"podTemplate": on("NVIDIA-H200", terms=2)}, ""),
        ({"podTemplate": {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": 7}}}}, ""),
        ({}, ""),
        ({"resources": {"cpu": "4"}}, "nnU-Net calls 6 cores for each GPU the bare minimum"),
    ],
)
def test_cpu_that_is_too_little_for_the_gpus(nnunet: Command, spec: Any, said: str) -> None:
    run = nnunet("lint", write("t.yaml", training(**spec)), "--offline", "-o", "json")
    told = [finding["message"] for finding in run.data["results"][0]["findings"] if finding["level"] == "advice"]
    assert run.code == 0 and bool(told) == bool(said) and said in "".join(told), told


def local(size: str, **more: Any) -> dict[str, Any]:
    return {"preprocessed": {"localCopy": {"sizeLimit": size, **more}}}


MEMORY = {"medium": "Memory"}


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"storage": local("20Gi", **MEMORY)}, ""),
        (
            {"storage": local("21Gi", **MEMORY)},
            "sizeLimit is 21Gi, in memory, and spec.resources.memory (32Gi) holds it as well as shared memory (8Gi)",
        ),
        ({"storage": local("21Gi", **MEMORY)}, "ask for 33Gi or more"),
        ({"storage": local("21Gi", **MEMORY), "resources": {"memory": "33Gi"}}, ""),
        (
            {
                "storage": local("21Gi", **MEMORY),
                "resources": {"memory": "64Gi", "configurations": {"3d_fullres": {"memory": "16Gi"}}},
            },
            "spec.resources.configurations.3d_fullres.memory (16Gi)",
        ),
        ({"storage": local("200Gi")}, ""),
        ({"storage": local("20Gi"), "resources": {"ephemeralStorage": "21Gi"}}, ""),
        (
            {"storage": local("20Gi"), "resources": {"ephemeralStorage": "20Gi"}},
            "spec.resources.ephemeralStorage (20Gi) limits it together with logs and temporary files: ask for 21Gi",
        ),
    ],
)
def test_a_local_copy_that_has_no_room(nnunet: Command, spec: Any, said: str) -> None:
    run = nnunet("lint", write("t.yaml", training(**spec)), "--offline", "-o", "json")
    told = [finding["message"] for finding in run.data["results"][0]["findings"] if finding["level"] == "advice"]
    assert run.code == 0 and bool(told) == bool(said) and said in "".join(told), told


def test_what_nnunet_recommends_is_said_once_for_all_documents_and_fails_nothing(nnunet: Command) -> None:
    files = [write("a.yaml", training()), write("b.yaml", training())]
    run = nnunet("lint", *files, "--offline", "--strict")
    assert run.code == 0 and run.out.count("nnU-Net's old default") == 1
    assert "35 h and 22.7 GB by nnUNetPlannerResEncL" in " ".join(run.out.split())
    other = write("a.yaml", training(planning={"planner": "nnUNetPlannerResEncM"}))
    assert "old default" not in nnunet("lint", other, "--offline").out
