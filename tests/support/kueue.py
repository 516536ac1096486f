"""A real Kueue as a process beside a control plane, installed from its own chart, and queues for it."""

import base64
import json
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from hack.prepare.kueue import NAMESPACE, kueue_binary, kueue_manifests
from hack.processes import end, free_ports
from tests.support.api import Api, ApiError, Object, wait_for, wait_served

ACCOUNT = "kueue-controller-manager"
CERTIFICATE = "kueue-webhook-server-cert"
HOOKS = "kueue-webhook-service"
MULTIKUEUE = "kueue.x-k8s.io/multikueue"
GPU = "nvidia.com/gpu"
PLENTY = {"cpu": "1000", "memory": "10Ti", GPU: "1000"}
SILENCE_SECONDS = 60.0
"""Time without a new line in its log after which a Kueue that is not ready will not be."""
_LEFT_OUT = ("Deployment", "APIService", "ConfigMap", "PodDisruptionBudget")
_KINDS = ("workloads", "localqueues", "clusterqueues", "resourceflavors", "workloadpriorityclasses")
_FLAVOR = "default"


class Kueue:
    """One Kueue, which may be ended and started again."""

    def __init__(self, api: Api, kubeconfig: Path, folder: Path) -> None:
        """Nothing is done yet. Its files and its log are kept in `folder`."""
        self.api = api
        self.kubeconfig = kubeconfig
        self._folder = folder
        self._port, self._health, self._metrics = free_ports(3)
        self._process: subprocess.Popen[bytes] | None = None
        self._extra: Object = {}
        self.log = folder / "kueue.log"

    def install(self) -> None:
        """Create what its chart has but for what would run in pods: definitions, rights, webhooks."""
        self.api.create("namespaces", {"metadata": {"name": NAMESPACE}})
        objects = [kept for body in kueue_manifests() if (kept := self._kept(body))]
        # Definitions and rights first, webhooks last: from then on Jobs are refused until it answers.
        objects.sort(key=lambda body: (body["kind"].endswith("WebhookConfiguration"), "Definition" not in body["kind"]))
        for body in objects:
            self._create(body)
        wait_served(self.api, *(f"{kind}.kueue.x-k8s.io" for kind in _KINDS))
        self._write_kubeconfig()

    def start(self, **config: Any) -> None:
        """Start it with this configuration on top of the usual one, and wait until it is ready and its hooks answer."""
        self._extra = config
        certificates = self._folder / "certificates"
        certificates.mkdir(exist_ok=True)
        (self._folder / "config.yaml").write_text(yaml.safe_dump(self._config(certificates) | config))
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(kueue_binary()), f"--config={self._folder}/config.yaml", "--zap-log-level=2"],
                stdout=log,
                stderr=log,
                env={"KUBECONFIG": str(self._folder / "kubeconfig"), "HOME": str(self._folder)},
            )
        self._wait_ready(certificates)
        wait_for("its webhooks to answer", self._answers, 60, self.tail)

    def stop(self) -> None:
        """End it. Its webhooks stay configured, so no Job can be created or changed."""
        if self._process:
            end(self._process)
            self._process = None

    def restore(self) -> None:
        """Have it run as usual, where a test has ended it or given it another configuration."""
        if self._process is None or self._extra:
            self.stop()
            self.start()

    def tail(self) -> str:
        """Return the end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-25:])

    def queue(self, namespace: str, name: str, cluster_queue: str = "", **quota: str) -> str:
        """Make a LocalQueue with a ClusterQueue of its own and this quota, and return the latter's name."""
        owner = cluster_queue or f"{namespace}-{name}"
        if self.api.get("clusterqueues", "", owner) is None:
            self.cluster_queue(owner, quota or PLENTY)
        self.local_queue(namespace, name, owner)
        return owner

    def local_queue(self, namespace: str, name: str, cluster_queue: str, **spec: Any) -> None:
        """Make a LocalQueue of a ClusterQueue, which need not exist."""
        body = {"metadata": {"name": name, "namespace": namespace}, "spec": {"clusterQueue": cluster_queue, **spec}}
        self.api.create("localqueues", self._typed("LocalQueue", body))

    def cluster_queue(self, name: str, quota: dict[str, str], **spec: Any) -> None:
        """Make a ClusterQueue for all namespaces with one flavour and this quota."""
        resources = [{"name": resource, "nominalQuota": amount} for resource, amount in quota.items()]
        flavor = {"name": spec.pop("flavor", _FLAVOR), "resources": resources}
        group = {"coveredResources": list(quota), "flavors": [flavor]}
        whole = {"namespaceSelector": {}, "resourceGroups": [group], **spec}
        self.api.create("clusterqueues", self._typed("ClusterQueue", {"metadata": {"name": name}, "spec": whole}))

    def hold(self, cluster_queue: str, policy: str) -> None:
        """Stop a ClusterQueue (Hold, HoldAndDrain), or let it go on (None)."""
        self.api.merge("clusterqueues", "", cluster_queue, {"spec": {"stopPolicy": policy}})

    def flavor(self, name: str = _FLAVOR, **spec: Any) -> None:
        """Make a ResourceFlavor."""
        self.api.create("resourceflavors", self._typed("ResourceFlavor", {"metadata": {"name": name}, "spec": spec}))

    def priority(self, name: str, value: int) -> None:
        """Make a WorkloadPriorityClass."""
        body = self._typed("WorkloadPriorityClass", {"metadata": {"name": name}, "value": value})
        self.api.create("workloadpriorityclasses", body)

    def multi(self, name: str) -> None:
        """Make an AdmissionCheck of MultiKueue, of which no cluster is there."""
        config = {"apiGroup": "kueue.x-k8s.io", "kind": "MultiKueueConfig", "name": name}
        spec = {"controllerName": MULTIKUEUE, "parameters": config}
        self.api.create("admissionchecks", self._typed("AdmissionCheck", {"metadata": {"name": name}, "spec": spec}))

    def check(self, name: str) -> None:
        """Make an AdmissionCheck that is at work and never lets anything through."""
        spec = {"controllerName": "example.org/budget"}
        self.api.create("admissionchecks", self._typed("AdmissionCheck", {"metadata": {"name": name}, "spec": spec}))
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        active = {"type": "Active", "status": "True", "reason": "AtWork", "message": "", "lastTransitionTime": now}
        self.api.merge("admissionchecks", "", name, {"status": {"conditions": [active]}}, sub="status")

    def decide(self, namespace: str, job: Object, check: str, state: str, message: str, **more: Any) -> None:
        """Write what a check has come to for a Job, as the controller of the check would."""
        found = self.workload(namespace, job)
        assert found
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        decided = {"name": check, "state": state, "message": message, "lastTransitionTime": now, **more}
        body = {"status": {"admissionChecks": [decided]}}
        self.api.merge("workloads", namespace, found["metadata"]["name"], body, sub="status")

    def hands_over(self, namespace: str, queue: str) -> bool:
        """Say whether Kueue hands the Jobs of a LocalQueue to other clusters."""
        return self._would_make(namespace, queue).get("managedBy") == MULTIKUEUE

    def workload(self, namespace: str, job: Object) -> Object | None:
        """Return the Workload of a Job, or None."""
        selector = f"kueue.x-k8s.io/job-uid={job['metadata']['uid']}"
        return next(iter(self.api.list("workloads", namespace, labelSelector=selector)), None)

    @staticmethod
    def _typed(kind: str, body: Object) -> Object:
        return {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": kind, **body}

    def _kept(self, body: Object) -> Object | None:
        kind = body["kind"]
        if kind in _LEFT_OUT:
            return None
        if kind == "Service":
            if body["metadata"]["name"] != HOOKS:
                return None
            body["spec"] = {"type": "ExternalName", "externalName": "localhost"}
        if kind == "CustomResourceDefinition" and "conversion" in body["spec"]:
            body["spec"]["conversion"]["webhook"]["clientConfig"]["service"]["port"] = self._port
        if kind.endswith("WebhookConfiguration"):
            ours = ("kueue.x-k8s.io", "batch")
            body["webhooks"] = [
                hook
                for hook in body["webhooks"]
                if any(group in ours for r in hook["rules"] for group in r["apiGroups"])
            ]
            body["metadata"].pop("namespace", None)  # the chart gives one, and they have none
            for hook in body["webhooks"]:
                hook["clientConfig"]["service"]["port"] = self._port
        return body

    def _create(self, body: Object) -> None:
        group, _, version = body["apiVersion"].rpartition("/")
        base = f"/apis/{group}/{version}" if group else f"/api/{version}"
        namespace = body["metadata"].get("namespace")
        where = f"/namespaces/{namespace}" if namespace else ""
        self.api.request("POST", f"{base}{where}/{body['kind'].lower()}s", body)

    def _write_kubeconfig(self) -> None:
        path = self.api.path("serviceaccounts", NAMESPACE, ACCOUNT) + "/token"
        token = self.api.request("POST", path, {"spec": {"expirationSeconds": 36000}})["status"]["token"]
        config = json.loads(self.kubeconfig.read_text())
        config["users"][0]["user"] = {"token": token}
        (self._folder / "kubeconfig").write_text(json.dumps(config))

    def _config(self, certificates: Path) -> Object:
        return {
            "apiVersion": "config.kueue.x-k8s.io/v1beta2",
            "kind": "Configuration",
            "namespace": NAMESPACE,
            "health": {"healthProbeBindAddress": f"127.0.0.1:{self._health}"},
            "metrics": {"bindAddress": f"127.0.0.1:{self._metrics}"},
            "webhook": {"port": self._port, "host": "127.0.0.1", "certDir": str(certificates)},
            "leaderElection": {"leaderElect": False},
            "integrations": {"frameworks": ["batch/job"]},
            "featureGates": {"VisibilityOnDemand": False},
            "internalCertManagement": {
                "enable": True,
                "webhookServiceName": HOOKS,
                "webhookSecretName": CERTIFICATE,
            },
        }

    def _wait_ready(self, certificates: Path) -> None:
        """Copy the certificate that it makes to where a pod would have it mounted, until it is ready."""
        size, heard = -1, time.monotonic()
        while not self._ready():
            assert self._process is not None
            assert self._process.poll() is None, f"Kueue has ended with {self._process.poll()}\n{self.tail()}"
            if (now := self.log.stat().st_size) != size:
                size, heard = now, time.monotonic()
            silent = time.monotonic() - heard
            assert silent < SILENCE_SECONDS, (
                f"Kueue is not ready, and has been silent for {silent:.0f} s\n{self.tail()}"
            )
            secret = self.api.request("GET", f"/api/v1/namespaces/{NAMESPACE}/secrets/{CERTIFICATE}")
            for name, data in (secret.get("data") or {}).items():
                content, file = base64.b64decode(data), certificates / name
                if not file.exists() or file.read_bytes() != content:
                    file.write_bytes(content)
            time.sleep(0.2)

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._health}/readyz", timeout=5) as answer:
                return int(answer.status) == 200
        except (OSError, urllib.error.HTTPError):
            return False

    def _answers(self) -> bool:
        try:
            return bool(self._would_make("default", "q").get("suspend"))
        except ApiError as error:
            if error.status < 500:
                raise
            return False

    def _would_make(self, namespace: str, queue: str) -> Object:
        """Return the spec that a Job in a queue would have: a dry run passes through Kueue's webhooks."""
        pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}
        head = {"name": "probe", "namespace": namespace, "labels": {"kueue.x-k8s.io/queue-name": queue}}
        job = self.api.create("jobs", {"metadata": head, "spec": {"template": {"spec": pod}}}, dryRun="All")
        spec: Object = job["spec"]
        return spec
