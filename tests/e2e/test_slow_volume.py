"""Preprocessed data on a volume that is too slow: `kubectl get nnt` says that a fold waits for it, and with what the
remedy names, a copy on the node, it no longer does."""

import re
from dataclasses import dataclass

from hack.localcluster.slow_volume import slow_volume
from nnunet_operator.core.data_feed import STARVED_FROM
from tests.e2e.conftest import Lab
from tests.support.kube import Object, condition
from tests.support.networks import small_network
from tests.support.small_training import held

NAMESPACE, NAME = "e2e-slow", "starved"
ABOUT = NAMESPACE, NAME
KILOBYTES = 600
"""A second, for all that the fold reads: a batch takes seconds, a step of the network a fraction of one."""
WORKER = {"name": "nnUNet_n_proc_DA", "value": "1"}
NETWORK = small_network("3d_fullres", [32, 32, 32], [16, 32, 64])
SHARE = re.compile(r"fold 0 waits (\d+) % of its time for data")


def in_the_background(lab: Lab) -> list[Object]:
    """A training that stands still before its first epoch, when its data has been preprocessed at full speed."""
    lab.make_namespace(NAMESPACE)
    return [body_of(lab)]


def body_of(lab: Lab) -> Object:
    """Return the training of these tests."""
    body = held(NAME, NAMESPACE, lab.references["dishonest"], before=1, epochs=1000)
    body["spec"]["planning"]["configurations"]["3d_tiny"] = NETWORK
    body["spec"]["trainer"]["env"].append(WORKER)
    body["spec"]["resources"]["gpus"] = 0  # others hold theirs for long
    return body


@dataclass
class Mended:
    """The status while it waited for its data, what kubectl showed then, and the status with a copy on the node."""

    starved: Object
    shown: str
    before: Object
    """Its fold when it was suspended."""
    copied: Object


def mended(lab: Lab) -> Mended:
    """Let the training go on with its data on a slow volume, and do what the remedy says."""
    kube = lab.kube
    kube.apply(body_of(lab))
    kube.wait("the fold to run", lambda: kube.condition(*ABOUT, "DatasetReady").get("status") == "True", 400, ABOUT)
    kube.wait_attempt(*ABOUT, 1)
    kube.suspend(*ABOUT)
    try:
        with slow_volume(lab.volume("nnunet-preprocessed", NAMESPACE), KILOBYTES):
            lab.hold(NAME, None, NAMESPACE)
            kube.resume(*ABOUT)
            status = starved(lab, "True")
            shown = kube.run("get", "nnt", NAME, "-n", NAMESPACE, "-o", "wide")
            before = kube.status(*ABOUT)["folds"][0]
            copy = {"localCopy": {"sizeLimit": "64Mi", "medium": "Memory"}}
            kube.suspend(*ABOUT, storage={"preprocessed": copy})
            kube.resume(*ABOUT)
            kube.wait_event(*ABOUT, "LocalCopyReady")
            return Mended(status, shown, before, starved(lab, "False"))
    finally:
        lab.drop(NAME, NAMESPACE)


STORIES = [mended]


def starved(lab: Lab, is_so: str) -> Object:
    """Wait until four epochs of the attempt were measured and the condition says so; return the status."""

    def told() -> Object | None:
        status = lab.kube.status(*ABOUT)
        measured = status["folds"][0].get("dataWaitShare") is not None
        return status if measured and condition(status, "DataStarved")["status"] == is_so else None

    found: Object = lab.kube.wait(f"DataStarved to be {is_so}", told, timeout=180, about=ABOUT)
    return found


def test_a_slow_volume_is_told_with_its_remedy(lab: Lab) -> None:
    """By the condition, `kubectl get` and an Event; not for CPU, of which its workers use little."""
    seen = lab.told(mended)
    fold, message = seen.starved["folds"][0], condition(seen.starved, "DataStarved")["message"]
    found = SHARE.search(message)
    assert found and int(found[1]) > 50, message
    assert "and its workers (1) compute in only" in message and "raise spec.resources" not in message
    assert "spec.storage.preprocessed.localCopy" in message and f"kubectl nnunet suspend {NAME}" in message
    assert fold["dataStarved"] and fold["dataWorkerUse"] < 0.5
    assert (seen.starved["phase"], seen.starved["problem"]["reason"]) == ("Training", "DataTooSlow")
    lab.kube.wait_event(*ABOUT, "DataTooSlow")
    assert SHARE.search(seen.shown) and "spec.storage.preprocessed.localCopy" in seen.shown, seen.shown


def test_a_copy_on_the_node_mends_it(lab: Lab) -> None:
    """As the remedy says: suspended, with a copy from then on, and resumed; it goes on and waits no longer."""
    seen = lab.told(mended)
    fold = seen.copied["folds"][0]
    assert fold["dataWaitShare"] < STARVED_FROM and fold["epoch"] > seen.before["epoch"], fold
    assert fold["localCopy"]["state"] == "InUse" and "problem" not in seen.copied
    assert fold["medianEpochSeconds"] < seen.before["medianEpochSeconds"]
