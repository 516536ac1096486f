"""What a cluster must remember between commands, in one JSON file of its state folder."""

import json
import random
import socket
from dataclasses import asdict, dataclass, field
from pathlib import Path

from hack.localcluster.errors import ClusterError

BRIDGE_ADDRESS = "10.244.0.1"  # first address of the pod range: the node, as pods see it
_LOOPBACK = "127.0.0.1"
_FULL_API_PORT = 6443


@dataclass
class State:
    """Choices made at the first `up`, and what `down` has to give back."""

    full: bool
    api_port: int
    etcd_port: int
    gpus: int
    sysctls: dict[str, str] = field(default_factory=dict)  # values before `up` changed them
    chains: dict[str, list[str]] = field(default_factory=dict)  # packet filter chains that were there before `up`
    folders: list[str] = field(default_factory=list)  # folders outside the state folder that `up` made

    @property
    def address(self) -> str:
        """The address that the API server binds to: with pods, one that they reach; otherwise loopback."""
        return BRIDGE_ADDRESS if self.full else _LOOPBACK

    @property
    def server(self) -> str:
        """The API server's URL."""
        return f"https://{self.address}:{self.api_port}"

    def save(self, folder: Path) -> None:
        """Write the state, so that a kill at any moment leaves the old or the new one."""
        partial = folder / "state.json.partial"
        partial.write_text(json.dumps(asdict(self), indent=2))
        partial.rename(folder / "state.json")

    @classmethod
    def load(cls, folder: Path) -> "State | None":
        """Return the saved state, or None when there is none."""
        path = folder / "state.json"
        return cls(**json.loads(path.read_text())) if path.exists() else None

    @classmethod
    def new(cls, full: bool, gpus: int) -> "State":
        """Return the state of a new cluster, with ports that are free now."""
        etcd_port = _free_port()
        api_port = _FULL_API_PORT if full else _free_port(avoid=etcd_port)
        return cls(full=full, api_port=api_port, etcd_port=etcd_port, gpus=gpus)


def _free_port(avoid: int = 0) -> int:
    # Below the range that the kernel hands out to connections: a client that keeps trying to connect to a server that
    # is stopped on a port of that range may, on loopback, end up connected to itself. Below those of NodePort services,
    # too: a packet filter of a cluster with a node takes what is sent to them.
    for port in random.sample(range(20000, 30000), k=200):
        with socket.socket() as probe:
            try:
                probe.bind((_LOOPBACK, port))
            except OSError:
                continue
            if port != avoid:
                return port
    raise ClusterError("no free TCP port between 20000 and 30000 on 127.0.0.1")
