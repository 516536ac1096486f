"""A fold's copy of its data on a real API server: from the trainer's facts to the status, and the volume of its pod."""

import uuid
from typing import Any

import pytest

from tests.integration.conftest import Lab
from tests.support.api import Api, ApiError, Object, wait_for
from tests.support.builders import training
from tests.support.claims import make_bound_claims
from tests.support.node import FakeNode
from tests.support.trainer import Trainer

WHY = "the data takes 12.0 GiB, and spec.storage.preprocessed.localCopy.sizeLimit is 10.0 GiB: raise it to 13Gi"


def local(**copy: Any) -> Object:
    return {"preprocessed": {"localCopy": copy}}


def volume(pod: Object) -> Object:
    (found,) = [one for one in pod["spec"]["volumes"] if one["name"] == "local"]
    return {key: value for key, value in found.items() if key != "name"}


def fold_copy(lab: Lab) -> Object:
    copy: Object = lab.status()["folds"][0].get("localCopy") or {}
    return copy


def test_it_is_told_and_may_be_raised_while_the_training_runs(lab: Lab, trainer: Trainer) -> None:
    lab.apply(training(lab.namespace, folds=[0], storage=local(sizeLimit="10Gi")))
    lab.plan_and_train()
    fold = lab.kubelet.pod("hippo", "fold", "0")
    assert volume(fold) == {"emptyDir": {"sizeLimit": "10Gi"}}
    trainer.says(0, local_copy={"state": "Copying", "total_bytes": 1000, "copied_bytes": 429})
    lab.kubelet.run(fold, trainer.address)
    lab.wait_said("fold 0 copies its preprocessed data to its node (40 %)")
    trainer.says(0, local_copy={"state": "Skipped", "why": WHY})
    said = lab.wait_said("fold 0 trains and reads its data from the claim, without a local copy")
    assert WHY in said["message"] and said["status"] == "True" and said["reason"] == "Training"
    lab.wait_event("LocalCopySkipped")
    assert fold_copy(lab) == {"state": "Skipped", "why": WHY} and "problem" not in lab.status()

    # As it says: raise, suspend, resume. What runs is left alone until then.
    lab.set(storage=local(sizeLimit="13Gi"))
    current = lambda: lab.status()["observedGeneration"] == lab.training()["metadata"]["generation"]  # noqa: E731
    wait_for("a look at the change", current, about=lab.describe)
    assert lab.kubelet.pod("hippo", "fold", "0")["metadata"]["uid"] == fold["metadata"]["uid"]
    lab.set(suspend=True)
    lab.wait_reason("Suspended", "SuspendedByUser")
    lab.set(suspend=False)
    again = lab.kubelet.pod("hippo", "fold", "0")
    assert volume(again) == {"emptyDir": {"sizeLimit": "13Gi"}}
    trainer.says(1, attempts=2, local_copy={"state": "InUse", "total_bytes": 12 << 30, "seconds": 61.2})
    lab.kubelet.run(again, trainer.address)
    lab.wait_event("LocalCopyReady")
    assert fold_copy(lab) == {"state": "InUse", "totalBytes": 12 << 30, "seconds": 61}
    assert lab.condition("Progressing")["message"] == "fold 0 trains"


def test_what_waits_is_made_anew_with_it_and_nothing_else_of_storage_may_change(lab: Lab) -> None:
    lab.apply(training(lab.namespace, folds=[0]))
    lab.plan_and_train()
    plain = lab.kubelet.pod("hippo", "fold", "0")
    assert [one for one in plain["spec"]["volumes"] if one["name"] == "local"] == []
    for other in (
        {"preprocessed": {"claimName": "other", "localCopy": {"sizeLimit": "1Gi"}}},
        {"preprocessed": {"subPath": "other"}},
        {"results": {"claimName": "other"}},
    ):
        with pytest.raises(ApiError, match=r"storage\.\S+ can't change after creation"):
            lab.set(storage=other)
    lab.set(storage=local(sizeLimit="512Mi", medium="Memory"))

    def made_anew() -> Object | None:
        pod = lab.kubelet.pod("hippo", "fold", "0")
        return pod if pod["metadata"]["uid"] != plain["metadata"]["uid"] else None

    assert volume(wait_for("another pod", made_anew, about=lab.describe)) == {
        "emptyDir": {"medium": "Memory", "sizeLimit": "512Mi"}
    }
    lab.set(storage={"preprocessed": {"localCopy": None}})
    assert "localCopy" not in lab.training()["spec"]["storage"]["preprocessed"]


def test_each_pod_gets_a_claim_of_its_own(lab: Lab) -> None:
    """By the real controllers. A class that there is not is said as for any claim."""
    make_bound_claims(lab.api, lab.namespace)
    claim = {"storageClassName": f"absent-{lab.namespace}", "size": "1Gi"}
    with FakeNode(lab.api, f"node-{uuid.uuid4().hex[:8]}", **{"nvidia.com/gpu": "1"}):
        lab.apply(training(lab.namespace, folds=[0], storage=local(claim=claim)))
        lab.plan_and_train()
        pod = lab.kubelet.pod("hippo", "fold", "0")
        name = f"{pod['metadata']['name']}-local"
        made = wait_for("the claim", lambda: _claim(lab.api, lab.namespace, name), about=lab.describe)
        assert made["spec"]["storageClassName"] == claim["storageClassName"]
        assert made["spec"]["resources"]["requests"]["storage"] == "1Gi"
        assert [owner["name"] for owner in made["metadata"]["ownerReferences"]] == [pod["metadata"]["name"]]
        lab.wait_reason("Progressing", "ClaimNotBound")


def _claim(api: Api, namespace: str, name: str) -> Object | None:
    found = api.request("GET", f"/api/v1/namespaces/{namespace}/persistentvolumeclaims")["items"]
    return next((one for one in found if one["metadata"]["name"] == name), None)
