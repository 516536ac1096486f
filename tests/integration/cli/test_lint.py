"""`kubectl nnunet lint` against a real API server: its policies, labels, rules and refusals."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.cli.conftest import CLINICAL, Site
from tests.support.api import Object, wait_for
from tests.support.builders import training
from tests.support.command import Command

CREATE = {"apiGroups": ["nnunet.dev"], "resources": ["nnunettrainings"], "verbs": ["create"]}
READ_POLICIES = {"apiGroups": ["nnunet.dev"], "resources": ["nnunettrainingpolicies"], "verbs": ["list"]}


def write(*bodies: Object) -> str:
    Path("t.yaml").write_text(yaml.safe_dump_all(bodies))
    return "t.yaml"


def findings(run: Any, number: int = 0) -> list[tuple[str, str]]:
    """Return level and source of what was found; the claims are not there in most of these tests."""
    return [(each["level"], each["source"]) for each in found(run, number) if each["source"] != "cluster"]


def found(run: Any, number: int = 0) -> list[dict[str, str]]:
    findings: list[dict[str, str]] = run.data["results"][number]["findings"]
    return findings


def test_the_policies_and_labels_of_the_cluster_and_the_same_words_once(site: Site, nnunet: Command) -> None:
    namespace = site.namespace("lint-denied", **{CLINICAL: "true"})
    selector = {"matchLabels": {CLINICAL: "true", "kubernetes.io/metadata.name": namespace}}
    spec = {"mode": "Enforce", "namespaceSelector": selector, "rules": {"minEpochs": 1000, "requireSeed": True}}
    head = {"apiVersion": "nnunet.dev/v1alpha1", "kind": "NnunetTrainingPolicy", "metadata": {"name": namespace}}
    site.api.apply("nnunettrainingpolicies", {**head, "spec": spec})
    site.wait_enforced(namespace, namespace)
    run = nnunet("lint", write(training(namespace)), "-o", "json")
    assert run.code == 1
    assert findings(run) == [("denied", "policies"), ("denied", "policies"), ("advice", "advice")], run.out
    text = nnunet("lint", "t.yaml").out
    assert "spec.schedule.epochs is 10, must be at least 1000\n" in text and "not checked" not in text
    kept = training(namespace, schedule={"epochs": 1000}, trainer={"seed": 1})
    run = nnunet("lint", write(kept), "-o", "json")
    assert (run.code, findings(run)) == (0, [("note", "API server")])
    assert site.api.list("nnunettrainings", namespace) == []


def test_a_policy_that_only_warns(site: Site, nnunet: Command) -> None:
    namespace = site.namespace("lint-warned")
    site.policy(namespace, namespace, mode="Warn", requireSeed=True)
    run = nnunet("lint", write(training(namespace, schedule={"epochs": 1000})), "-o", "json")
    assert (run.code, findings(run)) == (0, [("warned", "policies"), ("note", "API server")])
    assert nnunet("lint", "t.yaml", "--strict").code == 1


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"trainOnAllCases": True}, "give folds, or trainOnAllCases: true with folds: []"),
        ({"replicates": 2}, "replicates need trainer.seed"),
        ({"dataset": {"name": "Dataset001_A", "subPath": "/x"}}, "must be relative to the root of the claim"),
    ],
)
def test_rules_that_only_the_api_server_runs(site: Site, nnunet: Command, spec: Any, said: str) -> None:
    namespace = site.namespace("lint-rules")
    run = nnunet("lint", write(training(namespace, **{"schedule": {"epochs": 1000}, **spec})), "-o", "json")
    (finding,) = [each for each in found(run) if each["source"] != "cluster"]
    assert (run.code, finding["level"], finding["source"]) == (1, "invalid", "API server")
    assert said in finding["message"] and finding["field"].startswith("spec")


def test_what_both_find_invalid(site: Site, nnunet: Command) -> None:
    """The schema of this program and that of the API server come from the same models."""
    namespace = site.namespace("lint-rules")
    bad: list[dict[str, Any]] = [
        {"epochs": 3},
        {"schedule": {"epochs": "10"}},
        {"schedule": {"epochs": 0}},
        {"folds": [70]},
        {"replicates": 11},
    ]
    run = nnunet("lint", write(*(training(namespace, **spec) for spec in bad)), "-o", "json")
    for number, spec in enumerate(bad):
        assert {source for _, source in findings(run, number)} == {"schema", "API server"}, (spec, run.out)


def test_one_that_exists(site: Site, nnunet: Command) -> None:
    namespace = site.namespace("lint-exists")
    site.api.create("nnunettrainings", training(namespace, schedule={"epochs": 1000}))
    stored = site.api.get("nnunettrainings", namespace, "hippo")
    assert stored
    run = nnunet("lint", write(stored))
    assert run.code == 0 and "would change the training of this name" in run.out, run.out
    run = nnunet("lint", write(training(namespace, schedule={"epochs": 1001})), "-o", "json")
    assert run.code == 1 and ("invalid", "API server") in findings(run), run.out
    assert "can't change after creation" in run.out and '"field": "spec.schedule"' in run.out, run.out
    assert nnunet("lint", write(training(namespace, schedule={"epochs": 1000}, suspend=True))).code == 0
    after = site.api.get("nnunettrainings", namespace, "hippo")
    assert after and after["metadata"]["resourceVersion"] == stored["metadata"]["resourceVersion"]


def test_a_namespace_that_does_not_exist(nnunet: Command) -> None:
    run = nnunet("lint", write(training("lint-nowhere")))
    assert run.code == 1 and "note: namespace lint-nowhere does not exist" in run.out, run.out


def test_the_namespace_of_the_context_counts_where_the_file_gives_none(site: Site, nnunet: Command) -> None:
    home = site.namespace("lint-home")
    config = site.person("someone", home, CREATE, everywhere=(READ_POLICIES,))
    body = training("")
    del body["metadata"]["namespace"]
    run = nnunet("lint", write(body), "-o", "json", "--kubeconfig", config)
    assert run.data["results"][0]["namespace"] == home
    run = nnunet("lint", "t.yaml", "-n", "lint-other", "-o", "json", "--kubeconfig", config)
    assert run.data["results"][0]["namespace"] == "lint-other"


def test_who_may_not_read_policies_hears_the_api_server_once(site: Site, nnunet: Command) -> None:
    home = site.namespace("lint-blind")
    site.policy(home, home, minEpochs=1000)
    site.wait_enforced(home, home)
    config = site.person("someone", home, CREATE)
    run = nnunet("lint", write(training(home)), "-o", "json", "--kubeconfig", config)
    assert (run.code, findings(run)) == (1, [("advice", "advice"), ("denied", "API server")]), run.out
    assert run.data["notes"][0] == "you may not read policies, so the API server's answer is all there is"


def test_cut_warnings_are_not_told_twice(site: Site, nnunet: Command) -> None:
    """The API server cuts warnings once all have more than 4096 characters, and drops what is over; lint names all."""
    home = site.namespace("lint-cut")
    names = [f"lint-cut-{number}" for number in range(18)]
    rules = {"minEpochs": 1000, "allowedEnv": [f"{'A' * 60}_{number}" for number in range(6)], "requireSeed": True}
    for number, name in enumerate(names):
        site.policy(name, home, "Warn" if number % 2 else "Enforce", **rules)
    try:
        site.wait_enforced(names[-2], home)
        body = training(home, trainer={"image": "name/trainer:1", "env": [{"name": "X"}]})
        run = nnunet("lint", write(body), "-o", "json")
        found = run.data["results"][0]["findings"]
        assert {finding["policy"] for finding in found if finding["source"] == "policies"} == set(names)
        assert [finding for finding in found if finding["source"] == "API server"] == [], run.out
    finally:
        for name in names:
            site.api.delete("nnunettrainingpolicies", "", name)


def test_who_may_not_read_what_a_clinical_namespace_needs_is_told_so(site: Site, nnunet: Command) -> None:
    """Admission can't tell that no policy is for a clinical namespace; the operator holds the training."""
    home = site.namespace("lint-clinical", **{CLINICAL: "true"})
    plain = site.namespace("lint-plain")
    read = {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]}
    kept = write(training(home, schedule={"epochs": 1000}))
    for name, rules in (("blind", (CREATE,)), ("half", (CREATE, read))):
        run = nnunet("lint", kept, "-o", "json", "--kubeconfig", site.person(name, home, *rules))
        assert (run.code, run.data["results"][0]["outcome"]) == (3, "unknown"), run.out
        assert "ClusterRole nnunet-policy-reader" in run.out and "would create it" in run.out
    reads_all = site.person("reader", home, CREATE, read, everywhere=(READ_POLICIES,))
    run = nnunet("lint", kept, "--kubeconfig", reads_all)
    assert run.code == 1 and "no policy is for it" in run.out, run.out
    site.policy(home, home, "Warn", requireSeed=True)
    try:
        config = site.person("warned", home, CREATE, read)
        asked = ("lint", kept, "-o", "json", "--kubeconfig", config)
        wait_for("the policy to warn", lambda: "spec.trainer.seed" in nnunet(*asked).out)
        assert nnunet(*asked).code == 0
    finally:
        site.api.delete("nnunettrainingpolicies", "", home)
    here = write(training(plain, schedule={"epochs": 1000}))
    run = nnunet("lint", here, "-o", "json", "--kubeconfig", site.person("plain", plain, CREATE, read))
    assert (run.code, findings(run)) == (0, [("note", "API server")]), run.out


