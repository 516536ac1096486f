"""What an operator of before left behind is taken over without a lost epoch; what is new is made the new way."""

from collections.abc import Callable

from nnunet_api.fold_key import FoldKey
from nnunet_api.folders import maker_of
from nnunet_api.labels import PREPROCESSED_LABEL
from nnunet_api.status import NnunetTrainingStatus
from nnunet_operator.kube.builders.options import JobOptions
from nnunet_operator.kube.builders.stages import fold_job, plan_job
from nnunet_operator.runtime.training import parse_training
from tests.integration.conftest import Lab
from tests.support.api import Api, Object, wait_for
from tests.support.builders import training
from tests.support.kubelet import Autopilot
from tests.support.plan_facts import PLAN_FACTS
from tests.support.process import OperatorProcess
from tests.support.trainer import Trainer


def on_whole_claims(body: Object, fold: str = "") -> Object:
    """Return the Job of a stored training's planning, or fold, as an operator made it that mounted whole claims."""
    of, options = parse_training(body, NnunetTrainingStatus()), JobOptions(trainer_image="registry.example/trainer:0")
    job = fold_job(of, options, FoldKey(of.spec.configuration, fold)) if fold else plan_job(of, options)
    job["metadata"]["labels"].pop(PREPROCESSED_LABEL, None)
    pod = job["spec"]["template"]["spec"]
    pod.pop("initContainers", None)
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


def test_a_fold_that_runs_on_whole_claims_at_the_upgrade_is_left_alone_until_its_end(
    api: Api, namespace: str, start_operator: Callable[..., OperatorProcess]
) -> None:
    """Its pod sees more than it needs until it ends: to replace it would cost epochs. What follows is confined."""
    old = api.create("nnunettrainings", training(namespace, folds=[0, 1], maxParallelFolds=1))
    api.create("jobs", on_whole_claims(old))
    running = api.create("jobs", on_whole_claims(old, "0"))
    lab = Lab(api, namespace, start_operator(namespace))
    lab.wait_jobs("hippo-fold-0", "hippo-plan")
    lab.plan_and_train()
    with Autopilot(api, namespace, lambda: 0.2):
        lab.wait_reason("Complete", "TrainingComplete", timeout=120)
    jobs = {job["metadata"]["name"]: job for job in lab.jobs()}
    kept = jobs["hippo-fold-0"]
    assert kept["metadata"]["uid"] == running["metadata"]["uid"], "it was not made anew"
    assert set(claims(kept).values()) == {""}, "it saw the claims as a whole"
    run = f"{namespace}/hippo-{old['metadata']['uid'][:8]}"
    for name in ("hippo-fold-1", "hippo-verify", "hippo-evaluate"):
        assert claims(jobs[name])[f"/nnunet/results/{run}"] == run and "" not in claims(jobs[name]).values(), name


def test_a_fold_in_an_image_older_than_the_operator_goes_on(lab: Lab, trainer: Trainer) -> None:
    """It tells no epochs while it runs. That is said, is no stall, and its report at the end counts."""
    trainer.says(3)
    lab.apply(training(lab.namespace, folds=[0], stallTimeoutSeconds=10, restartOnStall=True))
    lab.plan_and_train()
    pod = lab.kubelet.pod("hippo", "fold", "0")
    lab.kubelet.run(pod, trainer.address)
    wait_for("epoch 3", lambda: lab.status()["folds"][0]["epoch"] == 3, about=lab.describe)
    lab.operator.kill()
    trainer.is_older()
    lab.operator.start()
    wait_for("the note", lambda: "its image is older" in lab.condition("Progressing")["message"], about=lab.describe)
    assert lab.condition("Stalled")["status"] == "False" and lab.status()["folds"][0]["epoch"] == 3
    lab.kubelet.end(pod)
    wait_for("its end", lambda: lab.status()["folds"][0]["phase"] == "Completed", about=lab.describe)
    assert (lab.status()["folds"][0]["epoch"], lab.status()["folds"][0].get("stallRestarts")) == (10, 0)


def by_name(folds: list[Object]) -> list[Object]:
    """Return the fold runs of a status as an operator stored them that knew each by one name, such as 0-r2."""
    return [
        {field: value for field, value in fold.items() if field not in ("configuration", "replicate")}
        | {"fold": f"{fold['fold']}-r{fold['replicate']}"}
        for fold in folds
    ]


def test_replicates_that_were_stored_by_name_are_taken_over(lab: Lab) -> None:
    """One is complete and its Job is gone: the status alone remembers it. The other goes on where it was."""
    lab.apply(training(lab.namespace, folds=[0], replicates=2, trainer={"seed": 5}, maxParallelFolds=1))
    lab.plan_and_train()
    lab.kubelet.end(lab.kubelet.pod("hippo", "fold", "0-r1"))
    second = lab.kubelet.pod("hippo", "fold", "0-r2")
    lab.kubelet.run(second)
    wait_for("the second to run", lambda: lab.status()["folds"][1]["phase"] == "Running", about=lab.describe)
    known = lab.status()["folds"]
    lab.operator.stop()
    stored = by_name(known)
    stored[1] |= {"epoch": 4, "epochsTarget": 10, "attempts": 1, "checkpointEpoch": 4}
    lab.api.merge("nnunettrainings", lab.namespace, "hippo", {"status": {"folds": stored}}, sub="status")
    assert [fold["fold"] for fold in lab.status()["folds"]] == ["0-r1", "0-r2"]
    lab.api.delete("jobs", lab.namespace, "hippo-fold-0-r1")
    wait_for("its Job to go", lambda: len(lab.jobs()) == 2, about=lab.describe)
    lab.operator.start()

    def parts() -> list[tuple[str, str, int | None, str, int]]:
        folds = lab.status()["folds"]
        names = ("configuration", "fold", "replicate", "phase", "epoch")
        return [tuple(fold.get(name) for name in names) for fold in folds]

    taken = [("3d_fullres", "0", 1, "Completed", 10), ("3d_fullres", "0", 2, "Running", 4)]
    wait_for("the fold runs in parts", lambda: parts() == taken, about=lab.describe)
    assert lab.status()["folds"][0] == known[0]
    lab.kubelet.end(second)
    lab.verify_and_evaluate()
    lab.wait_reason("Complete", "TrainingComplete")
    lab.wait_jobs("hippo-evaluate", "hippo-fold-0-r2", "hippo-plan", "hippo-verify")
    assert lab.events().count("FoldStarted") == 2, "neither was begun anew"
    assert [fold["provenEpochs"] for fold in lab.status()["folds"]] == [10, 10]
