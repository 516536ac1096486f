"""Command line: `python -m tests.cluster up | down | status | ...`."""

import argparse
import sys

from tests.cluster.cluster import Cluster
from tests.cluster.errors import ClusterError
from tests.cluster.layout import existing_names


def main(argv: list[str] | None = None) -> int:
    """Run one command and return the exit code: 0 done, 1 failed (status: not up), 2 wrong usage."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.run(arguments) or 0)
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description="A real single-node Kubernetes.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: object, help_text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=help_text, description=help_text)
        added.add_argument("--name", default="local", help="name of the cluster (default: local)")
        added.set_defaults(run=run)
        return added

    up = command("up", _up, "Start the cluster, or what is missing of it, and wait until it is ready")
    up.add_argument("--control-plane-only", action="store_true", help="no node: pods stay Pending; needs no root")
    up.add_argument("--gpus", type=int, default=2, help="how many nvidia.com/gpu the node offers (default: 2)")
    command("down", _down, "End the cluster and remove all that it made on this machine")
    command("status", _status, "Show the clusters of this repository and their components")
    command("kubeconfig", _kubeconfig, "Print the path of the administrator's kubeconfig")
    for name, run in (("stop", _stop), ("start", _start)):
        single = command(name, run, f"{name.capitalize()} one component alone")
        single.add_argument("component", metavar="COMPONENT", help="for example kube-apiserver")
    return parser


def _up(arguments: argparse.Namespace) -> None:
    Cluster(arguments.name, arguments.control_plane_only, arguments.gpus).up()


def _down(arguments: argparse.Namespace) -> None:
    Cluster(arguments.name).down()


def _status(arguments: argparse.Namespace) -> int:
    for name in existing_names():
        stopped = Cluster(name).stopped()
        print(f"{name}: {'up' if not stopped else 'not running: ' + ', '.join(stopped)}")
    return 0 if arguments.name in existing_names() and not Cluster(arguments.name).stopped() else 1


def _kubeconfig(arguments: argparse.Namespace) -> None:
    cluster = Cluster(arguments.name)
    if not cluster.kubeconfig.exists():
        raise ClusterError(f"cluster {arguments.name} is not up")
    print(cluster.kubeconfig)


def _stop(arguments: argparse.Namespace) -> None:
    Cluster(arguments.name).stop_component(arguments.component)


def _start(arguments: argparse.Namespace) -> None:
    Cluster(arguments.name).start_component(arguments.component)


if __name__ == "__main__":
    sys.exit(main())
