"""Where one local cluster keeps what it has: a state folder in the repository and a short folder under /run."""

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from hack.localcluster.errors import ClusterError

REPOSITORY = Path(__file__).resolve().parents[2]
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?")
_UNIX_PATH_LIMIT = 107  # bytes of sun_path in Linux, without the final NUL


def state_root() -> Path:
    """Return the folder that holds the state folders of all local clusters."""
    return REPOSITORY / ".cluster"


def cache_root() -> Path:
    """Return the folder of built binaries: $NNUNET_BUILD_CACHE or .cache in the repository."""
    return Path(os.environ.get("NNUNET_BUILD_CACHE") or REPOSITORY / ".cache").resolve()


@dataclass(frozen=True)
class Layout:
    """The folders of the cluster called `name`."""

    name: str

    def __post_init__(self) -> None:
        """Refuse names that don't fit into file, cgroup and network names."""
        if not _NAME.fullmatch(self.name):
            raise ClusterError(f"cluster name {self.name!r}: use 1-20 lower-case letters, digits and dashes")
        longest = self.kubelet / "pod-resources" / "1234567890"
        if len(os.fsencode(longest)) > _UNIX_PATH_LIMIT:
            raise ClusterError(
                f"{self.root}: too long for the kubelet's sockets; clone the repository to a shorter path"
            )

    @property
    def root(self) -> Path:
        """The state folder; `down` removes it."""
        return state_root() / self.name

    @property
    def key(self) -> str:
        """A name for /run, cgroups and CNI that no other checkout of the repository uses."""
        return f"nnunet-{self.name}-{hashlib.sha256(os.fsencode(self.root)).hexdigest()[:6]}"

    @property
    def run(self) -> Path:
        """Sockets and runtime state; short, because a unix socket's path may have 107 bytes."""
        return Path("/run") / self.key

    @property
    def pki(self) -> Path:
        """Certificates and keys."""
        return self.root / "pki"

    @property
    def logs(self) -> Path:
        """One log file for each component."""
        return self.root / "logs"

    @property
    def kubelet(self) -> Path:
        """The kubelet's root folder, which holds the pods' volumes."""
        return self.root / "kubelet"

    @property
    def volumes(self) -> Path:
        """The folders behind the persistent volumes."""
        return self.root / "volumes"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.root / "admin.kubeconfig"

    @property
    def containerd_socket(self) -> Path:
        """The socket of this cluster's containerd."""
        return self.run / "containerd.sock"


def existing_names() -> list[str]:
    """Return the names of the clusters that have a state folder, up or not."""
    root = state_root()
    return sorted(path.name for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
