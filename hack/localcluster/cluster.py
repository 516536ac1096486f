"""The local cluster as a Python object; the command line and the tests' fixtures use nothing else."""

import fcntl
import http.client
import json
import os
import ssl
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from hack.localcluster import cgroups, components, host, network, node, pki, processes
from hack.localcluster.build import Binaries, binaries_folder, ensure_binaries
from hack.localcluster.cleanup import clean, missing_outside_folders
from hack.localcluster.console import Console
from hack.localcluster.errors import ClusterError
from hack.localcluster.images import Containerd, ensure_pause_image, load_image
from hack.localcluster.kubectl import Kubectl, kubectl_path
from hack.localcluster.layout import Layout, state_root
from hack.localcluster.packages import ensure_packages
from hack.localcluster.state import State
from hack.localcluster.volumes import make_volume

_READY_SECONDS = 180.0  # of a busy machine; a component that has ended is told at once


class Cluster:
    """A single-node Kubernetes on this machine.

    With `control_plane_only` it has no node: objects and controllers are real, pods are never run. Any number of such
    clusters may be up at once, and they need no root. A cluster with a node exists at most once on a machine.
    """

    def __init__(
        self,
        name: str = "local",
        control_plane_only: bool = False,
        gpus: int = 2,
        hurried: bool = False,
        api_server: Sequence[str] = (),
    ) -> None:
        """Describe the cluster; nothing happens before `up`.

        Args:
            name: 1-20 lower-case letters, digits, dashes; names the state folder.
            control_plane_only: Run no kubelet, containerd and kube-proxy.
            gpus: How many nvidia.com/gpu the node offers. Pods that get one compute on the CPU.
            hurried: The Job controller waits a tenth as long before it writes the status of a Job, and before it
                makes another pod; its programs give memory back a third as often (GOGC).
            api_server: More arguments of the API server.

        Raises:
            ClusterError: The name or the number can't be used.
        """
        if gpus < 0:
            raise ClusterError(f"gpus={gpus}: use 0 or more")
        self.layout = Layout(name)
        self._full = not control_plane_only
        self._gpus = gpus
        self._env = {"KUBE_HURRIED_JOBS": "1", "GOGC": "300"} if hurried else {}
        self._more = {"kube-apiserver": tuple(api_server)}
        self._console = Console()

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig of an administrator (group system:masters)."""
        return self.layout.kubeconfig

    @property
    def kubectl(self) -> Path:
        """The kubectl program."""
        return kubectl_path()

    @property
    def helm(self) -> Path:
        """The helm program; it exists after `up`."""
        return binaries_folder() / "helm"

    @property
    def logs(self) -> Path:
        """The folder with one log file for each component."""
        return self.layout.logs

    def __enter__(self) -> Self:
        """Take the cluster up, and whatever there is of it down again where that fails."""
        try:
            self.up()
        except BaseException:
            self.down()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    def up(self) -> None:
        """Start what doesn't run yet and wait until the cluster is ready. Repeating it is harmless.

        Raises:
            ClusterError: A component died (with the end of its log), or it was not ready in time.
        """
        self._console = Console()
        if self._full and os.geteuid() != 0:
            raise ClusterError("a cluster with a node needs root; without root there is --control-plane-only")
        binaries = ensure_binaries(self._console)
        with self._lock():
            state = self._prepare()
            started = [name for name in components.names(state) if self._ensure_started(name, state, binaries)]
            if state.full:
                ensure_pause_image(self.layout, binaries.pause)
            self._wait_ready(state)
        words = f"started {', '.join(started)}" if started else "it was up already"
        self._console.say(f"cluster {self.layout.name} is ready at {state.server}: {words}")

    def down(self) -> None:
        """End all processes, and remove all that `up` and the pods have made on this machine."""
        self._console = Console()
        with self._lock():
            clean(self.layout, self._console)

    def load_image(self, reference: str) -> str:
        """Copy an image that was built on this machine to the node; return the name that pods must use for it."""
        self._require("containerd")
        load_image(self.layout, reference, Console())
        return reference

    def make_volume(self, name: str, namespace: str = "default", size: str = "10Gi", limited: bool = False) -> Path:
        """Make a bound ReadWriteMany claim and return the folder behind it, which user 1000 may write to.

        Args:
            name: The claim's name.
            namespace: Its namespace, which must exist.
            size: A Kubernetes quantity such as 10Gi; not enforced unless `limited`.
            limited: Make writes beyond `size` fail, as on a full disk. The volume lives in memory then.
        """
        return make_volume(self.layout, self.client(), name, namespace, size, limited)

    def stop_component(self, name: str, grace_seconds: float = 5) -> None:
        """End one component, for example `kube-apiserver`; the others go on. Without grace it is killed at once."""
        self._require(name)
        processes.end(lambda: [p.pid for p in processes.find(self.layout.root, name)], name, grace_seconds)

    def start_component(self, name: str) -> None:
        """Start a stopped component again and wait until the cluster is ready."""
        state = self._require(name)
        self._console = Console()
        self._ensure_started(name, state, ensure_binaries(self._console))
        if not self.stopped():
            self._wait_ready(state)

    def stopped(self) -> list[str]:
        """Return the components that should run and don't; all of them when the cluster was never up."""
        state = State.load(self.layout.root)
        running = {process.component for process in processes.find(self.layout.root)}
        expected = components.names(state) if state else components.CONTROL_PLANE
        return [name for name in expected if name not in running]

    def client(self) -> Kubectl:
        """Return kubectl as the administrator of this cluster."""
        return Kubectl(self.kubeconfig, cache=self.layout.root / "kubectl-cache")

    def _prepare(self) -> State:
        self.layout.root.mkdir(parents=True, exist_ok=True)
        state = State.load(self.layout.root)
        if self._full:
            ensure_packages(self._console)
            network.check_free(self.layout)
        if state is None:
            state = State.new(full=self._full, gpus=self._gpus)
            if state.full:
                state.sysctls, state.chains = host.read_sysctls(), network.read_chains()
                state.folders = missing_outside_folders()
            state.save(self.layout.root)
        if state.full != self._full:
            kind = "with a node" if state.full else "control-plane-only"
            raise ClusterError(f"cluster {self.layout.name} is {kind}: take it down first, or choose another --name")
        pki.write_pki(self.layout.pki, state.address)
        for user in components.KUBECONFIG_USERS:
            pki.write_kubeconfig(components.user_kubeconfig(self.layout, user), self.layout.pki, user, state.server)
        if state.full:
            if state.gpus != self._gpus:
                state.gpus = self._gpus
                state.save(self.layout.root)
            node.write_configuration(self.layout)
            network.create(self.layout)
            cgroups.create(self.layout)
        return state

    def _ensure_started(self, name: str, state: State, binaries: Binaries) -> bool:
        if processes.find(self.layout.root, name):
            return False
        component = components.component(name, self.layout, state, binaries)
        argv = (name, *component.arguments, *self._more.get(name, ()))
        processes.start(
            self.layout.root, name, component.executable, argv, self._log(name), {**component.env, **self._env}
        )
        if name == "kube-apiserver":  # the others would log errors, and back off, until it answers
            self._wait("the API server to be ready", lambda: self._answers(state, "/readyz"), through=name)
        if name == "containerd":  # the kubelet ends at once where it meets no container runtime
            self._wait("containerd to be ready", self._containerd_answers, through=name)
        return True

    def _wait_ready(self, state: State) -> None:
        self._wait("the API server to be ready", lambda: self._answers(state, "/readyz"))
        # without it no pod is admitted; its existence shows that the controller manager works
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        self._wait("the default service account", lambda: self._answers(state, account))
        if state.full:
            client = self.client()
            self._wait("the node to be ready", lambda: _node_ready(client))
            _advertise_gpus(client, state.gpus)

    def _answers(self, state: State, path: str) -> bool:
        """Say whether the API server has an answer. What is asked ten times a second goes without kubectl."""
        context = ssl.create_default_context(cafile=str(self.layout.pki / "ca.crt"))
        context.load_cert_chain(self.layout.pki / "admin.crt", self.layout.pki / "admin.key")
        direct = urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        try:
            with urllib.request.build_opener(*direct).open(state.server + path, timeout=10):
                return True
        except (OSError, http.client.HTTPException):  # nobody answers, or it is a refusal
            return False

    def _containerd_answers(self) -> bool:
        try:
            Containerd(self.layout).ctr("version")
        except ClusterError:
            return False
        return True

    def _wait(self, what: str, check: "processes.Check", through: str = "") -> None:
        """Wait, unless a component has died; with `through`, one of those that start before it, or it itself."""
        began = time.monotonic()
        processes.wait_for(what, check, _READY_SECONDS, lambda: self._raise_if_dead(through))
        if time.monotonic() - began > 0.3:
            self._console.say(f"waited for {what}")

    def _raise_if_dead(self, through: str) -> None:
        logs = {path.stem for path in self.logs.glob("*.log")}
        order = components.CONTROL_PLANE + components.NODE
        started = order[: order.index(through) + 1] if through else order
        dead = [name for name in self.stopped() if name in logs and name in started]
        if dead:
            tails = "\n".join(processes.log_tail(self._log(name)) for name in dead)
            raise ClusterError(f"{', '.join(dead)} ended unexpectedly\n{tails}")

    def _require(self, name: str) -> State:
        state = State.load(self.layout.root)
        if state is None:
            raise ClusterError(f"cluster {self.layout.name} is not up")
        if name not in components.names(state):
            raise ClusterError(f"no component {name!r}; there are {', '.join(components.names(state))}")
        return state

    def _log(self, component: str) -> Path:
        return self.logs / f"{component}.log"

    @contextmanager
    def _lock(self, timeout_seconds: float = 120) -> Iterator[None]:
        state_root().mkdir(exist_ok=True)
        deadline = time.monotonic() + timeout_seconds
        with (state_root() / f"{self.layout.name}.lock").open("w") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise ClusterError(f"another command works on cluster {self.layout.name}") from None
                    time.sleep(0.2)
            yield


def _node_ready(client: Kubectl) -> bool:
    if not client.succeeds("get", "node", pki.NODE_NAME):
        return False
    found = client.get("node", pki.NODE_NAME)
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in found["status"].get("conditions", []))
    return ready and not found["spec"].get("taints")


def _advertise_gpus(client: Kubectl, count: int) -> None:
    # Allocatable too: the kubelet would copy it from the capacity only at its next status update, 10 s later.
    patch = [
        {"op": "add", "path": f"/status/{field}/nvidia.com~1gpu", "value": str(count)}
        for field in ("capacity", "allocatable")
    ]
    client.run("patch", "node", pki.NODE_NAME, "--subresource=status", "--type=json", f"--patch={json.dumps(patch)}")
