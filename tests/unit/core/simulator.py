"""A model of Kubernetes' Job controller, as small as can be: Jobs get pods, pods run and end, names get free."""

from dataclasses import replace
from datetime import timedelta
from random import Random

from nnunet_api.contract import EvidenceFacts, FoldEvidence, TerminationReport
from nnunet_api.evaluation_facts import EvaluationFacts
from nnunet_api.exit_codes import TERMINAL_EXIT_CODES
from nnunet_api.facts import FoldFacts
from nnunet_api.policy.decision import Policy
from nnunet_api.status import NnunetTrainingStatus
from nnunet_operator.core.decision import Decision
from nnunet_operator.core.policies import Policies
from nnunet_operator.core.training import Training
from nnunet_operator.kube.objects import Manifest
from nnunet_operator.progress.model import LiveFacts
from tests.support import made_worlds as make
from tests.support.made_policies import policy
from tests.support.made_trainings import NOW, training
from tests.support.made_worlds import World, decide
from tests.support.plan_facts import PLAN_FACTS

ENDINGS: tuple[int | str, ...] = (
    *[0] * 20,
    1,
    64,
    65,
    74,
    75,
    75,
    137,
    "OOMKilled",
    "Evicted",
    "vanished",
    "lies",
    *["OutOfcpu"] * 3,
)
EPOCHS = 10
DENYING = (policy(rules={"minEpochs": EPOCHS + 1}),)
ALLOWING = (policy(rules={"minEpochs": EPOCHS}),)


