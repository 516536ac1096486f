"""Names, ports, certificates, volumes and image archives of the local cluster."""

import hashlib
import io
import json
import ssl
import stat
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from hack.localcluster import build, components, pki
from hack.localcluster.errors import ClusterError
from hack.localcluster.images import Sieve, write_image_archive
from hack.localcluster.layout import Layout
from hack.localcluster.state import State
from hack.localcluster.volumes import size_in_bytes

BINARIES = build.Binaries(kube=Path("/bin/kube"), helm=Path("/bin/helm"), pause=Path("/bin/pause"))


@pytest.mark.parametrize("name", ["", "Local", "a_b", "-a", "a" * 21, "../x"])
def test_a_name_that_does_not_fit_is_refused(name: str) -> None:
    """The error names the value and the remedy."""
    with pytest.raises(ClusterError, match="use 1-20 lower-case letters"):
        Layout(name)


def test_two_names_share_nothing() -> None:
    """Clusters of different names have different folders, sockets and cgroups."""
    one, other = Layout("one"), Layout("other")
    assert one.root != other.root
    assert one.run != other.run
    assert one.key != other.key
    assert len(str(one.containerd_socket)) < 60


def test_a_control_plane_listens_on_loopback_only() -> None:
    """No component of a control plane alone is reachable from another machine."""
    state = State.new(full=False, gpus=0)
    layout = Layout("unit")
    arguments = [
        argument
        for name in components.names(state)
        for argument in components.component(name, layout, state, BINARIES).arguments
    ]
    assert "--bind-address=127.0.0.1" in arguments
    assert arguments.count("--secure-port=0") == 2
    assert not any("0.0.0.0" in argument for argument in arguments)


def test_ports_are_not_ones_that_connections_get() -> None:
    """Clients that retry while the API server is down must not end up connected to themselves."""
    low, _ = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    state = State.new(full=False, gpus=0)
    assert max(state.api_port, state.etcd_port) < low
    assert state.api_port != state.etcd_port


def test_state_survives(tmp_path: Path) -> None:
    """What was saved is what is loaded; without a file there is no state."""
    state = State.new(full=True, gpus=3)
    state.sysctls = {"net/ipv4/ip_forward": "0"}
    assert State.load(tmp_path) is None
    state.save(tmp_path)
    assert State.load(tmp_path) == state


def test_certificates_fit_together(tmp_path: Path) -> None:
    """The server's and the clients' certificates load with their keys and are signed by the authority."""
    folder = tmp_path / "pki"
    pki.write_pki(folder, "10.244.0.1")
    for name in ("apiserver", "admin", "kubelet", "kube-scheduler"):
        context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
        context.load_cert_chain(folder / f"{name}.crt", folder / f"{name}.key")
        mode = stat.S_IMODE((folder / f"{name}.key").stat().st_mode)
        assert mode == 0o600, f"{name}.key is readable by others"


def test_certificates_are_made_once(tmp_path: Path) -> None:
    """A second `up` keeps them; a half-written folder of a killed `up` is replaced."""
    folder = tmp_path / "pki"
    (tmp_path / "pki.partial").mkdir()
    (tmp_path / "pki.partial" / "junk").touch()
    pki.write_pki(folder, "127.0.0.1")
    first = (folder / "ca.crt").read_bytes()
    pki.write_pki(folder, "127.0.0.1")
    assert (folder / "ca.crt").read_bytes() == first
    assert not (folder / "junk").exists()


@pytest.mark.parametrize(("size", "expected"), [("96Mi", 96 * 2**20), ("1Gi", 2**30), ("2G", 2 * 10**9), ("512", 512)])
def test_sizes(size: str, expected: int) -> None:
    """Kubernetes quantities become bytes."""
    assert size_in_bytes(size) == expected


@pytest.mark.parametrize("size", ["", "10Q", "-1Gi", "ten"])
def test_a_wrong_size_is_named(size: str) -> None:
    """The error shows the value and an example."""
    with pytest.raises(ClusterError, match="for example 10Gi"):
        size_in_bytes(size)