def test_who_may_not_create_hears_the_policies_alone(site: Site, nnunet: Command) -> None:
    home = site.namespace("lint-looker")
    read = {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]}
    site.policy(home, home, minEpochs=1000)
    config = site.person("someone", home, read, everywhere=(READ_POLICIES,))
    run = nnunet("lint", write(training(home, schedule={"epochs": 1000})), "-o", "json", "--kubeconfig", config)
    (finding,) = [each for each in found(run) if each["source"] != "cluster"]
    assert (run.code, finding["level"]) == (0, "note") and "can't be asked" in finding["message"]
    assert nnunet("lint", write(training(home)), "--kubeconfig", config).code == 1


def test_where_nobody_can_judge_nothing_is_allowed(site: Site, nnunet: Command) -> None:
    home = site.namespace("lint-nobody")
    site.policy(home, home, minEpochs=1000)
    list_pods = {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}
    config = site.person("someone", home, list_pods)
    run = nnunet("lint", write(training(home)), "-o", "json", "--kubeconfig", config)
    assert (run.code, run.data["results"][0]["outcome"]) == (3, "unknown"), run.out
    assert "can't be asked" in run.out and "1 unknown" in nnunet("lint", "t.yaml", "--kubeconfig", config).out


def test_what_a_training_names_and_the_cluster_does_not_have(site: Site, nnunet: Command) -> None:
    home = site.namespace("lint-names")
    ask = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    for name in ("nnunet-raw", "nnunet-results"):
        claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": ask}
        site.api.request("POST", f"/api/v1/namespaces/{home}/persistentvolumeclaims", claim)
    template = {"priorityClassName": "urgent", "runtimeClassName": "kata", "serviceAccountName": "robot"}
    run = nnunet("lint", write(training(home, schedule={"epochs": 1000}, podTemplate=template)), "-o", "json")
    missing = {each["field"]: each for each in found(run) if each["source"] == "cluster"}
    assert set(missing) == {
        "spec.storage.preprocessed.claimName",
        "spec.podTemplate.priorityClassName",
        "spec.podTemplate.runtimeClassName",
        "spec.podTemplate.serviceAccountName",
    }
    assert run.code == 0 and {each["level"] for each in missing.values()} == {"warned"}
    lacks = missing["spec.storage.preprocessed.claimName"]
    assert f"there is no claim of this name in namespace {home}" in lacks["message"]
    assert "nnunet-raw and nnunet-results" in lacks["remedy"]
    assert nnunet("lint", "t.yaml", "--strict").code == 1
    kept = {"priorityClassName": "system-node-critical", "serviceAccountName": "default"}
    run = nnunet("lint", write(training(home, schedule={"epochs": 1000}, podTemplate=kept)), "-o", "json")
    assert [each["field"] for each in found(run) if each["source"] == "cluster"] == [lacks["field"]]