class Cluster:
    """One training and its Jobs and Pods."""

    def __init__(self, of: Training) -> None:
        self.training = of
        self.jobs: dict[str, Manifest] = {}
        self.pods: dict[str, Manifest] = {}
        self.samples: dict[str, LiveFacts] = {}
        self.trained: dict[str, int] = {}
        """By fold: the epochs that its final checkpoint really holds."""
        self.policies: tuple[Policy, ...] = ()
        self.serial = 0
        self.writes = 0

    def world(self) -> World:
        """Return what the operator sees."""
        now = NOW + timedelta(seconds=self.serial)
        jobs, pods = tuple(self.jobs.values()), tuple(self.pods.values())
        return World(self.training, jobs, pods, dict(self.samples), policies=Policies(self.policies), now=now)

    def reconcile(self) -> Decision:
        """Let the operator look once: actions first, then the status."""
        result = decide(self.world())
        for stop in result.stop:
            assert self.jobs[stop.child.name]["metadata"]["uid"] == stop.job_uid
            self.delete(stop.child.name)
        for manifest in make.made(self.training, result):
            self._create(manifest)
        if result.status != self.training.status:
            self.writes += 1
            self.training = replace(self.training, status=make.stored(result.status))
        return result

    def _create(self, manifest: Manifest) -> None:
        name = manifest["metadata"]["name"]
        assert name not in self.jobs, f"{name} exists already"
        self.serial += 1
        manifest["metadata"] |= {"uid": f"job-{self.serial}", "creationTimestamp": make.rfc3339(NOW)}
        manifest["status"] = {"conditions": [], "failed": 0}
        self.jobs[name] = manifest

    def delete(self, name: str) -> None:
        """Delete a Job in the foreground: it stays until its pods are gone."""
        self.jobs[name]["metadata"]["deletionTimestamp"] = make.rfc3339(NOW)

    def delete_in_background(self, name: str) -> None:
        """Delete a Job as kubectl does by default: at once, while its pod may live on for a while."""
        job = self.jobs.pop(name)
        for pod in [pod for pod in self.pods.values() if self._is_of(pod, job)]:
            if self._ended(pod):
                del self.pods[pod["metadata"]["name"]]
            else:
                pod["metadata"]["deletionTimestamp"] = make.rfc3339(NOW)

    def orphans(self) -> list[str]:
        """Return the names of the pods whose Job is gone."""
        return [name for name, pod in self.pods.items() if not any(self._is_of(pod, job) for job in self.jobs.values())]

    def suspend(self, value: bool) -> None:
        """Set spec.suspend."""
        spec = self.training.spec.model_copy(update={"suspend": value})
        self.training = replace(self.training, spec=spec, generation=self.training.generation + 1)

    def lose_status(self) -> None:
        """Clear the status, as somebody might."""
        self.training = replace(self.training, status=NnunetTrainingStatus())

    def step(self, name: str, random: Random | None) -> None:
        """Let one Job go on by one step; without `random` all goes well."""
        job = self.jobs[name]
        self.serial += 1
        pod = next((p for p in self.pods.values() if self._is_of(p, job) and not self._ended(p)), None)
        if job["metadata"].get("deletionTimestamp"):
            self._collect(job)
        elif job["status"]["conditions"]:
            return
        elif pod is None:
            self._control(job)
        elif pod["status"]["phase"] == "Pending":
            self._start(job, pod, random)
        else:
            self._end(job, pod, random)

    def _is_of(self, pod: Manifest, job: Manifest) -> bool:
        return bool(pod["metadata"]["ownerReferences"][0]["uid"] == job["metadata"]["uid"])

    def _ended(self, pod: Manifest) -> bool:
        return pod["status"]["phase"] in ("Succeeded", "Failed")

    def _collect(self, job: Manifest) -> None:
        self.pods = {name: pod for name, pod in self.pods.items() if not self._is_of(pod, job)}
        del self.jobs[job["metadata"]["name"]]

    def _control(self, job: Manifest) -> None:
        """Do what the Job controller does: end the Job, or give it a pod."""
        ended = [pod for pod in self.pods.values() if self._is_of(pod, job)]
        codes = [make_code(pod) for pod in ended]
        away = sum(1 for pod in ended if pod["status"].get("reason") == "OutOfcpu")
        failed = sum(1 for code in codes if code not in (0, 75, None)) + away
        job["status"]["failed"] = failed
        if 0 in codes:
            job["status"]["conditions"] = [make.COMPLETE]
        elif any(code in TERMINAL_EXIT_CODES for code in codes):
            job["status"]["conditions"] = [make.failed_by()]
        elif failed > job["spec"]["backoffLimit"]:
            job["status"]["conditions"] = [make.failed_by(reason="BackoffLimitExceeded")]
        else:
            name = f"{job['metadata']['name']}-{self.serial}"
            created = make.rfc3339(NOW + timedelta(seconds=self.serial))
            self.pods[name] = make.pod(job, name=name, created=created)

    def _start(self, job: Manifest, pod: Manifest, random: Random | None) -> None:
        said = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "Insufficient cpu"}
        blocked = random is not None and random.random() < 0.3
        state = {"waiting": {"reason": "ImagePullBackOff"}} if blocked and self.serial % 2 else None
        pod["status"] = make.pod(job, state=state, conditions=[said] if blocked and not state else [])["status"]
        if not blocked:
            pod["status"] = make.running(job)["status"]

    def _end(self, job: Manifest, pod: Manifest, random: Random | None) -> None:
        name = pod["metadata"]["name"]
        how = random.choice(ENDINGS) if random else 0
        if random and random.random() < 0.4:
            self.samples[name] = make.live(
                epoch=random.randint(0, EPOCHS - 1),
                attempts=random.randint(1, 3),
                epoch_seconds=3,
                still_seconds=random.choice([0.0, 0.0, 5000.0]),
            )
            return
        if how == "vanished":
            del self.pods[name]
        elif how == "OOMKilled":
            pod["status"] = make.ended(job, 137, reason="OOMKilled")["status"]
        elif how == "Evicted":
            target = {"type": "DisruptionTarget", "status": "True"}
            pod["status"] = make.pod(job, phase="Failed", reason="Evicted", conditions=[target])["status"]
        elif how == "OutOfcpu":
            pod["status"] = make.pod(job, phase="Failed", reason=how, message="Pod was rejected: no room")["status"]
        elif how == "lies":
            self._train(job, EPOCHS - 6)
            pod["status"] = make.ended(job, 0)["status"]
        else:
            code = int(how)
            if code == 0:
                self._train(job, EPOCHS)
            pod["status"] = make.ended(job, code, "" if code == 1 else self._report(job, code))["status"]

    def _train(self, job: Manifest, epochs: int) -> None:
        fold = job["metadata"]["labels"].get("nnunet.dev/fold")
        if fold:
            self.trained[fold] = epochs

    def _report(self, job: Manifest, code: int) -> TerminationReport:
        """Return a report as the trainer of a Job would leave it."""
        fold = job["metadata"]["labels"].get("nnunet.dev/fold")
        if fold:
            epoch = EPOCHS if code == 0 else EPOCHS // 2
            return TerminationReport(
                message="ended", fold=FoldFacts(fold=fold, epoch=epoch, epochs_target=EPOCHS, attempts=2)
            )
        return TerminationReport(
            message="ended",
            plan=PLAN_FACTS,
            evaluation=EvaluationFacts(mean_validation_dice=0.8),
            evidence=EvidenceFacts(
                folds=[
                    FoldEvidence(fold=name, epochs=epochs, checkpoint_hash="c" * 64)
                    for name, epochs in self.trained.items()
                ]
            ),
        )


