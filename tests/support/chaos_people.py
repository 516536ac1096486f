"""What people and others do to the trainings of a chaos, and undo after a while."""

import heapq
import itertools
import threading
import time
from collections.abc import Callable, Mapping
from random import Random

import urllib3

from tests.support.api import Api, ApiError, Object
from tests.support.chaos_scripts import Life
from tests.support.kubelet import FOLD, STAGE, TRAINING
from tests.support.process import OperatorProcess

LASTS_SECONDS = 2.5
_WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"


class People:
    """Does what a seed says, in a thread, until `seconds` are over; then all is undone."""

    def __init__(
        self, api: Api, namespace: str, lives: Mapping[str, Life], operator: OperatorProcess, random: Random
    ) -> None:
        self._api = api
        self._namespace = namespace
        self._lives = lives
        self._operator = operator
        self._random = random
        self._undo: list[tuple[float, int, Callable[[], object]]] = []
        self._order = itertools.count()
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._drive, daemon=True)
        self.did: list[str] = []
        """What was done, in order."""
        self.kills = 0
        """How often the operator was killed."""

    def act(self, seconds: float, deeds: int) -> None:
        """Do so many deeds in so many seconds, and undo all that is to be undone."""
        end = time.monotonic() + seconds
        several = (self._webhook, self._quota, self._kill)
        plan = [*([deed for deed in several for _ in range(max(1, deeds // 20))]), *(self._one for _ in range(deeds))]
        self._random.shuffle(plan)
        self._thread.start()
        for number, deed in enumerate(plan):
            self._attempt(deed)
            time.sleep(max(0.0, (end - time.monotonic()) / (len(plan) - number)))
        self._left.set()
        self._thread.join()

    def _drive(self) -> None:
        """Undo what lasts for a while, and take foreign finalizers off what is deleted."""
        while not self._left.wait(0.3):
            self._undo_due(time.monotonic())
            self._attempt(self._let_go)
        while self._undo:
            self._undo_due(float("inf"))

    def let_go(self) -> None:
        """Take the finalizers of others off what is deleted, and resume Jobs that others have suspended."""
        self._attempt(self._let_go)

    def _let_go(self) -> None:
        for job in self._api.list("jobs", self._namespace):
            name, metadata = job["metadata"]["name"], job["metadata"]
            if "deletionTimestamp" in metadata and "example.org/hold" in metadata.get("finalizers", ()):
                left = [one for one in metadata["finalizers"] if one != "example.org/hold"]
                self._attempt(lambda: self._patch("jobs", name, {"metadata": {"finalizers": left}}))  # noqa: B023
            if job["spec"].get("suspend") and "-jsu-" in name:
                self._attempt(lambda: self._patch("jobs", name, {"spec": {"suspend": False}}))  # noqa: B023

    def _undo_due(self, now: float) -> None:
        while self._undo and self._undo[0][0] <= now:
            _, _, undo = heapq.heappop(self._undo)
            for _ in range(50):
                if self._attempt(undo):
                    break
                time.sleep(0.1)

    def _later(self, undo: Callable[[], object], seconds: float = LASTS_SECONDS) -> None:
        heapq.heappush(self._undo, (time.monotonic() + seconds, next(self._order), undo))

    def _attempt(self, deed: Callable[[], object]) -> bool:
        """Do something; return False where the API server did not take it."""
        try:
            deed()
        except ApiError as error:
            return error.status == 404  # there is nothing any more that it could be done to
        except (urllib3.exceptions.HTTPError, OSError):
            return False
        return True

    def _one(self) -> None:
        """Do something to one training."""
        life = self._lives[self._random.choice(sorted(self._lives))]
        deed = self._random.choice(
            (
                *[self._delete_job] * 3,
                self._delete_pod,
                self._remove_pod,
                self._suspend_training,
                self._suspend_job,
                self._unlabel_job,
                self._mark,
                self._hold_training,
            )
        )
        deed(life)

    def _jobs(self, life: Life) -> list[tuple[str, Object]]:
        """Return the Jobs of a training that are not being deleted, by child."""
        jobs = self._api.list("jobs", self._namespace, labelSelector=f"{TRAINING}={life.name}")
        return [(_child(job), job) for job in jobs if "deletionTimestamp" not in job["metadata"] and not _is_over(job)]

    def _delete_job(self, life: Life) -> None:
        for child, job in self._jobs(life)[-1:]:
            how = self._random.choice(("Background", "Foreground", "Orphan"))
            self._say(f"deletes {job['metadata']['name']} ({how})")
            life.note(child, "deleted")
            self._api.delete("jobs", self._namespace, job["metadata"]["name"], how)

    def _delete_pod(self, life: Life) -> None:
        for pod in self._pods(life)[-1:]:
            self._say(f"deletes pod {pod['metadata']['name']}")
            life.note(_child(pod), "pod deleted")
            self._api.delete("pods", self._namespace, pod["metadata"]["name"])

    def _remove_pod(self, life: Life) -> None:
        for pod in self._pods(life)[-1:]:
            self._say(f"removes pod {pod['metadata']['name']} by force")
            life.note(_child(pod), "removed")
            life.note(_child(pod), "evidence gone")
            path = self._api.path("pods", self._namespace, pod["metadata"]["name"])
            self._api.request("DELETE", path, {"gracePeriodSeconds": 0})

    def _pods(self, life: Life) -> list[Object]:
        pods = self._api.list("pods", self._namespace, labelSelector=f"{TRAINING}={life.name}")
        return [pod for pod in pods if pod["status"].get("phase") in ("Pending", "Running")]

    def _suspend_training(self, life: Life) -> None:
        self._say(f"suspends {life.name}")
        for child in life.children:
            life.note(child, "suspended")
        self._patch("nnunettrainings", life.name, {"spec": {"suspend": True}})
        self._later(lambda: self._patch("nnunettrainings", life.name, {"spec": {"suspend": False}}))

    def _suspend_job(self, life: Life) -> None:
        for _, job in self._jobs(life)[-1:]:
            name = job["metadata"]["name"]
            self._say(f"suspends Job {name}")
            self._patch("jobs", name, {"spec": {"suspend": True}})
            self._later(lambda: self._patch("jobs", name, {"spec": {"suspend": False}}))  # noqa: B023

    def _unlabel_job(self, life: Life) -> None:
        for _, job in self._jobs(life)[-1:]:
            name = job["metadata"]["name"]
            self._say(f"takes the label off Job {name}")
            self._patch("jobs", name, {"metadata": {"labels": {TRAINING: None}}})
            self._later(lambda: self._patch("jobs", name, {"metadata": {"labels": {TRAINING: life.name}}}))  # noqa: B023

    def _mark(self, life: Life) -> None:
        self._say(f"marks {life.name}, its Jobs and pods")
        marks = {"metadata": {"labels": {"team.example.org/x": "1"}, "annotations": {"team.example.org/x": "1"}}}
        self._patch("nnunettrainings", life.name, marks)
        for _, job in self._jobs(life):
            self._patch("jobs", job["metadata"]["name"], marks)
        for pod in self._pods(life):
            self._patch("pods", pod["metadata"]["name"], marks)

    def _hold_training(self, life: Life) -> None:
        self._say(f"puts a finalizer on {life.name}")
        self._patch("nnunettrainings", life.name, {"metadata": {"finalizers": ["backup.example.org/wait"]}})
        self._later(lambda: self._patch("nnunettrainings", life.name, {"metadata": {"finalizers": []}}))

    def _webhook(self) -> None:
        group, resource = self._random.choice(
            (("batch", "jobs"), ("", "pods"), ("nnunet.dev", "nnunettrainings/status"))
        )
        name = f"down-{self._namespace}-{next(self._order)}"
        self._say(f"has a webhook for {resource} down")
        rule = {"apiGroups": [group], "apiVersions": ["*"], "operations": ["CREATE"], "resources": [resource]}
        if resource.endswith("/status"):
            rule["operations"] = ["UPDATE"]
        webhook = {
            "name": "vjob.example.org",
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "failurePolicy": "Fail",
            "timeoutSeconds": 1,
            "clientConfig": {"url": "https://127.0.0.1:1/validate"},
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self._namespace}},
            "rules": [rule],
        }
        self._api.request("POST", _WEBHOOKS, {"metadata": {"name": name}, "webhooks": [webhook]})
        self._later(lambda: self._api.request("DELETE", f"{_WEBHOOKS}/{name}"))

    def _quota(self) -> None:
        resource = self._random.choice(("pods", "count/jobs.batch"))
        name = f"none-{next(self._order)}"
        self._say(f"allows no more {resource}")
        quota = {"metadata": {"name": name, "namespace": self._namespace}, "spec": {"hard": {resource: "0"}}}
        self._api.create("resourcequotas", quota)
        self._later(lambda: self._api.delete("resourcequotas", self._namespace, name))

    def _kill(self) -> None:
        self._say("kills the operator")
        self.kills += 1
        self._operator.kill()
        self._operator.start(wait=False)

    def _patch(self, kind: str, name: str, body: Object) -> None:
        self._api.merge(kind, self._namespace, name, body)

    def _say(self, what: str) -> None:
        self.did.append(what)


def _child(of: Object) -> str:
    labels = of["metadata"]["labels"]
    return str(labels[STAGE]) + (f"-{labels[FOLD]}" if FOLD in labels else "")


def _is_over(job: Object) -> bool:
    return any(
        one["type"] in ("Complete", "Failed") and one["status"] == "True"
        for one in job.get("status", {}).get("conditions", ())
    )
