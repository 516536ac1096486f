"""Ways around the policies by the policies themselves and the operator's settings, and what stops each."""

import pytest

from nnunet_operator.settings import Settings
from tests.integration.policy.bypass import LABEL, stopped_by_admission, stopped_by_rbac, stopped_by_schema
from tests.integration.policy.support import MERGE, POLICIES, Gate, end_soon, exception, in_time, policy_body
from tests.support.builders import training


def test_the_operators_settings_are_stopped_by_rbac(gate: Gate, clinical: str) -> None:
    """Its Deployment, and its ServiceAccount's right to make Jobs and write statuses. No setting turns policies off."""
    deployment = "/apis/apps/v1/namespaces/nnunet-system/deployments/nnunet-operator"
    paused = {"spec": {"replicas": 0}}
    stopped_by_rbac(gate.ask("PATCH", deployment, paused, "erin", MERGE), "patch", "deployments")
    stopped_by_rbac(gate.ask("DELETE", deployment, None, "erin"), "delete", "deployments")
    token = "/api/v1/namespaces/nnunet-system/serviceaccounts/nnunet-operator/token"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    stopped_by_rbac(gate.ask("POST", token, request, "erin"), "create", "serviceaccounts/token")
    for kind in ("validatingadmissionpolicies", "validatingadmissionpolicybindings"):
        path = f"/apis/admissionregistration.k8s.io/v1/{kind}/nnunet-policy-enforce"
        stopped_by_rbac(gate.ask("DELETE", path, None, "erin"), "delete", kind)
    assert not [name for name in Settings.model_fields if "polic" in name]


def test_policies_of_people_with_edit_or_admin_are_stopped_by_rbac(gate: Gate, clinical: str) -> None:
    gate.bind("ada", "admin")
    gate.wait_allowed("ada", {"verb": "create", "group": "nnunet.dev", "resource": "nnunettrainings", "namespace": "x"})
    path = f"{POLICIES}/house"
    for user in ("erin", "ada"):
        stopped_by_rbac(gate.ask("DELETE", path, None, user), "delete", "nnunettrainingpolicies")
        stopped_by_rbac(gate.ask("DELETE", POLICIES, None, user), "deletecollection", "nnunettrainingpolicies")
        mine = policy_body("mine", namespaces=[clinical])
        stopped_by_rbac(gate.ask("POST", POLICIES, mine, user), "create", "nnunettrainingpolicies")
        softer = gate.ask("PATCH", path, {"spec": {"mode": "Audit"}}, user, MERGE)
        stopped_by_rbac(softer, "patch", "nnunettrainingpolicies")
    assert gate.ask("GET", path, None, "ada").ok, "they may read them"


def test_a_policy_that_is_gone_leaves_a_clinical_namespace_closed_by_admission(gate: Gate, clinical: str) -> None:
    good = training(clinical, schedule={"epochs": 2000}, trainer={"seed": 1})
    assert gate.create(good, "erin").ok
    gate.clear()
    answer = gate.create(good, "erin")
    assert "no params found" in answer.message
    assert "nnunet-clinical-needs-a-policy" in answer.message
    gate.write("house", namespaceSelector={"matchLabels": {LABEL: "true"}}, rules={"minEpochs": 1001})
    assert gate.create(good, "erin").ok


def test_an_exception_that_ended_a_second_ago_is_stopped_by_admission(gate: Gate, clinical: str) -> None:
    rules = {"minEpochs": 1001, "requireSeed": True}
    granted = exception(clinical, minEpochs=10, liftedRules=["requireSeed"])
    gate.write("house", namespaces=[clinical], rules=rules, exceptions=[granted])
    assert gate.create(training(clinical), "erin").ok

    def write(end: str) -> None:
        gate.put("house", namespaces=[clinical], rules=rules, exceptions=[{**granted, "expiresAt": end}])

    end_soon(write)
    gate.settle()
    stopped_by_admission(gate.create(training(clinical), "erin"), "nnunet-policy-enforce")


@pytest.mark.parametrize("after", [{"days": 730}, {"days": 366, "minutes": 1}, {"seconds": -1}], ids=str)
def test_an_exception_for_too_long_or_that_is_over_is_stopped_by_admission(
    gate: Gate, clinical: str, after: dict[str, float]
) -> None:
    wrong = exception(clinical, expiresAt=in_time(**after))
    gate.bind("pia", "nnunet-policy-admin")
    gate.wait_allowed("pia", {"verb": "create", "group": "nnunet.dev", "resource": "nnunettrainingpolicies"})
    made = gate.ask("POST", POLICIES, policy_body("new", namespaces=["x"], exceptions=[wrong]), "pia")
    changed = gate.ask("PATCH", f"{POLICIES}/house", {"spec": {"exceptions": [wrong]}}, "pia", MERGE)
    for answer in (made, changed):
        stopped_by_admission(answer, "nnunet-exceptions")
        assert f"expiresAt of {clinical}/hippo is {wrong['expiresAt']}, must be after now" in answer.message


def test_an_exception_is_granted_for_a_year_and_stays_when_it_is_over(gate: Gate, clinical: str) -> None:
    year = exception("x", expiresAt=in_time(days=365, hours=23))

    def write(end: str) -> None:
        gate.put("house", namespaces=[clinical], exceptions=[year, exception("y", expiresAt=end)])

    short = exception("y", expiresAt=end_soon(write))
    gate.put("house", namespaces=[clinical], exceptions=[year, short], mode="Warn")
    longer = gate.ask(
        "PATCH", f"{POLICIES}/house", {"spec": {"exceptions": [year, {**short, "ticket": "QM-18"}]}}, type_=MERGE
    )
    stopped_by_admission(longer, "nnunet-exceptions")


def test_an_exception_without_a_clock_is_stopped_by_admission(gate: Gate, clinical: str) -> None:
    body = gate.done("GET", f"{POLICIES}/house")
    body["metadata"]["managedFields"] = [{}]
    body["spec"]["exceptions"] = [exception(clinical)]
    answer = gate.ask("PUT", f"{POLICIES}/house", body)
    stopped_by_admission(answer, "nnunet-exceptions")
    assert "metadata.managedFields does not tell" in answer.message


def test_a_policy_that_the_operator_could_not_read_is_stopped_by_schema(gate: Gate, clinical: str) -> None:
    """It would hold every training of the cluster."""
    key = f"nnunet.dev/{'k' * 307}"
    for selector, words in (
        ({"matchLabels": {key: ""}}, "keys must have at most 317 characters"),
        ({"matchExpressions": [{"key": key, "operator": "Exists"}]}, "may not be more than 317"),
    ):
        stopped_by_schema(gate.ask("POST", POLICIES, policy_body("long", namespaceSelector=selector)), words)
    longest = policy_body("long", namespaceSelector={"matchLabels": {key[:-1]: ""}})
    assert gate.ask("POST", f"{POLICIES}?dryRun=All", longest).ok


def test_an_exception_for_too_long_that_a_forged_time_let_in_counts_for_nothing(gate: Gate, clinical: str) -> None:
    body = gate.done("GET", f"{POLICIES}/house")
    for entry in body["metadata"]["managedFields"]:
        entry["time"] = in_time(days=700)
    granted = exception(clinical, minEpochs=10, liftedRules=["requireSeed"], expiresAt=in_time(days=800))
    body["spec"]["exceptions"] = [granted]
    stored = gate.done("PUT", f"{POLICIES}/house?fieldManager=other", body)
    assert stored["spec"]["exceptions"] == [granted], "admission has no other clock"
    gate.settle()
    stopped_by_admission(gate.create(training(clinical), "erin"), "nnunet-policy-enforce")
