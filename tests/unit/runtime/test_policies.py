"""Policies and namespaces in the cache: what makes trainings be looked at again, and what an unreadable policy does."""

import itertools
from typing import Any, cast

import pytest

from nnunet_api.policy.status import AppliedPolicies, PolicyDecision
from nnunet_operator.core.decision import Event
from nnunet_operator.metrics import Metrics
from nnunet_operator.runtime.client.client import Client
from nnunet_operator.runtime.client.resources import NAMESPACES, POLICIES, TRAININGS
from nnunet_operator.runtime.controllers.decisions import count_decisions
from nnunet_operator.runtime.controllers.policy_cache import PolicyCache
from nnunet_operator.runtime.controllers.recorder import event_manifest
from nnunet_operator.runtime.controllers.registry import INFORMERS
from nnunet_operator.runtime.informers.informer import Cache
from nnunet_operator.runtime.keys import Key
from nnunet_operator.runtime.known import Known
from tests.support.made_policies import NOW
from tests.unit.runtime.clock import run
from tests.unit.runtime.make import drain, parts

SPEC = {"mode": "Enforce", "namespaceSelector": {}, "rules": {"minEpochs": 1000}}


def body(kind: str, version: int, name: str, namespace: str = "", **fields: Any) -> dict[str, Any]:
    """Return an object as a watch tells of it."""
    labels = fields.pop("labels", {})
    metadata = {"name": name, "uid": f"u-{name}", "resourceVersion": str(version), "generation": 1, "labels": labels}
    return {"kind": kind, "metadata": metadata | ({"namespace": namespace} if namespace else {}), **fields}


def policy(version: int, **fields: Any) -> dict[str, Any]:
    return body("NnunetTrainingPolicy", version, "house", **{"spec": SPEC, **fields})


def namespace(version: int, **labels: str) -> dict[str, Any]:
    return body("Namespace", version, "clinic", labels={"kubernetes.io/metadata.name": "clinic", "team": "x", **labels})


def looked_at(first: dict[str, Any], second: tuple[str, dict[str, Any]]) -> list[Key]:
    """Return the trainings that are looked at after the second event about an object."""

    async def scenario() -> list[Key]:
        made, queue = parts()
        for name in ("clinic", "lab"):
            made.feed.cache[TRAININGS].put(body("NnunetTraining", 1, "hippo", name, spec={}))
        resource = POLICIES if first["kind"] == "NnunetTrainingPolicy" else NAMESPACES
        made.feed.take(resource, {"type": "ADDED", "object": first})
        await drain(queue, TRAININGS.kind)
        made.feed.take(resource, {"type": second[0], "object": second[1]})
        return await drain(queue, TRAININGS.kind)

    return run(scenario())


BOTH = [Key("clinic", "hippo"), Key("lab", "hippo")]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        pytest.param(policy(1), ("MODIFIED", policy(2, spec={**SPEC, "mode": "Warn"})), BOTH, id="another spec"),
        pytest.param(policy(1), ("MODIFIED", policy(2, status={"trainings": 3})), [], id="its status, which we write"),
        pytest.param(policy(1), ("DELETED", policy(2)), BOTH, id="gone"),
        pytest.param(policy(2), ("MODIFIED", policy(1, spec={})), [], id="an old event"),
        pytest.param(namespace(1), ("MODIFIED", namespace(2, **{"nnunet.dev/clinical": "true"})), BOTH[:1], id="label"),
        pytest.param(namespace(1), ("MODIFIED", namespace(2, team="y")), [], id="a label that can't select"),
    ],
)
def test_what_makes_trainings_be_looked_at(
    first: dict[str, Any], second: tuple[str, dict[str, Any]], expected: list[Key]
) -> None:
    assert looked_at(first, second) == expected


def decided(version: int, *outcomes: tuple[str, str], phase: str = "Training") -> dict[str, Any]:
    """Return a training on which policies decided."""
    decisions = [{"policy": name, "outcome": outcome} for name, outcome in outcomes]
    status = {"phase": phase, "policy": {"decisions": decisions}}
    return body("NnunetTraining", version, "hippo", "clinic", spec={}, status=status)


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        pytest.param(("MODIFIED", decided(2, ("a", "Allowed"), ("b", "Denied"))), ["b"], id="one more"),
        pytest.param(("MODIFIED", decided(2, ("a", "Denied"))), ["a"], id="another outcome"),
        pytest.param(("MODIFIED", decided(2)), ["a"], id="no longer"),
        pytest.param(("MODIFIED", decided(2, ("a", "Allowed"), phase="Completed")), [], id="the same"),
        pytest.param(("DELETED", decided(2, ("a", "Allowed"))), ["a"], id="deleted"),
    ],
)
def test_what_makes_policies_be_counted_anew(second: tuple[str, dict[str, Any]], expected: list[str]) -> None:
    """Once, after a while: trainings come by the hundred. The same goes for a write of our own."""

    async def scenario(ours: bool) -> list[str]:
        made, queue = parts()
        made.feed.take(TRAININGS, {"type": "ADDED", "object": decided(1, ("a", "Allowed"))})
        await drain(queue, POLICIES.kind, 6)
        if ours and second[0] == "MODIFIED":
            made.feed.seen(TRAININGS, second[1], by=TRAININGS)
            assert await drain(queue, TRAININGS.kind, 4) == []  # who wrote it knows
        else:
            made.feed.take(TRAININGS, {"type": second[0], "object": second[1]})
            assert await drain(queue, POLICIES.kind, 4) == []
        return [key.name for key in await drain(queue, POLICIES.kind, 2)]

    assert run(scenario(ours=False)) == run(scenario(ours=True)) == expected


