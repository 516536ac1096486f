"""`kubectl nnunet lint` on files, without a cluster: what is said, and how it ends."""

import io
import json
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from nnunet_api.policy.model import Rule
from nnunet_api.training import NnunetTrainingSpec
from nnunet_cli.lint.checks import Known, check
from nnunet_cli.lint.documents import Document
from nnunet_cli.lint.reading import read_yaml
from nnunet_cli.lint.surroundings import read_policies
from nnunet_cli.lint.wording import FORMS
from tests.support.command import Command
from tests.support.made_policies import exception

SAMPLES = Path(__file__).parents[3] / "manifests/samples"
CLINICAL = "nnunet.dev/clinical=true"


def training(name: str = "hippo", namespace: str = "clinic", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "nnunet.dev/v1alpha1",
        "kind": "NnunetTraining",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"dataset": {"name": "Dataset004_Hippocampus"}, **spec},
    }


def policy(mode: str = "Enforce", name: str = "house", **spec: Any) -> dict[str, Any]:
    body = {"mode": mode, "rules": {"minEpochs": 1000}, **spec}
    if not {"namespaces", "namespaceSelector"} & set(body):
        body["namespaceSelector"] = {"matchLabels": {"nnunet.dev/clinical": "true"}}
    return {
        "apiVersion": "nnunet.dev/v1alpha1",
        "kind": "NnunetTrainingPolicy",
        "metadata": {"name": name},
        "spec": body,
    }


def write(name: str, *documents: Any) -> str:
    """Write a file into the present folder and return its name."""
    texts = ["" if body is None else yaml.safe_dump(body, sort_keys=False) for body in documents]
    Path(name).write_text("---\n".join(texts))
    return name


SHORT = training(schedule={"epochs": 200})


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
    ("change", "said"),
    [
        ({"schedule": {"epochs": "1000"}}, "spec.schedule.epochs is '1000': input should be a valid integer"),
        ({"schedule": {"epochs": 0}}, "spec.schedule.epochs is 0: input should be greater than or equal to 1"),
        ({"epochs": 3}, "spec.epochs is no field of the API"),
        ({"earlyStopping": {"mode": False}}, "spec.earlyStopping.mode is False"),
        ({"folds": [0, 70]}, "spec.folds[1] is 70"),
        ({"dataset": {}}, "spec.dataset.name is not set"),
    ],
)
def test_the_schema_is_checked_as_strictly_as_the_api_server_does(nnunet: Command, change: Any, said: str) -> None:
    run = nnunet("lint", write("t.yaml", training(**change)), "--offline")
    assert run.code == 1 and said in run.out, run.out


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"epochs": 3}, "spec.epochs is no field of the API: did you mean spec.schedule.epochs?"),
        ({"epoch": 3}, "did you mean spec.schedule.epochs?"),
        ({"configration": "2d"}, "did you mean spec.configuration?"),
        ({"trainer": {"classname": "A"}}, "did you mean spec.trainer.className?"),
        ({"dataset": {"name": "Dataset001_A", "claim": "b"}}, "did you mean spec.dataset.claimName?"),
        ({"frobnicate": 1}, "see kubectl explain nnt.spec, or remove it"),
        ({"resources": {"memory": "4GB"}}, "spec.resources.memory is '4GB': must be a quantity of Kubernetes, such as"),
        ({"dataset": {"name": "Hippocampus"}}, "in nnU-Net's form, such as Dataset004_Hippocampus"),
    ],
)
def test_what_is_meant_is_said_in_words(nnunet: Command, change: Any, said: str) -> None:
    run = nnunet("lint", write("t.yaml", training(**change)), "--offline")
    assert run.code == 1 and said in run.out and "^" not in run.out and "value error" not in run.out.lower(), run.out


def test_each_pattern_of_the_api_has_words() -> None:
    schema = NnunetTrainingSpec.model_json_schema()
    del schema["$defs"]["Planning"]["properties"]["configurations"]  # nnU-Net's own, with words of its own
    patterns = set(re.findall(r'"pattern": ("(?:[^"\\]|\\.)*")', json.dumps(schema)))
    assert patterns and {json.loads(pattern) for pattern in patterns} - set(FORMS) == set()


