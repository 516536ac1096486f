"""What `kubectl nnunet lint` says of documents as such: the schema, what can not be read, how it is used."""

import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from nnunet_api.training import NnunetTrainingSpec
from nnunet_cli.lint.wording import FORMS
from tests.support.command import Command
from tests.support.made_policies import exception
from tests.unit.cli.linting import CLINICAL, SAMPLES, policy, training, write


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
        ("NnunetTraning", "nnunet.org", "did you mean NnunetTraining?"),
        ("Job", "nnunet.dev", "nnunet.dev has NnunetTraining, NnunetComparison, NnunetTrainingPolicy, NnunetTestSet"),
    ],
)
def test_a_kind_that_is_misspelt_is_not_passed_over(nnunet: Command, kind: str, group: str, hint: str) -> None:
    """The API server knows no such kind; beside a training in order nobody would have noticed."""
    body = {**training(), "kind": kind, "apiVersion": f"{group}/v1alpha1"}
    run = nnunet("lint", write("t.yaml", training(), body), "--offline")
    assert run.code == 1 and f"kind is {kind!r}, which nnunet.dev does not have: {hint}" in run.out, run.out


@pytest.mark.parametrize("kind", ["NnunetPipeline", "NnunetTrainingSet", "NnunetTrainingClaim"])
def test_a_kind_of_somebody_else_is_skipped(nnunet: Command, kind: str) -> None:
    """A platform has kinds of its own about trainings, in files beside these."""
    body = {"apiVersion": "platform.example.org/v1", "kind": kind, "metadata": {"name": "x"}}
    run = nnunet("lint", write("t.yaml", training(), body), "--offline")
    assert run.code == 0 and f"t.yaml, document 2: {kind}, skipped" in run.out, run.out


def test_a_list_of_one_kind_is_taken_apart(nnunet: Command) -> None:
    listed = {"apiVersion": "nnunet.dev/v1alpha1", "kind": "NnunetTrainingList", "items": [training("b")]}
    run = nnunet("lint", write("t.yaml", training(), listed), "--offline")
    assert run.code == 0 and "2 allowed" in run.out, run.out


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