def make_code(pod: Manifest) -> int | None:
    """Return the exit code of a pod's trainer, or None."""
    statuses = pod["status"]["containerStatuses"]
    code: int | None = statuses[0]["state"].get("terminated", {}).get("exitCode") if statuses else None
    return code


def simulate(random: Random, steps: int) -> Cluster:
    """Return a cluster after `steps` random events, among them losses and users' interference."""
    folds = random.sample(range(5), random.randint(1, 3))
    cluster = Cluster(
        training(
            folds=folds,
            maxParallelFolds=random.randint(1, 3),
            retryLimit=random.randint(0, 2),
            schedule={"epochs": EPOCHS},
            restartOnStall=random.choice([False, True]),
            testSet=random.choice([None, {}]),
        )
    )
    for _ in range(steps):
        happens = random.random()
        if happens < (0.3 if cluster.training.spec.suspend else 0.02):
            cluster.suspend(not cluster.training.spec.suspend)
        elif happens < 0.06:
            cluster.lose_status()
        elif happens < (0.5 if cluster.policies == DENYING else 0.075):
            cluster.policies = random.choice([(), DENYING, ALLOWING])
        elif happens < 0.095 and cluster.jobs:
            cluster.delete(random.choice(sorted(cluster.jobs)))
        elif happens < 0.11 and cluster.jobs:
            cluster.delete_in_background(random.choice(sorted(cluster.jobs)))
        elif happens < 0.16 and cluster.orphans():
            del cluster.pods[random.choice(cluster.orphans())]
        elif happens < 0.70 and cluster.jobs:
            cluster.step(random.choice(sorted(cluster.jobs)), random)
        else:
            check(cluster)
            cluster.reconcile()
    return cluster


def check(cluster: Cluster) -> None:
    """Check what must hold for each plan."""
    of = cluster.training
    result = decide(cluster.world())
    names = make.created(result)
    assert len(names) == len(set(names))
    active = {
        name
        for name, job in cluster.jobs.items()
        if job["metadata"]["labels"]["nnunet.dev/stage"] == "fold" and not job["status"]["conditions"]
    }
    new = {name for name in names if "-fold-" in name}
    left = {cluster.pods[name]["metadata"]["ownerReferences"][0]["name"] for name in cluster.orphans()}
    assert not new or len(active | new | {name for name in left if "-fold-" in name}) <= of.spec.max_parallel_folds
    assert not left & set(names), f"a second attempt beside a pod of {left} that still lives"
    over = {c.type for c in of.status.conditions if c.status == "True"} & {"Complete", "Failed"}
    if of.spec.suspend or over or cluster.policies == DENYING:
        assert names == []