def test_image_archive_is_consistent(tmp_path: Path) -> None:
    """The layer's digest in the image's configuration is that of the layer; the program in it can be run."""
    program = tmp_path / "pause"
    program.write_bytes(b"program")
    archive = tmp_path / "image.tar"
    write_image_archive(archive, "localhost/x:1", program)
    with tarfile.open(archive) as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    manifest = json.loads(files["manifest.json"])[0]
    assert manifest["RepoTags"] == ["localhost/x:1"]
    layer = files[manifest["Layers"][0]]
    config = json.loads(files[manifest["Config"]])
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        member = tar.getmember(config["config"]["Entrypoint"][0].lstrip("/"))
        assert member.mode & 0o111


def docker_archive(config: bytes, layers: Sequence[bytes]) -> io.BytesIO:
    """Return an image as buildah writes it: by the digests of its parts, and by links with the names of old."""
    names = [f"{hashlib.sha256(layer).hexdigest()}.tar" for layer in layers]
    of_config = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = [{"Config": of_config, "RepoTags": ["localhost/x:1"], "Layers": names}]
    files = dict(zip(names, layers, strict=True))
    files |= {of_config: config, "manifest.json": json.dumps(manifest).encode()}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        link = tarfile.TarInfo("old/layer.tar")
        link.type, link.linkname = tarfile.SYMTYPE, f"../{names[0]}"
        archive.addfile(link)
    buffer.seek(0)
    return buffer


def test_an_image_goes_without_the_layers_that_the_node_has() -> None:
    """As an OCI archive, in which each part is named by its digest and the whole names all of them."""
    config, base, own = b'{"rootfs": {}}', b"b" * 100_000, b"own"
    digests = [f"sha256:{hashlib.sha256(part).hexdigest()}" for part in (config, base, own)]
    sent = io.BytesIO()
    Sieve("localhost/x:1", {digests[1]}).pass_on(docker_archive(config, [base, own]), sent)
    sent.seek(0)
    with tarfile.open(fileobj=sent) as archive:
        files = {entry.name: archive.extractfile(entry).read() for entry in archive}  # type: ignore[union-attr]
    (named,) = json.loads(files["index.json"])["manifests"]
    assert named["annotations"]["io.containerd.image.name"] == "localhost/x:1"
    blobs = {name.removeprefix("blobs/sha256/"): data for name, data in files.items() if name.startswith("blobs/")}
    assert all(hashlib.sha256(data).hexdigest() == name for name, data in blobs.items())
    manifest = json.loads(blobs[named["digest"].removeprefix("sha256:")])
    assert [part["digest"] for part in (manifest["config"], *manifest["layers"])] == digests
    assert [layer["size"] for layer in manifest["layers"]] == [len(base), len(own)]
    assert sorted(blobs.values(), key=len)[:2] == [own, config] and len(blobs) == 3, "the base is not sent"


@pytest.mark.parametrize(
    ("what", "number", "told"),
    [
        ("Kubernetes", 712, "step 712, about 24 %"),
        ("Kubernetes", 4000, "step 4000"),
        ("helm", 9, "step 9"),
    ],
)
def test_how_far_a_build_is(what: str, number: int, told: str) -> None:
    assert build.step_of(what, number) == told


def test_build_folder_follows_the_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of any source of the module, of Go or of what it is told leads to another folder, so to a build."""
    module = tmp_path / "kube"
    for name in ("go.mod", "go.sum", "main.go", "pause/main.go"):
        (module / name).parent.mkdir(parents=True, exist_ok=True)
        (module / name).write_text(name)
    monkeypatch.setattr(build, "_MODULE", module)
    monkeypatch.setenv("NNUNET_BUILD_CACHE", str(tmp_path / "cache"))
    before = build.binaries_folder()
    assert before.parent == tmp_path / "cache"
    (module / "main.go").write_text("changed")
    changed = build.binaries_folder()
    monkeypatch.setattr(build, "_LINKER_FLAGS", "-s")
    other_flags = build.binaries_folder()
    monkeypatch.setattr(build, "go_release", lambda: "go1.99")
    assert len({before, changed, other_flags, build.binaries_folder()}) == 4
