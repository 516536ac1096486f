"""Command line: `python -m hack.localcluster up | down | status | ...`."""

import argparse
import sys
from collections.abc import Callable

from hack.localcluster.cluster import Cluster
from hack.localcluster.current import CurrentCluster, cluster_from_environment
from hack.localcluster.errors import ClusterError
from hack.localcluster.layout import existing_names

_ENVIRONMENT = """environment:
  CLUSTER=current    use the cluster of the kubeconfig's current context instead of a local one
  IMAGE_REGISTRY     with CLUSTER=current: where `load` pushes images to, e.g. registry.example.org/imaging
  NNUNET_BUILD_CACHE folder of the built binaries (default: .cache in the repository)
"""


def main(argv: list[str] | None = None) -> int:
    """Run one command and return the exit code: 0 done, 1 failed (status: not up), 2 wrong usage."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.run(arguments) or 0)
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m hack.localcluster",
        description="A real single-node Kubernetes for the demo and the tests.",
        epilog=_ENVIRONMENT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], int | None], help_text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=help_text, description=help_text)
        added.add_argument("--name", default="local", help="name of the cluster (default: local)")
        added.set_defaults(run=run)
        return added

    up = command("up", _up, "Start the cluster, or what is missing of it, and wait until it is ready")
    up.add_argument("--control-plane-only", action="store_true", help="no node: pods stay Pending; needs no root")
    up.add_argument("--gpus", type=int, default=2, help="how many nvidia.com/gpu the node offers (default: 2)")
    down = command("down", _down, "End the cluster and remove all that it made on this machine, its volumes included")
    down.add_argument("--all", action="store_true", help="all clusters of this repository")
    command("status", _status, "Show the clusters of this repository and what of them does not run")
    command("kubeconfig", _kubeconfig, "Print the path of the administrator's kubeconfig")
    load = command("load", _load, "Copy images to the node and print the names that pods must use")
    load.add_argument("images", nargs="+", metavar="IMAGE", help="name of an image built on this machine")
    volume = command("volume", _volume, "Make a bound ReadWriteMany claim and print the folder behind it")
    volume.add_argument("claim", metavar="CLAIM", help="name of the claim")
    volume.add_argument("--namespace", default="default", help="namespace of the claim, which must exist")
    volume.add_argument("--size", default="10Gi", help="size as a Kubernetes quantity (default: 10Gi)")
    volume.add_argument("--limited", action="store_true", help="writes beyond the size fail; kept in memory")
    for name, run in (("stop", _stop), ("start", _start)):
        single = command(name, run, f"{name.capitalize()} one component alone")
        single.add_argument("component", metavar="COMPONENT", help="for example kube-apiserver")
    return parser


def _cluster(arguments: argparse.Namespace) -> Cluster:
    return cluster_from_environment(arguments.name)


def _local_clusters() -> list[Cluster]:
    return [Cluster(name) for name in existing_names() if name != "current"]


def _up(arguments: argparse.Namespace) -> None:
    chosen = _cluster(arguments)
    if arguments.control_plane_only or not isinstance(chosen, CurrentCluster):
        chosen = Cluster(arguments.name, arguments.control_plane_only, arguments.gpus)
    chosen.up()


def _down(arguments: argparse.Namespace) -> None:
    for cluster in _local_clusters() if arguments.all else [_cluster(arguments)]:
        cluster.down()


def _status(arguments: argparse.Namespace) -> int:
    chosen = _cluster(arguments)
    for cluster in [chosen] if isinstance(chosen, CurrentCluster) else _local_clusters():
        stopped = cluster.stopped()
        print(f"{cluster.layout.name}: {'up' if not stopped else 'not running: ' + ', '.join(stopped)}")
    if not chosen.stopped():
        return 0
    print(f"{chosen.layout.name} is not up", file=sys.stderr)
    return 1


def _kubeconfig(arguments: argparse.Namespace) -> None:
    chosen = _cluster(arguments)
    if not chosen.kubeconfig.exists():
        raise ClusterError(f"cluster {chosen.layout.name} is not up")
    print(chosen.kubeconfig)


def _load(arguments: argparse.Namespace) -> None:
    chosen = _cluster(arguments)
    for image in arguments.images:
        print(chosen.load_image(image))


def _volume(arguments: argparse.Namespace) -> None:
    print(_cluster(arguments).make_volume(arguments.claim, arguments.namespace, arguments.size, arguments.limited))


def _stop(arguments: argparse.Namespace) -> None:
    _cluster(arguments).stop_component(arguments.component)


def _start(arguments: argparse.Namespace) -> None:
    _cluster(arguments).start_component(arguments.component)


if __name__ == "__main__":
    sys.exit(main())