def test_what_may_not_be_looked_for_is_said_once(site: Site, nnunet: Command) -> None:
    home = site.namespace("lint-unseen")
    config = site.person("someone", home, CREATE)
    run = nnunet("lint", write(training(home, schedule={"epochs": 1000})), "-o", "json", "--kubeconfig", config)
    (note,) = [each for each in found(run) if each["source"] == "cluster"]
    assert note["level"] == "note" and "you may not look for claim nnunet-" in note["message"]


def test_folders_in_folders_are_checked(nnunet: Command, tmp_path: Path) -> None:
    deep = tmp_path / "trainings" / "clinic" / "ct"
    deep.mkdir(parents=True)
    (tmp_path / "trainings" / "good.yaml").write_text(yaml.safe_dump(training("first", schedule={"epochs": 1000})))
    (deep / "bad.json").write_text(json.dumps(training("second", schedule={"epochs": 0})))
    run = nnunet("lint", "--offline", "trainings")
    assert (
        run.code == 1 and "trainings/clinic/ct/bad.json" in run.out and "2 trainings: 1 allowed, 1 invalid" in run.out
    )


def test_a_token_that_is_not_accepted(site: Site, nnunet: Command, tmp_path: Path) -> None:
    config = yaml.safe_load(site.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": "wrong"}
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(config))
    run = nnunet("lint", write(training("first")), "--kubeconfig", "wrong.yaml")
    assert run.code == 3 and "HTTP 401" in run.err, run.err
