"""A comparison that makes its trainings on a real API server: from one document to a verdict."""

from typing import Any

import pytest

from nnunet_api.comparison.contract import ArmFacts, CandidateFacts
from tests.integration.conftest import Lab
from tests.integration.runtime.test_comparisons import Comparing
from tests.support.api import Api, ApiError, Object
from tests.support.builders import comparison
from tests.support.kubelet import Autopilot

TEMPLATE: Object = {
    "metadata": {"labels": {"team": "liver"}, "annotations": {"study": "12"}},
    "spec": {
        "dataset": {"name": "Dataset004_Hippocampus"},
        "testSet": {},
        "folds": [0],
        "schedule": {"epochs": 10},
        "trainer": {"seed": 1},
    },
}
ARMS: list[Object] = [{"name": "standard", "patch": {}}, {"name": "fast", "patch": {"schedule": {"epochs": 5}}}]
NAMES = ["shorter-fast", "shorter-standard"]


def templated(namespace: str, **spec: Any) -> Object:
    return comparison(namespace, **{"template": TEMPLATE, "arms": ARMS, **spec})


def test_from_one_document_to_a_verdict(lab: Lab) -> None:
    """Refused as a whole, made once they may be, suspended and resumed, trained, compared, and left where they are."""
    api, comparing = lab.api, Comparing(lab)

    def trainings() -> dict[str, Object]:
        return {one["metadata"]["name"]: one for one in api.list("nnunettrainings", lab.namespace)}

    quota = {"hard": {"count/nnunettrainings.nnunet.dev": "0"}}
    api.create("resourcequotas", {"metadata": {"name": "none", "namespace": lab.namespace}, "spec": quota})
    api.create("nnunetcomparisons", templated(lab.namespace))
    message = comparing.wait("Progressing", "TrainingRefused")
    assert "training shorter-fast can't be created" in message and "quota" in message
    assert comparing.status()["phase"] == "Blocked" and trainings() == {}
    api.delete("resourcequotas", lab.namespace, "none")
    comparing.set(suspend=True)
    comparing.wait("Suspended", "SuspendedByUser")
    comparing.set(suspend=False)
    comparing.until("both trainings", lambda: sorted(trainings()) == NAMES)
    made = trainings()["shorter-fast"]
    assert made["spec"]["schedule"]["epochs"] == 5 and made["metadata"]["annotations"]["study"] == "12"
    assert made["metadata"]["labels"] == {"team": "liver", "nnunet.dev/comparison": "shorter"}
    assert "ownerReferences" not in made["metadata"]

    comparing.set(suspend=True)
    rest = lambda: all(one["spec"]["suspend"] for one in trainings().values())  # noqa: E731
    comparing.until("both trainings to be suspended", rest)
    comparing.set(suspend=False)
    with Autopilot(api, lab.namespace, lambda: 0.0):
        for name in NAMES:
            lab.wait_reason("Complete", "TrainingComplete", name)
    assert [arm.runs[0].training for arm in comparing.contract().arms] == ["shorter-standard", "shorter-fast"]
    found = CandidateFacts(arm="fast", verdict="Equivalent", difference=0.001, low=-0.002, high=0.004)
    comparing.end(arms=[ArmFacts(name="standard", mean=0.9, replicates=1)], candidates=[found], cases=40)
    comparing.wait("Complete", "VerdictFound")
    comparing.set(ttlSecondsAfterFinished=0)
    gone = lambda: api.get("nnunetcomparisons", lab.namespace, "shorter") is None  # noqa: E731
    comparing.until("its time to live", gone)
    assert sorted(trainings()) == NAMES, "they stay"


def test_all_are_made_or_none(lab: Lab) -> None:
    """What only the API server knows to be wrong with one arm keeps the other from training for nothing."""
    comparing = Comparing(lab)
    wrong = {"schedule": {"epochs": 5}, "resources": {"cpu": "2", "cpuLimit": "1"}}
    lab.api.create("nnunetcomparisons", templated(lab.namespace, arms=[ARMS[0], {"name": "fast", "patch": wrong}]))
    message = comparing.wait("Progressing", "TrainingRefused")
    assert "training shorter-fast can't be created" in message and "cpuLimit must be at least cpu" in message
    assert "shorter-standard" not in message and lab.api.list("nnunettrainings", lab.namespace) == []


def test_template_and_patches_do_not_change(api: Api, namespace: str) -> None:
    """They are part of the registration."""
    api.create("nnunetcomparisons", templated(namespace))
    stored = api.get("nnunetcomparisons", namespace, "shorter")
    assert stored and [arm.get("patch") for arm in stored["spec"]["arms"]] == [arm["patch"] for arm in ARMS]
    other = [ARMS[0], {"name": "fast", "patch": {"schedule": {"epochs": 6}}}]
    more = [{"name": "standard", "patch": {"x": {"y": 1}}}, ARMS[1]]
    refer = [ARMS[0], {"name": "fast", "trainings": ["shorter-fast"]}]
    longer = {"template": {"spec": {"schedule": {"epochs": 20}}}}
    labels = {"template": {"metadata": {"labels": {"team": "other"}}}}
    changes: list[Object] = [{"arms": other}, {"arms": more}, {"arms": refer}, longer, labels, {"template": None}]
    for change in (*changes, {"expectedDifferenceSD": 0.03}, {"pilot": "earlier"}):
        with pytest.raises(ApiError, match=r"can't change after creation|go together"):
            api.merge("nnunetcomparisons", namespace, "shorter", {"spec": change})
    api.merge("nnunetcomparisons", namespace, "shorter", {"spec": {"queueName": "night"}})
