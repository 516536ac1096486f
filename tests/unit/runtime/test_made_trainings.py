"""Trainings of a template: what the cluster would make of one is looked at before it is created."""

from typing import Any

import pytest

from nnunet_api.comparison.template import made_specs
from nnunet_operator.runtime.comparison import parse_comparison
from nnunet_operator.runtime.controllers.made_trainings import MadeTrainings
from tests.support.builders import comparison
from tests.unit.runtime.clock import run
from tests.unit.runtime.make import parts

NAMES = ["shorter-long", "shorter-short"]
TEMPLATED: dict[str, Any] = {
    "template": {"spec": {"dataset": {"name": "Dataset004_Hippocampus"}, "testSet": {}}},
    "arms": [{"name": "long", "patch": {}}, {"name": "short", "patch": {"schedule": {"epochs": 250}}}],
}


class Server:
    """An API server with a mutating webhook that changes what is created."""

    def __init__(self, spec: dict[str, Any], labels: dict[str, str]) -> None:
        self._spec, self._labels = spec, labels
        self.created: list[str] = []

    def _admitted(self, body: dict[str, Any]) -> dict[str, Any]:
        metadata = body["metadata"]
        labels = {key: value for key, value in {**metadata["labels"], **self._labels}.items() if value}
        head = {"uid": "u", "resourceVersion": "7", "generation": 1, "creationTimestamp": "2026-03-01T12:00:00Z"}
        return {**body, "metadata": {**metadata, **head, "labels": labels}, "spec": {**body["spec"], **self._spec}}

    async def try_create(self, _: Any, __: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._admitted(body)

    async def create(self, _: Any, __: str, body: dict[str, Any]) -> dict[str, Any]:
        self.created.append(body["metadata"]["name"])
        return self._admitted(body)


def made(server: Server) -> dict[str, str]:
    """Return what is refused when all trainings of a comparison are to be made."""

    async def scenario() -> dict[str, str]:
        body = comparison("clinic", **TEMPLATED)
        head = {"uid": "c", "resourceVersion": "1", "generation": 1}
        of = parse_comparison({**body, "metadata": {**body["metadata"], **head}})
        refused: dict[str, str] = {}
        await MadeTrainings(parts(server)[0]).make(of, made_specs(of.spec, of.name), refused)
        return refused

    return run(scenario())


@pytest.mark.parametrize(
    ("spec", "labels", "words"),
    [
        ({"folds": [0]}, {}, "spec.folds is [0] in place of [0, 1, 2, 3, 4]"),
        ({"trainer": {"image": "mirror/t:1"}}, {}, 'spec.trainer.image is "mirror/t:1" in place of ""'),
        ({"resources": {"gpus": 2}}, {}, "spec.resources.gpus is 2 in place of 1"),
        ({"comparison": "other"}, {}, 'spec.comparison is "other" in place of "shorter"'),
        ({"folds": "all of them"}, {}, "spec.folds"),
        ({}, {"nnunet.dev/comparison": ""}, "label nnunet.dev/comparison is none in place of shorter"),
    ],
)
def test_none_is_made_that_the_cluster_would_change(spec: dict[str, Any], labels: dict[str, str], words: str) -> None:
    server = Server(spec, labels)
    refused = made(server)
    assert list(refused) == NAMES and server.created == [], "it would train on, and be nobody's"
    said = refused[NAMES[0]]
    assert words in said and "mutating webhook" in said
    assert "leave out trainings with the label nnunet.dev/comparison" in said


@pytest.mark.parametrize(
    ("spec", "labels"),
    [
        ({}, {}),
        ({"queueName": "gpus", "maxParallelFolds": 1, "resources": {"memory": "64Gi"}, "suspend": True}, {}),
        ({}, {"team": "radiology"}),
    ],
)
def test_where_and_with_how_much_it_runs_is_the_clusters_to_say(spec: dict[str, Any], labels: dict[str, str]) -> None:
    server = Server(spec, labels)
    assert made(server) == {} and server.created == NAMES
