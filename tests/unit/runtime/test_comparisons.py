"""What makes comparisons be looked at again."""

from typing import Any

import pytest

from nnunet_api.labels import child_labels, comparison_labels
from nnunet_operator.runtime.client.resources import COMPARISONS, JOBS, TRAININGS
from nnunet_operator.runtime.keys import Key
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
