"""What an operator of before has stored, put into a cluster as if that operator had just left.

The files in `tests/integration/runtime/recorded` are what it wrote; the README beside them says how they came about.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml

from tests.support.api import Api, Object, wait_for

FOLDER = Path(__file__).parents[1] / "integration" / "runtime" / "recorded"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
_ENDS = "2027-03-01T00:00:00Z"
"""When the recorded exception ends."""


def leave(api: Api, namespace: str, name: str, address: str = "") -> list[Object]:
    """Put a recorded training with its Jobs, pods and policy into a namespace; return its objects as they were stored.

    Its trainers that run are on this IP address. UIDs, the namespace and the end of exceptions are those of here.
    """
    text = (FOLDER / f"{name}.yaml").read_text()
    before = _of_kind(text, "NnunetTraining")[0]
    ends = datetime.now(UTC) + timedelta(days=30)
    text = text.replace(before["metadata"]["namespace"], namespace).replace(_ENDS, f"{ends:%Y-%m-%dT00:00:00Z}")
    for policy in _of_kind(text, "NnunetTrainingPolicy"):
        metadata = {"name": policy["metadata"]["name"]}
        api.create("nnunettrainingpolicies", {**policy, "metadata": metadata, "status": {}})
        api.merge("nnunettrainingpolicies", "", metadata["name"], {"status": policy["status"]}, sub="status")
    training = _of_kind(text, "NnunetTraining")[0]
    metadata = {"name": name, "namespace": namespace}
    uid = api.create("nnunettrainings", {**training, "metadata": metadata, "status": {}})["metadata"]["uid"]
    known = before["metadata"]["uid"]
    text = text.replace(known, uid).replace(known[:8], uid[:8])
    training = _of_kind(text, "NnunetTraining")[0]
    api.merge("nnunettrainings", namespace, name, {"status": training["status"]}, sub="status")
    jobs, pods = _of_kind(text, "Job"), _of_kind(text, "Pod")
    for job in jobs:
        metadata = {key: value for key, value in job["metadata"].items() if key != "uid"}
        api.create("jobs", {**job, "metadata": metadata, "status": {}})
    for pod in pods:
        _report(api, namespace, pod, address)
    for job in jobs:
        wait_for(f"the end of {job['metadata']['name']}", lambda job=job: _conditions(api, job) == _ends_of(job), 60)  # type: ignore[misc]
    return [training, *jobs, *pods]


def _report(api: Api, namespace: str, pod: Object, address: str) -> None:
    """Give the pod that Kubernetes makes for a recorded Job the status of the recorded one."""
    job = pod["metadata"]["ownerReferences"][0]["name"]
    found = wait_for(f"the pod of {job}", lambda: api.list("pods", namespace, labelSelector=f"job-name={job}"), 60)
    status = {key: value for key, value in pod["status"].items() if key not in ("podIP", "podIPs")}
    if address and "podIP" in pod["status"]:
        status |= {"podIP": address, "podIPs": [{"ip": address}]}
    api.merge("pods", namespace, found[0]["metadata"]["name"], {"status": status}, sub="status")


def _of_kind(text: str, kind: str) -> list[Object]:
    return [body for body in yaml.safe_load_all(text) if body["kind"] == kind]


def _conditions(api: Api, job: Object) -> set[str]:
    found = api.get("jobs", job["metadata"]["namespace"], job["metadata"]["name"])
    return _ends_of(found or {})


def _ends_of(job: Object) -> set[str]:
    said = job.get("status", {}).get("conditions", [])
    return {one["type"] for one in said if one["type"] in ("Complete", "Failed")}
