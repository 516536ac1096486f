"""Whoever waits for the weights of a training is looked at again when that one is in another phase."""

from typing import Any

from nnunet_operator.core.training import Training
from nnunet_operator.runtime.client.resources import TRAININGS
from nnunet_operator.runtime.controllers.weights import with_weights_from
from nnunet_operator.runtime.keys import Key
from tests.support.made_trainings import training
from tests.unit.runtime.clock import run
from tests.unit.runtime.make import drain, parts

BASE, FINE = Key("clinic", "base"), Key("clinic", "fine")


def body(name: str, version: int, phase: str, namespace: str = "clinic", **spec: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": namespace,
        "uid": f"{name}-1",
        "resourceVersion": str(version),
    }
    metadata |= {"generation": 1, "creationTimestamp": "2026-03-01T12:00:00Z"}
    return {"metadata": metadata, "spec": spec, "status": {"phase": phase}}


def test_those_that_wait_are_told_also_of_what_the_controller_has_written_itself() -> None:
    """It is the one that writes Completed: nobody else will tell of it."""
    begins: Any = {"initialWeights": {"training": {"name": "base"}}}

    async def told(phase: str, by: Any) -> list[Key]:
        made, queue = parts()
        for each in (body("fine", 1, "Pending", **begins), body("fine", 2, "Pending", "other", **begins)):
            made.feed.seen(TRAININGS, each)
        made.feed.seen(TRAININGS, body("base", 3, "Evaluating"))
        made.feed.seen(TRAININGS, body("plain", 4, "Pending"))
        await drain(queue, TRAININGS.kind)
        made.feed.seen(TRAININGS, body("base", 5, phase), by=by)
        return await drain(queue, TRAININGS.kind, 10)

    assert run(told("Completed", TRAININGS)) == [FINE]
    assert run(told("Completed", None)) == [BASE, FINE]
    assert run(told("Evaluating", TRAININGS)) == [], "an epoch more is no news to them"


def test_one_that_is_gone_or_made_again_is_told_of() -> None:
    async def told() -> list[list[Key]]:
        made, queue = parts()
        made.feed.seen(TRAININGS, body("fine", 1, "Pending", initialWeights={"training": {"name": "base"}}))
        await drain(queue, TRAININGS.kind)
        made.feed.seen(TRAININGS, body("base", 2, "Pending"))
        first = await drain(queue, TRAININGS.kind, 10)
        made.feed.gone(TRAININGS, BASE, 3)
        return [first, await drain(queue, TRAININGS.kind, 10)]

    assert run(told()) == [[BASE, FINE], [BASE, FINE]]


def test_a_source_that_is_there_and_cannot_be_read() -> None:
    async def found(**spec: Any) -> Training:
        made, _ = parts()
        made.feed.seen(TRAININGS, body("base", 1, "Completed", **spec))
        return with_weights_from(training(name="fine", initialWeights={"training": {"name": "base"}}), made.feed.cache)

    broken = run(found(dataset={"name": "none"}))
    assert (broken.weights_from, broken.weights_from_unreadable) == (None, True)
    whole = run(found(dataset={"name": "Dataset001_A"}))
    assert whole.weights_from is not None and not whole.weights_from_unreadable
