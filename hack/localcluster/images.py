"""Images in the node's containerd: the pause image that is made here, and images that were built elsewhere."""

import contextlib
import hashlib
import io
import json
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from hack.images.engine import Engine, ImageError
from hack.localcluster.console import Console
from hack.localcluster.errors import ClusterError
from hack.localcluster.host import run
from hack.localcluster.layout import Layout
from hack.localcluster.node import PAUSE_IMAGE

_BLOCK_BYTES = 1 << 20
_OCI = "application/vnd.oci.image"


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

    def layers(self) -> set[str]:
        """Return the digests of all that images here are made of, layers among them."""
        return set(self.ctr("content", "list", "--quiet").split())


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
    layers = layers_of(engine, reference)
    there = store.layers() & set(layers)
    if layers and there == set(layers) and (alone := _description_alone(reference, layers)):
        _import(store, alone)
    else:
        _pipe(_save_command(engine, reference), store.command("images", "import", "-"), Sieve(reference, there))
    record.write_text(json.dumps({**loaded, reference: identity}, indent=2))
    console.say(f"{reference}: loaded")


class Sieve:
    """Passes an image on without the layers that the node has: it comes as `docker save` writes it and goes as an OCI
    archive, of which a part may be missing."""

    def __init__(self, reference: str, there: set[str]) -> None:
        """`there` are the digests of those layers."""
        self.there = there
        self._reference = reference

    def pass_on(self, source: IO[bytes], sink: IO[bytes]) -> None:
        """Read an image and write what is missing of it."""
        sizes: dict[str, int] = {}
        small: dict[str, bytes] = {}
        with (
            tarfile.open(fileobj=source, mode="r|", bufsize=_BLOCK_BYTES) as read,
            tarfile.open(fileobj=sink, mode="w|", bufsize=_BLOCK_BYTES) as written,
        ):
            for entry in read:
                digest = f"sha256:{entry.name.removesuffix('.tar')}"
                content = read.extractfile(entry) if entry.isreg() else None
                if content is None:
                    continue  # a link to a layer, by its name of old
                if not entry.name.endswith(".tar"):
                    small[entry.name] = content.read()
                    continue
                sizes[digest] = entry.size
                if digest not in self.there:
                    _add(written, _blob(digest), entry.size, content)
            for name, data in self._description(small, sizes).items():
                _add(written, name, len(data), io.BytesIO(data))
        while source.read(_BLOCK_BYTES):  # what fills the last block up
            pass

    def _description(self, small: Mapping[str, bytes], sizes: Mapping[str, int]) -> dict[str, bytes]:
        (image,) = json.loads(small["manifest.json"])
        config = small[image["Config"]]
        layers = [f"sha256:{name.removesuffix('.tar')}" for name in image["Layers"]]
        manifest = {
            "schemaVersion": 2,
            "mediaType": f"{_OCI}.manifest.v1+json",
            "config": _described("config.v1+json", config),
            "layers": [{"mediaType": f"{_OCI}.layer.v1.tar", "digest": of, "size": sizes[of]} for of in layers],
        }
        return description(self._reference, config, json.dumps(manifest).encode())


def description(reference: str, config: bytes, manifest: bytes) -> dict[str, bytes]:
    """Return the files of an OCI archive, by name, without layers."""
    named = {**_described("manifest.v1+json", manifest), "annotations": {"io.containerd.image.name": reference}}
    return {
        _blob(_digest(config)): config,
        _blob(_digest(manifest)): manifest,
        "oci-layout": json.dumps({"imageLayoutVersion": "1.0.0"}).encode(),
        "index.json": json.dumps({"schemaVersion": 2, "manifests": [named]}).encode(),
    }


def _description_alone(reference: str, layers: list[str]) -> dict[str, bytes] | None:
    """Return the description of an image that buildah has; None where it names layers otherwise than their content."""
    manifest = _inspected(reference, "{{.Manifest}}")
    named = [layer["digest"] for layer in json.loads(manifest)["layers"]]
    return description(reference, _inspected(reference, "{{.Config}}"), manifest) if named == layers else None


def _import(store: Containerd, files: dict[str, bytes]) -> None:
    with tempfile.NamedTemporaryFile(suffix=".tar") as archive:
        archive.write(_tar(files, mode=0o644))
        archive.flush()
        store.ctr("images", "import", archive.name)


def _described(kind: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": f"{_OCI}.{kind}", "digest": _digest(data), "size": len(data)}


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _blob(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _add(archive: tarfile.TarFile, name: str, size: int, content: IO[bytes]) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = size
    archive.addfile(entry, content)


def layers_of(engine: Engine, reference: str) -> list[str]:
    """Return the digests of an image's layers; none where the engine writes images otherwise than buildah does."""
    if engine.program != "buildah":
        return []
    return _inspected(reference, "{{range .OCIv1.RootFS.DiffIDs}}{{.}} {{end}}").decode().split()


def _inspected(reference: str, template: str) -> bytes:
    """Return what buildah's template gives of an image, without the end of the line."""
    return run("buildah", "inspect", "--type=image", f"--format={template}", reference).rstrip("\n").encode()


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


def _pipe(source: list[str], sink: list[str], sieve: Sieve) -> None:
    # Through a pipe, because a file in between takes 1.5 times as long; so does an OCI archive, which buildah
    # puts into a folder first.
    with tempfile.TemporaryFile() as errors:
        saving = subprocess.Popen(source, stdout=subprocess.PIPE, stderr=errors)
        assert saving.stdout is not None
        given = subprocess.PIPE if sieve.there else saving.stdout
        importing = subprocess.Popen(sink, stdin=given, stdout=subprocess.DEVNULL, stderr=errors)
        if importing.stdin is not None:
            with contextlib.suppress(BrokenPipeError, tarfile.ReadError), importing.stdin:
                sieve.pass_on(saving.stdout, importing.stdin)
        saving.stdout.close()
        if saving.wait() != 0 or importing.wait() != 0:
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
