"""What makes comparisons be looked at again."""

from typing import Any, cast

import pytest

from nnunet_api.bounds import MAX_READ
from nnunet_api.labels import child_labels, comparison_labels
from nnunet_operator.core.comparison.model import Stranger
from nnunet_operator.core.training import Training
from nnunet_operator.kube.trim import trim_training
from nnunet_operator.metrics import Row
from nnunet_operator.runtime.client.resources import COMPARISONS, JOBS, TRAININGS
from nnunet_operator.runtime.comparison import parse_comparison, parse_comparison_status, training_of_arm
from nnunet_operator.runtime.controllers.policy_cache import PolicyCache
from nnunet_operator.runtime.keys import Key
from nnunet_operator.runtime.known import Known
from nnunet_operator.runtime.training import InvalidSpecError
from tests.support.builders import comparison, training
from tests.unit.runtime.clock import run
from tests.unit.runtime.make import drain, parts

KIND = "NnunetComparison"
NAMED = "a-name-that-is-longer-than-what-the-value-of-a-label-may-have-in-kubernetes"


def stored(body: dict[str, Any], version: int, **fields: Any) -> dict[str, Any]:
    """Return an object as a watch tells of it."""
    head = {"uid": f"u-{body['metadata']['name']}", "resourceVersion": str(version), "generation": 1}
    created = {"creationTimestamp": "2026-03-01T12:00:00Z"}
    return {**body, "metadata": {**body["metadata"], **head, **created}, **fields}


def arm(version: int, phase: str, **status: Any) -> dict[str, Any]:
    return stored(training("clinic", "long"), version, status={"phase": phase, **status})


def test_a_training_in_another_phase_concerns_those_that_compare_it() -> None:
    async def scenario() -> list[list[Key]]:
        made, queue = parts()
        for name, arms in (("of-long", ["long"]), ("of-others", ["other"])):
            spec = {"arms": [{"name": "a", "trainings": arms}, {"name": "b", "trainings": ["short"]}]}
            made.feed.seen(COMPARISONS, stored(comparison("clinic", name, **spec), 1))
        await drain(queue, KIND)
        found = []
        for seen in (arm(2, "Training"), arm(3, "Training", progress={"epoch": 7}), arm(4, "Completed")):
            made.feed.seen(TRAININGS, seen)
            found.append(await drain(queue, KIND))
        made.feed.gone(TRAININGS, Key("clinic", "long"), 5)
        return [*found, await drain(queue, KIND)]

    it = [Key("clinic", "of-long")]
    assert run(scenario()) == [it, [], it, it], "each epoch is no reason"


TEMPLATED: dict[str, Any] = {
    "template": {"spec": {"dataset": {"name": "Dataset004_Hippocampus"}, "testSet": {}}},
    "arms": [{"name": "long", "patch": {}}, {"name": "short", "patch": {"schedule": {"epochs": 250}}}],
}


def test_a_training_that_it_has_made_concerns_it() -> None:
    async def scenario() -> list[Key]:
        made, queue = parts()
        made.feed.seen(COMPARISONS, stored(comparison("clinic", **TEMPLATED), 1))
        await drain(queue, KIND)
        made.feed.seen(TRAININGS, stored(training("clinic", "shorter-short"), 2))
        return await drain(queue, KIND)

    assert run(scenario()) == [Key("clinic", "shorter")]


@pytest.mark.parametrize(
    ("labels", "registered", "ours"),
    [
        ({"nnunet.dev/comparison": "shorter"}, "", True),
        ({"nnunet.dev/comparison": "other"}, "", False),
        ({}, "", False),
        ({}, "u-shorter-short", True),
    ],
)
def test_a_training_is_its_own_by_label_or_registration(labels: dict[str, str], registered: str, ours: bool) -> None:
    known = [{"arm": "short", "name": "shorter-short", "uid": registered}] if registered else []
    of = parse_comparison(stored(comparison("clinic", **TEMPLATED), 1, status={"registration": {"trainings": known}}))
    body = stored(training("clinic", "shorter-short"), 2)
    body["metadata"]["labels"] = labels
    assert isinstance(training_of_arm(body, of), Training if ours else Stranger)
    assert isinstance(training_of_arm(stored(training("clinic", "long"), 2), of), Training), "not of those it refers to"


def test_a_comparison_that_is_too_large_is_not_kept() -> None:
    large = {"name": "a", "patch": {"x": "y" * MAX_READ}}
    body = stored(comparison("clinic", **{**TEMPLATED, "arms": [large, large]}), 1)
    with pytest.raises(InvalidSpecError, match="characters, may have at most"):
        parse_comparison(trim_training(body))


