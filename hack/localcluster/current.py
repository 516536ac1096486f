"""The cluster that the user already has, in place of the local one: CLUSTER=current."""

import os
import shutil
from pathlib import Path

from hack.localcluster.cluster import Cluster
from hack.localcluster.console import Console
from hack.localcluster.errors import ClusterError
from hack.localcluster.host import run
from hack.localcluster.images import find_engine, image_id
from hack.localcluster.kubectl import Kubectl


class CurrentCluster(Cluster):
    """The cluster of the kubeconfig's current context; images go through the registry $IMAGE_REGISTRY.

    The context is pinned at `up`: switching it elsewhere meanwhile changes nothing.
    """

    def __init__(self) -> None:
        """Describe the cluster; nothing happens before `up`."""
        super().__init__(name="current")

    def up(self) -> None:
        """Check that the cluster can be reached, that its user may manage it, and that there is a registry.

        Raises:
            ClusterError: One of these is not so; the message says what to set.
        """
        console = Console()
        registry()
        config = Kubectl(None).run("config", "view", "--minify", "--flatten", "--raw")
        self.layout.root.mkdir(parents=True, exist_ok=True)
        self.kubeconfig.touch(mode=0o600)
        self.kubeconfig.write_text(config)
        context = self.client().run("config", "current-context").strip()
        self.client().run("get", "--raw=/readyz")
        if not self.client().succeeds("auth", "can-i", "create", "customresourcedefinitions"):
            raise ClusterError(f"the user of context {context} may not create CustomResourceDefinitions")
        console.say(f"using the cluster of context {context}")

    @property
    def helm(self) -> Path:
        """The user's helm. Raises ClusterError where there is none."""
        found = shutil.which("helm")
        if not found:
            raise ClusterError(
                "helm is missing: CLUSTER=current needs it on PATH, see https://helm.sh/docs/intro/install"
            )
        return Path(found)

    def down(self) -> None:
        """Forget the pinned context; the cluster itself is left alone."""
        self.kubeconfig.unlink(missing_ok=True)

    def load_image(self, reference: str) -> str:
        """Push an image to the registry; return the name that pods must use."""
        console = Console()
        target = registry_reference(reference, registry())
        engine = find_engine()
        image_id(engine, reference)  # raises with the remedy when there is none
        if engine.program == "buildah":
            run("buildah", "push", "--quiet", reference, f"docker://{target}")
        else:
            run(engine.program, "tag", reference, target)
            run(engine.program, "push", target)
        console.say(f"pushed {target}")
        return target

    def make_volume(self, name: str, namespace: str = "default", size: str = "10Gi", limited: bool = False) -> Path:
        """Not possible here: the folder behind a claim is on the cluster's own storage."""
        raise ClusterError(
            f"CLUSTER=current: make the claim {namespace}/{name} (ReadWriteMany, {size}) on your cluster's storage"
        )

    def stop_component(self, name: str, grace_seconds: float = 5) -> None:
        """Not possible here: only the local cluster's components may be stopped."""
        raise ClusterError(f"CLUSTER=current: {name} is not ours to stop; unset CLUSTER to use the local cluster")

    def start_component(self, name: str) -> None:
        """Not possible here, like `stop_component`."""
        self.stop_component(name)

    def stopped(self) -> list[str]:
        """Return `kube-apiserver` when the cluster can't be reached."""
        return [] if self.client().succeeds("get", "--raw=/readyz") else ["kube-apiserver"]


def registry() -> str:
    """Return $IMAGE_REGISTRY, for example registry.example.org/imaging."""
    name = os.environ.get("IMAGE_REGISTRY", "").strip().rstrip("/")
    if not name:
        raise ClusterError(
            "CLUSTER=current needs IMAGE_REGISTRY: the registry and path, without a tag, that the cluster pulls "
            "images from and that you may push to, for example IMAGE_REGISTRY=registry.example.org/imaging"
        )
    return name


def registry_reference(reference: str, name: str) -> str:
    """Return the name in registry `name` of an image that was built here: only its last part and tag are kept."""
    return f"{name}/{reference.rsplit('/', 1)[-1]}"


def cluster_from_environment(name: str = "local") -> Cluster:
    """Return the cluster that $CLUSTER chooses: `current`, or by default the local one.

    Raises ClusterError for any other value.
    """
    choice = os.environ.get("CLUSTER", "")
    if choice == "current":
        return CurrentCluster()
    if choice in ("", "local"):
        return Cluster(name)
    raise ClusterError(f"CLUSTER={choice!r}: use `current` for the kubeconfig's current cluster, or unset it")
