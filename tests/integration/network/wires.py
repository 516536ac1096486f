"""Pods as network namespaces of this machine, each with one wire to a router: no kubelet, but real packets."""

import itertools
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from hack.localcluster.host import run, write_sysctl
from tests.support.api import Api, Object

NODE = "router"
GATEWAY = "10.99.0.1"
_CONNECT_SECONDS = 1.0
_LISTEN = """
import socket, sys, threading
listening = [socket.create_server(("", int(port))) for port in sys.argv[1:]]
print("listening", flush=True)
threading.Event().wait()
"""
_CONNECT = """
import concurrent.futures, json, socket, sys
def connects(where):
    try:
        socket.create_connection(tuple(where), float(sys.argv[1])).close()
    except OSError:
        return False
    return True
with concurrent.futures.ThreadPoolExecutor(64) as pool:
    print(json.dumps(list(pool.map(connects, json.loads(sys.argv[2])))))
"""

Way = tuple[str, str, int]
"""From a pod, or the node, to a port of a pod."""


class Wires:
    """A context manager: a node and its pods, in the API and in the network namespace that this process is in."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._addresses: dict[str, str] = {}
        self._servers: list[subprocess.Popen[str]] = []

    def __enter__(self) -> "Wires":
        write_sysctl("net/ipv4/ip_forward", "1")
        self._api.create("nodes", {"metadata": {"name": NODE}})
        self._report("nodes", NODE, "", {"addresses": [{"type": "InternalIP", "address": GATEWAY}]})
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            server.terminate()
            server.wait(10)

    def add_pod(self, name: str, namespace: str, labels: dict[str, str], ports: tuple[int, ...]) -> None:
        """Add a pod that listens on these ports."""
        number = len(self._addresses) + 10
        address, wire = f"10.99.0.{number}", f"pod{number}"
        self._addresses[name] = address
        run("ip", "netns", "add", name)
        run("ip", "link", "add", wire, "type", "veth", "peer", "name", "eth0", "netns", name)
        run("ip", "address", "add", f"{GATEWAY}/32", "dev", wire)
        run("ip", "link", "set", wire, "up")
        run("ip", "route", "add", f"{address}/32", "dev", wire)
        inside = ("ip", "-netns", name)
        run(*inside, "address", "add", f"{address}/32", "dev", "eth0")
        run(*inside, "link", "set", "eth0", "up")
        run(*inside, "route", "add", GATEWAY, "dev", "eth0", "scope", "link")
        run(*inside, "route", "add", "default", "via", GATEWAY)
        command = ["ip", "netns", "exec", name, sys.executable, "-c", _LISTEN, *map(str, ports)]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._servers.append(server)
        assert server.stdout is not None
        assert server.stdout.readline() == "listening\n", f"pod {name} can't listen on {ports}"
        spec = {"nodeName": NODE, "containers": [{"name": "main", "image": "none"}]}
        metadata = {"name": name, "namespace": namespace, "labels": labels}
        self._api.create("pods", {"metadata": metadata, "spec": spec})
        status: Object = {"phase": "Running", "hostIP": GATEWAY, "podIP": address, "podIPs": [{"ip": address}]}
        self._report("pods", name, namespace, status)

    def _report(self, kind: str, name: str, namespace: str, status: Object) -> None:
        self._api.merge(kind, namespace, name, {"status": status}, sub="status")

    def _open_from(self, source: str, ways: list[Way]) -> list[Way]:
        """Return those ways on which a connection comes about, all of which begin at one pod: one process tries all."""
        inside = [] if source == NODE else ["ip", "netns", "exec", source]
        where = json.dumps([(self._addresses[target], port) for _, target, port in ways])
        command = [*inside, sys.executable, "-S", "-c", _CONNECT, str(_CONNECT_SECONDS), where]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=90, check=True)
        return [way for way, connected in zip(ways, json.loads(done.stdout), strict=True) if connected]

    def open(self, ways: list[Way]) -> list[Way]:
        """Return those ways on which a connection comes about, in their order."""
        sources = list(dict.fromkeys(source for source, _, _ in ways))
        with ThreadPoolExecutor(len(sources)) as pool:
            each = pool.map(self._open_from, sources, ([way for way in ways if way[0] == one] for one in sources))
            found = set(itertools.chain.from_iterable(each))
        return [way for way in ways if way in found]