@pytest.mark.parametrize("name", ["shorter", NAMED])
def test_a_job_concerns_the_comparison_that_its_label_names(name: str) -> None:
    async def scenario() -> tuple[list[Key], list[Key]]:
        made, queue = parts()
        made.feed.seen(COMPARISONS, stored(comparison("clinic", name), 1))
        made.feed.seen(TRAININGS, stored(training("clinic", name), 1))
        await drain(queue, KIND)
        job = {"metadata": {"name": "j", "namespace": "clinic", "labels": comparison_labels(name)}}
        made.feed.seen(JOBS, stored(job, 2))
        ours = await drain(queue, KIND)
        job["metadata"]["labels"] = child_labels(name, "plan")
        made.feed.seen(JOBS, stored({"metadata": {**job["metadata"], "name": "t"}}, 3))
        return ours, await drain(queue, KIND)

    assert run(scenario()) == ([Key("clinic", name)], []), "a training's Job of the same name is none of its"


def test_metrics_tell_of_phase_arms_verdict_difference_and_interval() -> None:
    async def scenario() -> dict[str, list[Row]]:
        made, _ = parts()
        arms = [{"name": "fast", "trainings": ["short", "short-2"]}, {"name": "standard", "trainings": ["long"]}]
        verdict = {"arm": "fast", "verdict": "Inferior", "difference": -0.018, "low": -0.027, "high": -0.009}
        body = comparison("clinic", "shorter", arms=arms, baseline="standard")
        status = {"phase": "Completed", "verdicts": [verdict]}
        made.feed.seen(COMPARISONS, stored(body, 1, status=status))
        known = Known(made.feed.cache, cast(PolicyCache, None))
        return {
            "phase": list(known.comparisons()),
            "arms": list(known.arms()),
            "verdict": list(known.verdicts()),
            "low": list(known.interval_ends(upper=False)),
            "high": list(known.interval_ends(upper=True)),
        }

    it = ("clinic", "shorter")
    assert run(scenario()) == {
        "phase": [((*it, "Completed"), 1.0)],
        "arms": [((*it, "standard", "long"), 1.0), ((*it, "fast", "short"), 2.0), ((*it, "fast", "short-2"), 2.0)],
        "verdict": [((*it, "fast", "Inferior"), -0.018)],
        "low": [((*it, "fast"), -0.027)],
        "high": [((*it, "fast"), -0.009)],
    }


class Server:
    """An API server that takes statuses and Events."""

    def __init__(self) -> None:
        self.stored: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.body: dict[str, Any] = {}

    async def write_status(self, _: Any, __: Key, version: str, status: dict[str, Any]) -> dict[str, Any]:
        assert version == self.body["metadata"]["resourceVersion"]
        self.stored.append(status)
        head = {**self.body["metadata"], "resourceVersion": str(int(version) + 1)}
        self.body = {**self.body, "kind": KIND, "metadata": head, "status": status}
        return self.body

    async def create(self, _: Any, __: str, body: dict[str, Any]) -> dict[str, Any]:
        self.events.append(body)
        return body


def reconciled(server: Server, body: dict[str, Any], times: int = 1) -> None:
    """Have a comparison reconciled as it is stored."""

    async def scenario() -> None:
        made, _ = parts(server)
        controller = next(one for one in made.feed._controllers if one.resource == COMPARISONS)
        server.body = body
        made.feed.seen(COMPARISONS, body)
        for _ in range(times):
            await controller.reconcile(Key("clinic", "shorter"))

    run(scenario())


def test_one_that_does_not_parse_says_so_and_is_tried_again_when_it_changes() -> None:
    server = Server()
    reconciled(server, stored(comparison("clinic", maxDiceLoss="much"), 1), times=2)
    (status,) = server.stored
    failed = next(one for one in status["conditions"] if one["type"] == "Failed")
    assert (failed["status"], failed["reason"], status["phase"]) == ("True", "InvalidSpec", "Failed")
    assert "spec.maxDiceLoss is 'much'" in failed["message"] and "nnt" not in failed["message"]
    assert "It is tried again when it changes" in failed["message"]
    assert [(one["type"], one["reason"]) for one in server.events] == [("Warning", "InvalidSpec")]
    reconciled(server, stored(comparison("clinic"), 9, status=status))
    assert server.stored[-1]["phase"] == "WaitingForArms"
    conditions = {one["type"]: one["status"] for one in server.stored[-1]["conditions"]}
    assert conditions["Failed"] == "False" and "completionTime" not in server.stored[-1]


@pytest.mark.parametrize(("type_", "reason"), [("Complete", "VerdictFound"), ("Failed", "ArmChanged")])
def test_one_that_is_over_keeps_its_status_whether_it_parses_or_not(type_: str, reason: str) -> None:
    over = {
        "type": type_,
        "status": "True",
        "reason": reason,
        "message": "",
        "lastTransitionTime": "2026-03-01T12:00:00Z",
    }
    status = parse_comparison_status({"status": {"conditions": [over]}}).to_json_dict()
    server = Server()
    reconciled(server, stored(comparison("clinic", maxDiceLoss="much"), 1, status=status))
    assert server.stored == server.events == []