def test_what_is_to_do_about_several_findings_alike_is_said_once(nnunet: Command) -> None:
    run = nnunet("lint", write("t.yaml", training(epochs=3, folds=[70])), "--offline")
    assert run.out.count("to do: correct the file") == 1 and run.out.count("invalid  spec") == 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"apiVersion": "nnunet.dev/v1"}, "must be nnunet.dev/v1alpha1"),
        ({"specs": {}}, "specs is no field"),
        ({"metadata": {"name": "Hippo"}}, "metadata.name is 'Hippo'"),
        ({"metadata": {}}, "metadata.name is not set"),
        ({"metadata": 3}, "metadata.name is not set"),
        ({"spec": None}, "spec is None"),
        ({"spec": []}, "spec is []"),
        ({"kind": None}, "kind is not set"),
    ],
)
def test_what_is_around_the_spec(nnunet: Command, changes: Any, said: str) -> None:
    run = nnunet("lint", write("t.yaml", {**training(), **changes}), "--offline")
    assert run.code == 1 and said in run.out, run.out


def test_null_is_the_default_as_for_the_api_server(nnunet: Command) -> None:
    file = write("t.yaml", training(schedule={"epochs": None}, trainer={"seed": None}))
    assert nnunet("lint", file, "--offline", "--strict").code == 0


def test_two_that_have_one_name_and_differ(nnunet: Command) -> None:
    """A file that was copied and not renamed: apply would take the second for a change of the first."""
    other = training(schedule={"epochs": 50})
    run = nnunet("lint", write("a.yaml", training()), write("b.yaml", other, training("b")), "--offline")
    said = "metadata.name is hippo, as in a.yaml, document 1, which says something else"
    assert run.code == 1 and said in run.out and "1 invalid" in run.out, run.out
    elsewhere = {**other, "metadata": {**other["metadata"], "namespace": "elsewhere"}}
    assert nnunet("lint", "a.yaml", write("c.yaml", training(), elsewhere), "--offline").code == 0


@pytest.mark.parametrize(
    ("kind", "group", "hint"),
    [
        ("NnunetTrainings", "nnunet.dev", "did you mean NnunetTraining?"),
        ("nnunettraining", "nnunet.dev", "did you mean NnunetTraining?"),
        ("Nnunetcomparison", "example.org", "did you mean NnunetComparison?"),
        ("Job", "nnunet.dev", "nnunet.dev has NnunetTraining, NnunetComparison, NnunetTrainingPolicy, NnunetTestSet"),
    ],
)
def test_a_kind_that_is_misspelt_is_not_passed_over(nnunet: Command, kind: str, group: str, hint: str) -> None:
    """The API server knows no such kind; beside a training in order nobody would have noticed."""
    body = {**training(), "kind": kind, "apiVersion": f"{group}/v1alpha1"}
    run = nnunet("lint", write("t.yaml", training(), body), "--offline")
    assert run.code == 1 and f"kind is {kind!r}, which nnunet.dev does not have: {hint}" in run.out, run.out


def test_several_documents_a_list_and_other_kinds(nnunet: Command) -> None:
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}
    many = {"apiVersion": "v1", "kind": "List", "items": [training("a"), training("b", epochs=1)]}
    run = nnunet("lint", write("t.yaml", training(), None, config, many), "--offline", "-o", "json")
    places = [(result["document"], result["name"], result["outcome"]) for result in run.data["results"]]
    assert places == [("1", "hippo", "allowed"), ("4.1", "a", "allowed"), ("4.2", "b", "invalid")]
    assert run.data["skipped"] == [{"file": "t.yaml", "document": "3", "kind": "ConfigMap"}]
    assert "t.yaml, document 3: ConfigMap, skipped" in nnunet("lint", "t.yaml", "--offline").out


