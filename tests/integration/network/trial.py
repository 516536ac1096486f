"""Opens connections between pods before and under the chart's NetworkPolicies; prints as JSON which ones came about.

To be run where it can't touch the machine's own network:
`unshare --net --mount python -m tests.integration.network.trial PATH-OF-KUBE-ROUTER`.
"""

import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hack.generate.files import MONITORING
from hack.localcluster import Cluster
from hack.localcluster.host import run
from hack.prepare.helm import render
from hack.processes import end
from nnunet_api.fold_key import FoldKey
from nnunet_api.labels import STAGE_FOLD, STAGE_PLAN, child_labels
from nnunet_cli.volumes.helper import Image, helper_pod
from tests.integration.network.wires import NODE, Way, Wires
from tests.support.api import wait_for
from tests.support.kube import Kube, Object

METRICS, OTHER, OPERATOR_METRICS = 8080, 8081, 9090
PORTS = (METRICS, OTHER, OPERATOR_METRICS)
WAIT_SECONDS = 90.0


def pods(objects: list[Object]) -> dict[str, tuple[str, dict[str, str]]]:
    """Return namespace and labels of each pod: those that there are, and some that look like them."""
    (deployment,) = [thing for thing in objects if thing["kind"] == "Deployment"]
    operator: dict[str, str] = deployment["spec"]["template"]["metadata"]["labels"]
    prometheus = {"app.kubernetes.io/name": "prometheus"}
    helper = helper_pod("trainings", "nnunet-raw", Image("trainer:1"), "", read_only=True)
    return {
        "fold": ("trainings", child_labels("hippo", STAGE_FOLD, FoldKey("2d", "0"))),
        "plan": ("trainings", child_labels("hippo", STAGE_PLAN)),
        "operator": ("nnunet-system", operator),
        "prometheus": ("monitoring", prometheus),
        "grafana": ("monitoring", {"app.kubernetes.io/name": "grafana"}),
        "helper": ("trainings", helper["metadata"]["labels"]),
        "neighbour": ("trainings", {"app": "notebook"}),
        "operator-elsewhere": ("elsewhere", operator),
        "prometheus-elsewhere": ("elsewhere", prometheus),
    }


@contextmanager
def enforced(program: Path, kubeconfig: Path, folder: Path) -> Iterator[None]:
    """Run kube-router, only as the filter that it makes of NetworkPolicies."""
    off = [f"--run-{part}=false" for part in ("router", "service-proxy", "loadbalancer")]
    command = [str(program), "--run-firewall=true", *off, f"--kubeconfig={kubeconfig}", f"--hostname-override={NODE}"]
    with (folder / "log").open("w") as log:
        router = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield
    except AssertionError as error:
        raise AssertionError(f"{error}\n{(folder / 'log').read_text()[-2000:]}") from None
    finally:
        end(router)


def wait_shut(wires: Wires, ways: list[Way]) -> None:
    """Wait until nothing gets through on any of these ways."""
    deadline = time.monotonic() + WAIT_SECONDS
    while still := wires.open(ways):
        assert time.monotonic() < deadline, f"waited {WAIT_SECONDS:.0f} s for these to be shut: {still}"
        time.sleep(0.2)


def main() -> int:
    """Print {"before": [[from, to, port], ...], "under": [...]}: the connections that came about."""
    program = Path(sys.argv[1])
    run("mount", "-t", "tmpfs", "tmpfs", _made("/run/netns"))
    run("ip", "link", "set", "lo", "up")
    objects = render(MONITORING)
    policies = [thing for thing in objects if thing["kind"] == "NetworkPolicy"]
    wanted = pods(objects)
    ways = [
        (source, target, port)
        for source, target, port in itertools.product([*wanted, NODE], wanted, PORTS)
        if source != target and target in ("fold", "plan", "operator", "helper", "neighbour")
    ]
    with Cluster(name="network", control_plane_only=True) as cluster, tempfile.TemporaryDirectory() as folder:
        kube = Kube(cluster.kubectl, cluster.kubeconfig)
        spaces = {namespace for namespace, _ in wanted.values()}
        for namespace in spaces:
            kube.api.create("namespaces", {"metadata": {"name": namespace}})
        for namespace in spaces:  # without it no pod is made
            wait_for("the default account", lambda: kube.api.get("serviceaccounts", namespace, "default"))  # noqa: B023
        with Wires(kube.api) as wires:
            for name, (namespace, labels) in wanted.items():
                wires.add_pod(name, namespace, labels, PORTS)
            before = wires.open(ways)
            kube.apply(*policies)
            with enforced(program, cluster.kubeconfig, Path(folder)):
                wait_shut(wires, [("grafana", target, OTHER) for target in ("fold", "plan", "operator", "helper")])
                print(json.dumps({"ways": ways, "before": before, "under": wires.open(ways)}))
    return 0


def _made(folder: str) -> str:
    Path(folder).mkdir(exist_ok=True)
    return folder


if __name__ == "__main__":
    sys.exit(main())
