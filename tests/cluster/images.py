"""Images in the node's containerd: the pause image that is made here, and images that were built elsewhere."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

from tests.cluster.host import run
from tests.cluster.layout import Layout
from tests.cluster.node import PAUSE_IMAGE


class Containerd:
    """The node's image store, in the namespace that the kubelet uses."""

    def __init__(self, layout: Layout) -> None:
        """Talk to the containerd of one cluster."""
        self._base = ("ctr", f"--address={layout.containerd_socket}", "--namespace=k8s.io")

    def ctr(self, *args: str) -> str:
        """Run containerd's own command line tool."""
        return run(*self._base, *args)

    def references(self) -> set[str]:
        """Return the names of all images."""
        return set(self.ctr("images", "list", "--quiet").split())


def ensure_pause_image(layout: Layout, program: Path) -> None:
    """Make the image of the pods' sandboxes, which holds `program` and nothing else."""
    store = Containerd(layout)
    if PAUSE_IMAGE in store.references():
        return
    archive = layout.root / "pause.tar"
    write_image_archive(archive, PAUSE_IMAGE, program)
    store.ctr("images", "import", str(archive))
    archive.unlink()


def write_image_archive(archive: Path, reference: str, program: Path) -> None:
    """Write an image with one static program, its entry point, in the format of `docker save`."""
    layer = _tar({"pause": program.read_bytes()}, mode=0o755)
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": ["/pause"], "User": "65535:65535"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [reference], "Layers": ["layer.tar"]}]
    files = {
        "config.json": json.dumps(config).encode(),
        "layer.tar": layer,
        "manifest.json": json.dumps(manifest).encode(),
    }
    archive.write_bytes(_tar(files, mode=0o644))


def _tar(files: dict[str, bytes], mode: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
