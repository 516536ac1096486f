"""The command line of each component. Pure: what is written here is what `ps` shows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hack.localcluster.build import Binaries
from hack.localcluster.layout import Layout
from hack.localcluster.pki import NODE_NAME
from hack.localcluster.state import BRIDGE_ADDRESS, State

POD_RANGE = "10.244.0.0/24"
SERVICE_RANGE = "10.96.0.0/16"
CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
NODE = ("containerd", "kubelet", "kube-proxy")
KUBECONFIG_USERS = ("kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "admin")

# High client limits: tests measure the operator, and 20 requests/s would make 300 Jobs take 30 s to get their pods.
_FAST = ("--kube-api-qps=1000", "--kube-api-burst=2000")


@dataclass(frozen=True)
class Component:
    """One process: its name, its program and its arguments (without the program's name)."""

    name: str
    executable: Path
    arguments: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)


def component(name: str, layout: Layout, state: State, binaries: Binaries) -> Component:
    """Return how to start one component."""
    builders = {
        "etcd": _etcd,
        "kube-apiserver": _apiserver,
        "kube-controller-manager": _controller_manager,
        "kube-scheduler": _scheduler,
        "kubelet": _kubelet,
        "kube-proxy": _proxy,
    }
    if name == "containerd":
        arguments = (f"--config={layout.root / 'containerd.toml'}",)
        return Component(name, Path("/usr/bin/containerd"), arguments)
    return Component(name, binaries.kube, builders[name](layout, state))


def names(state: State) -> tuple[str, ...]:
    """Return the components of the cluster in the order in which they start."""
    return CONTROL_PLANE + NODE if state.full else CONTROL_PLANE


def user_kubeconfig(layout: Layout, user: str) -> Path:
    """Return the path of the kubeconfig of a component or of the administrator."""
    return layout.root / f"{user}.kubeconfig"


def _etcd_url(state: State) -> str:
    return f"http://127.0.0.1:{state.etcd_port}"


def _etcd(layout: Layout, state: State) -> tuple[str, ...]:
    return (f"--data-dir={layout.root / 'etcd'}", f"--listen-client-url={_etcd_url(state)}")


def _apiserver(layout: Layout, state: State) -> tuple[str, ...]:
    pki = layout.pki
    return (
        f"--etcd-servers={_etcd_url(state)}",
        f"--bind-address={state.address}",
        f"--advertise-address={state.address}",
        f"--secure-port={state.api_port}",
        # without pods nobody asks for the service `kubernetes`, and loopback may not be its endpoint
        f"--endpoint-reconciler-type={'lease' if state.full else 'none'}",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--anonymous-auth=false",
        "--allow-privileged=true",
        "--profiling=false",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--tls-cert-file={pki / 'apiserver.crt'}",
        f"--tls-private-key-file={pki / 'apiserver.key'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={pki / 'service-accounts.pub'}",
        f"--service-account-signing-key-file={pki / 'service-accounts.key'}",
        f"--kubelet-certificate-authority={pki / 'ca.crt'}",
        f"--kubelet-client-certificate={pki / 'apiserver-kubelet-client.crt'}",
        f"--kubelet-client-key={pki / 'apiserver-kubelet-client.key'}",
        "--kubelet-preferred-address-types=InternalIP",  # the node's name resolves nowhere
    )


def _controller_manager(layout: Layout, state: State) -> tuple[str, ...]:
    return (
        f"--kubeconfig={user_kubeconfig(layout, 'kube-controller-manager')}",
        "--leader-elect=false",
        "--secure-port=0",
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={layout.pki / 'service-accounts.key'}",
        f"--root-ca-file={layout.pki / 'ca.crt'}",
        *_FAST,
    )


def _scheduler(layout: Layout, state: State) -> tuple[str, ...]:
    return (
        f"--kubeconfig={user_kubeconfig(layout, 'kube-scheduler')}",
        "--leader-elect=false",
        "--secure-port=0",
        *_FAST,
    )


def _kubelet(layout: Layout, state: State) -> tuple[str, ...]:
    return (
        f"--kubeconfig={user_kubeconfig(layout, 'kubelet')}",
        f"--config={layout.root / 'kubelet.json'}",
        f"--root-dir={layout.kubelet}",
        f"--hostname-override={NODE_NAME}",
        f"--node-ip={BRIDGE_ADDRESS}",
    )


def _proxy(layout: Layout, state: State) -> tuple[str, ...]:
    return (
        f"--kubeconfig={user_kubeconfig(layout, 'kube-proxy')}",
        f"--hostname-override={NODE_NAME}",
        "--proxy-mode=iptables",
        f"--cluster-cidr={POD_RANGE}",
        "--iptables-localhost-nodeports=false",  # or it opens loopback to the network (route_localnet)
        "--conntrack-max-per-core=0",  # leave the machine's limits alone
        "--conntrack-tcp-timeout-established=0",
        "--conntrack-tcp-timeout-close-wait=0",
        "--healthz-bind-address=127.0.0.1:10256",
    )
