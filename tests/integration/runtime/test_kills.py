"""The operator dies at any moment, by SIGKILL: same result, nothing twice, nothing stuck."""

import random
import time
from collections.abc import Callable

import pytest

from tests.integration.conftest import Lab
from tests.support import sizes
from tests.support.api import Api, Object
from tests.support.builders import training
from tests.support.kubelet import Autopilot
from tests.support.process import OperatorProcess

SEED = 20260301


def jobs_ever_made(api: Api, namespace: str) -> dict[str, int]:
    """Return how many Jobs were made under each name, from the Events of the Job controller."""
    made: dict[str, set[str]] = {}
    for event in api.list("events", namespace, fieldSelector="reason=SuccessfulCreate"):
        made.setdefault(event["involvedObject"]["name"], set()).add(event["involvedObject"]["uid"])
    return {name: len(uids) for name, uids in made.items()}


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_killed_at_random_moments(api: Api, namespace: str, start_operator: Callable[..., OperatorProcess]) -> None:
    """Four trainings come to the end that they come to without a kill."""
    lab = Lab(api, namespace, start_operator(namespace))
    chance = random.Random(SEED)
    names = [f"t{number}" for number in range(4)]
    for name in names:
        lab.apply(training(namespace, name, folds=[0, 1, 2], maxParallelFolds=2))
    lab.operator.kill()
    slow = sizes.OPERATOR_KILLS / 6  # pods run so long that the last kill still finds trainings under way

    def all_done() -> bool:
        return all(done(lab, name) for name in names)

    kills = 0
    with Autopilot(api, namespace, lambda: slow * chance.uniform(2, 3.5)) as kubelet:
        while kills < sizes.OPERATOR_KILLS and not all_done():
            lab.operator.start()  # one that is killed while Python loads has done nothing yet
            time.sleep(chance.uniform(0, 1.5))
            lab.operator.kill()
            kills += 1
        assert kills >= sizes.OPERATOR_KILLS / 2, "the trainings are over too soon"
        lab.operator.start()
        lab.wait("all to be evaluated", all_done, "")
    for name in names:
        lab.wait_reason("Complete", "TrainingComplete", name)
        check_result(lab.status(name))
        assert kubelet.most_running[name] <= 2
    all_told = lambda: len(jobs_ever_made(api, namespace)) == len(names) * len(STAGES)  # noqa: E731
    lab.wait("the Events of all Jobs", all_told, "")
    made = jobs_ever_made(api, namespace)
    assert made == {f"{name}-{stage}": 1 for name in names for stage in STAGES}, made
    stories = [lab.events(name) for name in names]
    assert all(story.count("TrainingComplete") <= 1 for story in stories), stories


STAGES = ("plan", "fold-0", "fold-1", "fold-2", "verify", "evaluate")


def done(lab: Lab, name: str) -> bool:
    """Say whether the evaluation of a training has run."""
    job = lab.api.get("jobs", lab.namespace, f"{name}-evaluate") or {}
    return any(condition["type"] == "Complete" for condition in job.get("status", {}).get("conditions", []))


def check_result(status: Object) -> None:
    """Compare with what a run without kills reports."""
    assert status["phase"] == "Completed"
    assert status["progress"]["summary"] == "30/30"
    assert [fold["phase"] for fold in status["folds"]] == ["Completed"] * 3
    assert [fold["provenEpochs"] for fold in status["folds"]] == [10] * 3
    assert status["results"]["meanValidationDice"] == 0.873
    assert status["provenance"]["plansHash"] == "p" * 64


def test_what_happened_while_there_was_no_operator(lab: Lab) -> None:
    """A deletion, a suspension, an end and a new training are all found at the next start."""
    for name in ("deleted", "suspended", "ended"):
        lab.apply(training(lab.namespace, name))
    lab.wait_jobs("deleted-plan", "ended-plan", "suspended-plan")
    lab.operator.kill()
    lab.api.delete("nnunettrainings", lab.namespace, "deleted")
    lab.set("suspended", suspend=True)
    lab.kubelet.end(lab.kubelet.pod("ended", "plan"))
    lab.apply(training(lab.namespace, "new"))
    lab.operator.start()
    lab.wait_jobs("ended-fold-0", "ended-fold-1", "ended-plan", "new-plan")
    lab.wait_reason("Suspended", "SuspendedByUser", "suspended")


@pytest.mark.timing
def test_sigterm_ends_it_with_0_within_seconds(lab: Lab) -> None:
    """What is in progress ends; nothing is logged as an error."""
    for number in range(10):
        lab.apply(training(lab.namespace, f"t{number}"))
    began = time.monotonic()
    assert lab.operator.stop() == 0, lab.operator.tail()
    assert time.monotonic() - began < 25  # the Deployment gives it 30 s
    errors = [line for line in lab.operator.lines() if line["level"] in ("error", "critical")]
    assert not errors, errors
    lab.operator.start()
    lab.wait("all Jobs", lambda: len(lab.jobs()) == 10)


def test_logs_are_json_and_name_the_training(lab: Lab) -> None:
    """Each line is an object; what is about a training carries its namespace and name."""
    lab.apply(training(lab.namespace))
    lab.wait_reason("Progressing", "WaitingForResources")
    assert lab.operator.stop() == 0
    text = lab.operator.log.read_text().splitlines()
    lines = lab.operator.lines()
    assert len(lines) == len(text), [line for line in text if not line.startswith("{")]
    (created,) = [line for line in lines if line["message"] == "created Job hippo-plan"]
    assert (created["namespace"], created["name"]) == (lab.namespace, "hippo")
    assert created["level"] == "info" and created["time"]
    assert any(line["logger"].startswith("kopf") for line in lines)
