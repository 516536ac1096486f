"""What an operator of before left behind is taken over without a lost epoch; what is new is made the new way."""

from collections.abc import Callable

from nnunet_operator.api.folders import maker_of
from nnunet_operator.api.labels import PREPROCESSED_LABEL
from nnunet_operator.api.status import NnunetTrainingStatus
from nnunet_operator.builders.model import Options
from nnunet_operator.builders.plan import plan_job
from nnunet_operator.runtime.training import parse_training
from tests.integration.conftest import Lab
from tests.integration.support.api import Api, Object
from tests.integration.support.builders import training
from tests.integration.support.kubelet import Autopilot
from tests.integration.support.process import OperatorProcess
from tests.plan_facts import PLAN_FACTS


def on_whole_claims(body: Object) -> Object:
    """Return the planning Job of a stored training as an operator made it that mounted whole claims."""
    job = plan_job(parse_training(body, NnunetTrainingStatus()), Options(trainer_image="registry.example/trainer:0"))
    del job["metadata"]["labels"][PREPROCESSED_LABEL]
    pod = job["spec"]["template"]["spec"]
    del pod["initContainers"]
    policy = job["spec"]["podFailurePolicy"]
    policy["rules"] = [rule for rule in policy["rules"] if "prepare" not in str(rule)]
    for mount in pod["containers"][0]["volumeMounts"]:
        if mount["mountPath"].startswith("/nnunet"):
            mount["mountPath"] = "/".join(mount["mountPath"].split("/")[:3])
            mount.pop("subPath", None)
    return job


def claims(job: Object) -> dict[str, str]:
    """Return the folder of the claim behind each path at which the trainer sees one."""
    mounts = job["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
    return {
        mount["mountPath"]: mount.get("subPath", "") for mount in mounts if mount["mountPath"].startswith("/nnunet")
    }


def test_a_training_that_began_on_whole_claims_goes_on_and_ends(
    api: Api, namespace: str, start_operator: Callable[..., OperatorProcess]
) -> None:
    """Its preprocessed data lies at the root of the claim. One that begins now has a folder of its own."""
    old = api.create("nnunettrainings", training(namespace))
    api.create("jobs", on_whole_claims(old))
    lab = Lab(api, namespace, start_operator(namespace))
    lab.wait_jobs("hippo-plan")
    lab.plan_and_train()
    fold, *_ = lab.wait_jobs("hippo-fold-0", "hippo-fold-1", "hippo-plan")
    run = f"{namespace}/hippo-{old['metadata']['uid'][:8]}"
    key = PLAN_FACTS.preprocessed_key
    assert claims(fold) == {f"/nnunet/preprocessed/{key}": key, f"/nnunet/results/{run}": run}
    assert lab.status()["provenance"]["preprocessedPath"] == key

    new = lab.apply(training(namespace, "new"))
    with Autopilot(api, namespace, lambda: 0.2):
        lab.wait_reason("Complete", "TrainingComplete", timeout=120)
        lab.wait_reason("Complete", "TrainingComplete", "new", timeout=120)
    assert lab.status()["provenance"]["preprocessedPath"] == key, "it stays where it is"
    folder = f"{namespace}/{maker_of(parse_training(new, NnunetTrainingStatus()).spec)}"
    assert lab.status("new")["provenance"]["preprocessedPath"] == f"{folder}/{key}"
    fold = next(job for job in lab.jobs() if job["metadata"]["name"] == "new-fold-0")
    run = f"{namespace}/new-{new['metadata']['uid'][:8]}"
    assert claims(fold) == {"/nnunet/preprocessed": folder, f"/nnunet/results/{run}": run}