def bomb(ten: str, levels: int = 40) -> str:
    """A document of 2 kB whose aliases, written out, fill every memory; `ten` stands for ten of what is before."""
    lines = ["a0: &a0 {x: 1}"]
    return "\n".join(lines + [f"a{n}: &a{n} " + ten.replace("*a", f"*a{n - 1}") for n in range(1, levels)])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "it can't be read as YAML or JSON: while parsing"),
        ("spec: {a: 1, a: 2}", "a is given twice"),
        ("a: !!python/object:os.system {}", "kind is not set"),
        ("? {a: 1}\n: 2", "a key is a mapping or a list"),
        ("&x {a: *x}", "an anchor contains itself"),
        ("a: .nan", "JSON has no form for"),
        pytest.param(bomb("[*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]"), "values, with its aliases", id="bomb"),
        pytest.param(bomb("{<<: [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]}"), "values, with its aliases", id="merged"),
        ("\xff", "kind is not set"),
    ],
)
def test_what_can_not_be_read_is_named_and_the_rest_is_checked(nnunet: Command, text: str, said: str) -> None:
    Path("t.yaml").write_text(yaml.safe_dump(training()) + "---\n" + text)
    run = nnunet("lint", "t.yaml", "--offline", "-o", "json")
    first, second = run.data["results"]
    assert (run.code, first["outcome"], second["document"]) == (1, "allowed", "2")
    assert said in second["findings"][0]["message"]


def test_standard_input_and_yaml_output(nnunet: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    text = yaml.safe_dump(training()).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
    run = nnunet("lint", "-", "--offline", "-o", "yaml")
    (result,) = yaml.safe_load(run.out)["results"]
    assert (run.code, result["file"], result["outcome"]) == (0, "standard input", "allowed")


def test_time_stamps_of_policy_files_need_no_quotes(nnunet: Command) -> None:
    Path("p.yaml").write_text(
        yaml.safe_dump(policy(exceptions=[exception()])).replace("'2026-", "2026-").replace("Z'", "Z")
    )
    assert "expiresAt: 2026-06-01T00:00:00Z\n" in Path("p.yaml").read_text()
    run = nnunet("lint", write("t.yaml", training()), "--policies", "p.yaml", "--namespace-labels", CLINICAL)
    assert run.code == 0, run.out


def test_a_policy_that_can_not_be_read_stands_in_the_way(nnunet: Command) -> None:
    rules = write("p.yaml", policy(mode="enforce"))
    run = nnunet("lint", write("t.yaml", training()), "--policies", rules)
    assert run.code == 1 and "policy house can't be read" in run.out and "spec.mode is 'enforce'" in run.out


def test_the_samples_of_the_repository(nnunet: Command) -> None:
    run = nnunet("lint", *map(str, sorted(SAMPLES.glob("*.yaml"))), "--offline", "--strict")
    assert run.code == 0 and "5 objects: 5 allowed" in run.out, run.out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "Missing argument"),
        (("none.yaml", "--offline"), 2, "none.yaml can't be read: No such file"),
        ((".", "--offline"), 2, "holds no file that ends in .yaml"),
        (("-", "-o", "xml"), 2, "xml"),
        (("a.yaml", "--offline", "--namespace-labels", "x"), 2, "not of the form KEY=VALUE"),
        (("a.yaml", "--namespace-labels", "x=y"), 2, "goes with --policies"),
        (("a.yaml", "--policies", "a.yaml"), 2, "there is no NnunetTrainingPolicy in it"),
        (("a.yaml",), 3, "the kubeconfig can't be used"),
        (("a.yaml", "--kubeconfig", "away.yaml"), 3, "the cluster at https://127.0.0.1:1 can't be reached"),
        (("a.yaml", "--kubeconfig", "away.yaml"), 3, "or work offline, by --offline or --policies"),
        (("a.yaml", "--kubeconfig", "away.yaml", "--context", "b"), 3, "the kubeconfig can't be used"),
    ],
)
def test_wrong_usage_and_no_cluster(nnunet: Command, arguments: tuple[str, ...], code: int, said: str) -> None:
    if "." not in arguments:
        write("a.yaml", training())
        write(
            "away.yaml",
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "a",
                "clusters": [{"name": "a", "cluster": {"server": "https://127.0.0.1:1"}}],
                "users": [{"name": "a", "user": {"token": "x"}}],
                "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
            },
        )
    run = nnunet("lint", *arguments)
    assert run.code == code and said in run.err, (run.code, run.err)
    assert run.out == "" and "Traceback" not in run.err


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
