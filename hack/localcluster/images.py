"""Images in the node's containerd: the pause image that is made here, and images that were built elsewhere."""

import hashlib
import io
import json
import subprocess
import tarfile
import tempfile
from pathlib import Path

from hack.images.engine import Engine, ImageError
from hack.localcluster.console import Console
from hack.localcluster.errors import ClusterError
from hack.localcluster.host import run
from hack.localcluster.layout import Layout
from hack.localcluster.node import PAUSE_IMAGE


class Containerd:
    """The node's image store, in the namespace that the kubelet uses."""

    def __init__(self, layout: Layout) -> None:
        """Talk to the containerd of one cluster."""
        self._base = ("ctr", f"--address={layout.containerd_socket}", "--namespace=k8s.io")

    def command(self, *args: str) -> list[str]:
        """Return the command line of containerd's own tool."""
        return [*self._base, *args]

    def ctr(self, *args: str) -> str:
        """Run containerd's own tool."""
        return run(*self.command(*args))

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


def load_image(layout: Layout, reference: str, console: Console) -> None:
    """Copy an image from the engine that built it to the node, unless the node has it already.

    Raises ClusterError when the engine has no such image.
    """
    engine = find_engine()
    identity = image_id(engine, reference)
    record = layout.root / "loaded-images.json"
    loaded: dict[str, str] = json.loads(record.read_text()) if record.exists() else {}
    store = Containerd(layout)
    if loaded.get(reference) == identity and reference in store.references():
        console.say(f"{reference} is loaded already")
        return
    console.say(f"{reference}: copying from {engine.program} to the node")
    _pipe(_save_command(engine, reference), store.command("images", "import", "-"))
    record.write_text(json.dumps({**loaded, reference: identity}, indent=2))
    console.say(f"{reference}: loaded")


def find_engine() -> Engine:
    """Return the engine that holds the images which were built on this machine."""
    try:
        return Engine.find()
    except ImageError as error:
        raise ClusterError(str(error)) from error


def image_id(engine: Engine, reference: str) -> str:
    """Return the id of an image in the engine's store, which changes with its content."""
    if engine.program == "buildah":
        command = ["buildah", "inspect", "--type=image", "--format={{.FromImageID}}", reference]
    else:
        command = [engine.program, "image", "inspect", "--format={{.Id}}", reference]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ClusterError(f"{engine.program} has no image {reference}: build it first (make images)")
    return done.stdout.strip()


def _save_command(engine: Engine, reference: str) -> list[str]:
    if engine.program == "buildah":
        return ["buildah", "push", "--quiet", reference, f"docker-archive:/dev/stdout:{reference}"]
    return [engine.program, "save", reference]


def _pipe(source: list[str], sink: list[str]) -> None:
    # Through a pipe, because a file in between takes 1.5 times as long; so does an OCI archive, which buildah
    # puts into a folder first.
    with tempfile.TemporaryFile() as errors:
        saving = subprocess.Popen(source, stdout=subprocess.PIPE, stderr=errors)
        importing = subprocess.run(sink, stdin=saving.stdout, stdout=subprocess.DEVNULL, stderr=errors, check=False)
        assert saving.stdout is not None
        saving.stdout.close()
        if saving.wait() != 0 or importing.returncode != 0:
            errors.seek(0)
            raise ClusterError(f"{' '.join(source)} | {' '.join(sink)}: {errors.read().decode().strip()[-800:]}")


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
