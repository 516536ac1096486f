"""Everybody else in the cluster: rules, webhooks, quotas, nodes and people, on many trainings at once.

Each training ends as Complete, or as Failed for a reason that is true; none is stuck, and none has more Jobs made than
was done to it. `SEED=...` draws the same trainings and deeds again.
"""

import contextlib
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from functools import partial
from random import Random

import pytest

from tests.integration.conftest import Lab
from tests.support import sizes
from tests.support.api import Api, Object
from tests.support.chaos_node import ChaosNode
from tests.support.chaos_people import People
from tests.support.chaos_scripts import Life, draw, faults
from tests.support.claims import are_bound, make_bound_claims
from tests.support.mutations import Mutations
from tests.support.node import FakeNode

QUIET_SECONDS, LIMIT_SECONDS = 180, 1200
"""Without any change, and in all, for the last to end once nobody disturbs any more: Kubernetes waits for 10 s, 20 s,
40 s, ... after pods that failed, and so does the operator before it makes a lost Job anew."""
LOOKS_SECONDS = 1
REST_SECONDS = 3


@pytest.fixture
def node(api: Api, lab: Lab) -> Iterator[str]:
    """A node that has room for all, in a namespace with claims."""
    room = {"cpu": "2000", "memory": "8Ti", "pods": "2000", "nvidia.com/gpu": "2000"}
    make_bound_claims(api, lab.namespace)
    lab.wait("the claims to be bound", lambda: are_bound(api, lab.namespace))  # a scheduler that finds none waits
    with FakeNode(api, f"node-{uuid.uuid4().hex[:8]}", **room) as name:
        yield name


@pytest.fixture
def rules(api: Api, lab: Lab) -> Iterator[None]:
    """All foreign rules, each for the trainings that are named after it."""
    mutations = Mutations(api, lab.namespace)
    mutations.begin_by_name()
    yield
    mutations.end()
    # What nobody lets go would keep the namespace for ever, and other tests wait until all of them are gone.
    lab.wait("the finalizers of others to be off", lambda: not _take_finalizers_off(api, lab.namespace))


def _take_finalizers_off(api: Api, namespace: str) -> list[str]:
    """Take them off Jobs and trainings; return the names of those that had some: a rule may act for a moment yet."""
    held = []
    for resource in ("jobs", "nnunettrainings"):
        for body in api.list(resource, namespace):
            name, finalizers = body["metadata"]["name"], body["metadata"].get("finalizers", [])
            foreign = [one for one in finalizers if "example.org/" in one]
            if foreign:
                held.append(name)
                kept = [one for one in finalizers if one not in foreign]
                api.merge(resource, namespace, name, {"metadata": {"finalizers": kept}})
    return held


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_cluster_where_everybody_interferes(lab: Lab, node: str, rules: None) -> None:
    seed = sizes.seed(13)
    print(f"SEED={seed}")
    random = Random(seed)
    lives = {life.name: life for life in (draw(random, number) for number in range(sizes.CHAOS_TRAININGS))}
    people = People(lab.api, lab.namespace, lives, lab.operator, random)
    with ChaosNode(lab.api, lab.namespace, lives):
        for life in lives.values():
            lab.apply(life.body(lab.namespace))
        people.act(sizes.CHAOS_SECONDS, deeds=sizes.CHAOS_DEEDS * len(lives))
        began = time.monotonic()
        with contextlib.suppress(AssertionError):  # what is left is told below
            over = partial(_all_over, lab, people)
            longer = LIMIT_SECONDS - QUIET_SECONDS
            lab.wait("all to end", over, "", timeout=QUIET_SECONDS, longer=longer, poll=LOOKS_SECONDS)
        print(f"{time.monotonic() - began:.0f} s after the last deed: {_reasons(lab)}")
        before = _made(lab, lives)
        time.sleep(REST_SECONDS)
        made = _made(lab, lives)
    found = [
        f"{life.told}: {fault}"
        for life in lives.values()
        for fault in faults(life, lab.training(life.name), made[life.name], people.kills)
    ]
    assert not found, "\n".join([f"SEED={seed}", *found, *people.did, _left(lab)])
    assert made == before, "Jobs are made of what has ended"


def _trainings(lab: Lab) -> list[Object]:
    return lab.api.list("nnunettrainings", lab.namespace)


def _end_of(training: Object) -> str:
    """Return the reason of its end, or ""."""
    conditions = training.get("status", {}).get("conditions", ())
    ends = (one["reason"] for one in conditions if one["type"] in ("Complete", "Failed") and one["status"] == "True")
    return next(ends, "")


def _all_over(lab: Lab, people: People) -> bool:
    people.let_go()
    return all(map(_end_of, _trainings(lab)))


def _left(lab: Lab) -> str:
    """Return what a person would look at of those that have not ended."""
    left = [one["metadata"]["name"] for one in _trainings(lab) if not _end_of(one)]
    return "\n".join(f"{name}: {lab.describe(name)}" for name in left[:3]) + f"\n{len(left)} left: {left}"


def _reasons(lab: Lab) -> Counter[str]:
    return Counter(map(_end_of, _trainings(lab)))


def _made(lab: Lab, lives: dict[str, Life]) -> dict[str, Counter[str]]:
    """Return how many Jobs the operator has made of each child, by training."""
    made: dict[str, Counter[str]] = {name: Counter() for name in lives}
    for line in lab.operator.lines():
        if line["message"].startswith("created Job "):
            job = line["message"].removeprefix("created Job ")
            name = next(name for name in lives if job.startswith(f"{name}-"))
            made[name][job.removeprefix(f"{name}-")] += 1
    return made