def test_policies_are_parsed_and_those_that_do_not_parse_are_named() -> None:
    cache = Cache(INFORMERS)
    book = PolicyCache(cast(Client, None), cache)
    assert book.policies().readable == ()
    cache[POLICIES].put(policy(1))
    cache[POLICIES].put(body("NnunetTrainingPolicy", 2, "new", spec={**SPEC, "rules": {"colour": "red"}}))
    found = book.policies()
    assert [(one.name, one.generation, one.spec.rules.min_epochs) for one in found.readable] == [("house", 1, 1000)]
    assert list(found.unreadable) == ["new"] and "spec.rules.colour" in found.unreadable["new"]
    assert book.policies() is found
    cache[POLICIES].remove(Key("", "new"), 3)
    assert book.policies().unreadable == {}


def test_decisions_are_summed_up_without_reading_statuses_again() -> None:
    cache = Cache(INFORMERS)
    decisions = [{"policy": "house", "generation": 1, "mode": "Enforce", "outcome": "Excepted"}]
    status = {"phase": "Training", "policy": {"decisions": decisions, "exceptions": [{"ticket": "QM-17"}]}}
    cache[TRAININGS].put(body("NnunetTraining", 1, "hippo", "clinic", status=status))
    ((key, summary),) = cache[TRAININGS].summaries()
    assert (key, summary.decisions, summary.excepted) == (Key("clinic", "hippo"), (("house", "Excepted"),), True)


def test_a_decision_is_counted_once_however_often_the_policy_is_edited() -> None:
    metrics = Metrics()
    records = [
        AppliedPolicies(
            decided_at=NOW,
            decisions=[PolicyDecision(policy="house", generation=number, mode="Enforce", outcome=outcome)],
        )
        for number, outcome in enumerate(["Denied", "Denied", "Denied", "Allowed"], start=1)
    ]
    for before, after in itertools.pairwise([None, *records]):
        count_decisions(metrics, before, after)
    counted = metrics.policy_decisions
    assert [counted.labels("house", "", outcome)._value.get() for outcome in ("Denied", "Allowed")] == [1, 1]


def told(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    """Return the series on a training in namespace clinic by their names and further labels."""
    samples = [sample for family in metrics.registry.collect() for sample in family.samples]
    return {
        (sample.name.removeprefix("nnunet_training_"), *list(sample.labels.values())[2:]): sample.value
        for sample in samples
        if list(sample.labels.values())[:2] == ["clinic", name]
    }


def test_what_is_known_of_a_training_is_told_until_it_is_deleted() -> None:
    cache, metrics = Cache(INFORMERS), Metrics()
    metrics.tell(Known(cache, PolicyCache(cast(Client, None), cache)))
    usage = {"usage": {"gpuSeconds": 70, "lostGpuSeconds": 0}}
    status = {
        "phase": "Completed",
        "completionTime": "2026-03-01T12:00:00Z",
        "folds": [{"fold": "0", "provenEpochs": 1000}, {"fold": "1", "provenEpochs": 700}],
        "results": {"testDice": {"mean": 0.87}, "selection": {"chosen": ["2d"], "meanValidationDice": 0.89}},
        "policy": {"minEpochs": 600, "decisions": [], "exceptions": [{"ticket": "QM-17"}]},
        "conditions": [{"type": "Stalled", "status": "False", "reason": "NotStalled"}],
        **usage,
    }
    failed = [{"type": "Failed", "status": "True", "reason": "StorageFailed"}]
    stalled = [{"type": "Stalled", "status": "True", "reason": "NoEpochFinished"}]
    for number, (name, state) in enumerate(
        {
            "hippo": status,
            "going": {"phase": "Training", "conditions": stalled, **usage},
            "broken": {"phase": "Failed", "conditions": failed},
            "new": {},
        }.items(),
        1,
    ):
        cache[TRAININGS].put(body("NnunetTraining", number, name, "clinic", status=state))
    assert told(metrics, "hippo") == {
        ("phase", "Completed"): 1,
        ("completion_timestamp_seconds",): NOW.timestamp(),
        ("test_dice",): 0.87,
        ("validation_dice",): 0.89,
        ("proven_epochs",): 700,
        ("required_epochs",): 600,
        ("held_gpu_seconds",): 70,
        ("lost_gpu_seconds",): 0,
        ("stalled",): 0,
        ("policy_excepted",): 1,
    }
    assert told(metrics, "going") == {
        ("phase", "Training"): 1,
        ("held_gpu_seconds",): 70,
        ("lost_gpu_seconds",): 0,
        ("stalled",): 1,
    }
    assert told(metrics, "broken") == {("phase", "Failed"): 1, ("failed", "StorageFailed"): 1}
    assert told(metrics, "new") == {("phase", "Pending"): 1}
    cache[TRAININGS].remove(Key("clinic", "hippo"), 9)
    assert told(metrics, "hippo") == {}


def test_events_on_what_is_in_no_namespace_go_into_default() -> None:
    event = Event("Warning", "ExceptionExpiring", "soon")
    manifest = event_manifest(policy(1), event, NOW)
    assert manifest["metadata"]["namespace"] == "default"
    assert manifest["involvedObject"]["kind"] == "NnunetTrainingPolicy"
    assert "namespace" not in manifest["involvedObject"]
