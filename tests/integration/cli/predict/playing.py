"""What the tests of predictions play: the trainer in the pod, and the kubelet beside the command."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nnunet_api.contract import RunContract
from nnunet_api.prediction import RECORD_FILE, Prediction, PredictionRecord
from tests.integration.cli.conftest import Site
from tests.support.api import Object, wait_for

HOME = "predictions"
IMAGE = ("--image", "registry.example/trainer:1")


def jobs(site: Site) -> list[Object]:
    found: list[Object] = site.api.list("jobs", HOME, labelSelector="app.kubernetes.io/component=prediction")
    return [job for job in found if "deletionTimestamp" not in job["metadata"]]


def pod(site: Site) -> Object:
    """Wait for the pod that predicts, made by the real Job controller."""

    def pods() -> list[Object]:
        found: list[Object] = site.api.list("pods", HOME, labelSelector="app.kubernetes.io/component=prediction")
        return [one for one in found if (one.get("status") or {}).get("phase") in ("Pending", "Running")]

    wait_for("the pod that predicts", lambda: bool(pods()))
    return pods()[0]


def told(pod: Object) -> dict[str, str]:
    (container,) = pod["spec"]["containers"]
    return {one["name"]: str(one.get("value", "")).replace("$$", "$") for one in container["env"]}


def folder_of(pod: Object, claim: Path, path: str) -> Path:
    (container,) = pod["spec"]["containers"]
    (mount,) = [one for one in container["volumeMounts"] if one["mountPath"] == path]
    return claim / str(mount["subPath"])


def work(pod: Object, claim: Path) -> None:
    """Do what the trainer does: a segmentation of each image, and the record of them."""
    asked = Prediction.model_validate_json(told(pod)["NNUNET_RUN_PREDICTION"])
    contract = RunContract.model_validate_json(told(pod)["NNUNET_RUN_CONTRACT"])
    images, out = (folder_of(pod, claim, f"/nnunet/{name}") for name in ("images", "segmentations"))
    cases = sorted(path.name.removesuffix("_0000.nii.gz") for path in images.iterdir())
    for case in cases:
        (out / f"{case}.nii.gz").write_bytes(case.encode())
    record = PredictionRecord(
        training=f"{contract.namespace}/{contract.name}",
        uid=contract.uid,
        step_size=0.5,
        mirroring=True,
        device="cuda",
        nnunet_version="2.8.1",
        cases=cases,
        **asked.model_dump(include={"asked_for", "configurations", "checkpoints", "postprocessing"}),
    )
    (out / RECORD_FILE).write_text(json.dumps(record.to_json_dict()))


@contextmanager
def meanwhile(play: Callable[[], None]) -> Iterator[None]:
    """Play the kubelet beside the command."""
    thread = threading.Thread(target=play, daemon=True)
    thread.start()
    yield
    thread.join(60)
    assert not thread.is_alive(), "the kubelet waits for something"
