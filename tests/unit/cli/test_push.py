"""Sending a dataset: the real agent over pipes, a folder in place of the claim."""

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nnunet_cli.datasets.transfer import LocalFile, Sent, local_files, plan, push, sha256_of
from nnunet_cli.errors import CliError
from nnunet_cli.volumes import agent
from nnunet_cli.volumes.hashes import hashes_of
from nnunet_cli.volumes.stream import Lost
from tests.support.pipes import LocalVolume, Pipes

CONTENT = {
    "dataset.json": b"{}",
    "imagesTr/a_0000.nii.gz": bytes(range(256)) * 9000,  # all bytes, and more than one block
    "imagesTr/b_0000.nii.gz": b"\n\n{}\n",
    "labelsTr/a.nii.gz": b"",
    "labelsTr/übung.nii.gz": b"x" * 70_000,
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "Dataset001_A"
    for name, data in CONTENT.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    (folder / ".DS_Store").write_bytes(b"hidden")
    (folder / ".git").mkdir()
    (folder / ".git" / "head").write_bytes(b"hidden")
    return folder


@pytest.fixture
def volume(tmp_path: Path) -> LocalVolume:
    root = tmp_path / "volume"
    root.mkdir()
    return LocalVolume(root)


def pushed(volume: LocalVolume, source: Path) -> tuple[Sent, int]:
    """Push; return what became of it, and the bytes that the bar was moved by."""
    moved: list[int] = []
    return push(volume, "raw/Dataset001_A", local_files(source), moved.append), sum(moved)


def wait_for(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline, "it did not come about within 20 s"
        time.sleep(0.02)


def there(volume: LocalVolume) -> dict[str, bytes]:
    folder = volume.root / "raw" / "Dataset001_A"
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_all_is_sent_then_nothing(volume: LocalVolume, source: Path) -> None:
    total = sum(map(len, CONTENT.values()))
    sent, moved = pushed(volume, source)
    assert there(volume) == CONTENT
    assert (sent, moved) == (Sent(files=5, bytes=total, skipped=0, strangers=[]), total)
    sent, moved = pushed(volume, source)
    assert (sent.files, sent.bytes, sent.skipped, moved) == (0, 0, 5, total)


def test_dataset_json_comes_last(source: Path) -> None:
    assert [file.name for file in local_files(source)][-1] == "dataset.json"


def test_links_that_lead_out_are_refused_unless_they_are_meant_so(source: Path, tmp_path: Path) -> None:
    """A dataset that was downloaded could so have any file of this machine sent to where many can read it."""
    secret = tmp_path / "kubeconfig"
    secret.write_text("token")
    (source / "README.txt").symlink_to(secret)
    with pytest.raises(CliError, match=r"README.txt \(.*kubeconfig\).*--follow-links"):
        local_files(source)
    assert "README.txt" in [file.name for file in local_files(source, follow_links=True)]
    (source / "README.txt").unlink()
    (source / "README.txt").symlink_to("imagesTr/a_0000.nii.gz")
    assert "README.txt" in [file.name for file in local_files(source)]


@pytest.mark.parametrize("follow", [False, True])
def test_links_that_lead_nowhere_are_not_left_out_silently(source: Path, follow: bool) -> None:
    (source / "imagesTr" / "c_0000.nii.gz").symlink_to("/data/pacs/c.nii.gz")
    with pytest.raises(CliError, match=r"1 file is a link to what is not there: imagesTr/c_0000.nii.gz -> /data/pacs"):
        local_files(source, follow_links=follow)


def test_a_folder_that_is_a_link_is_not_left_out_silently(source: Path) -> None:
    (source / "imagesTs").symlink_to(source / "imagesTr")
    with pytest.raises(CliError, match="1 folder is a link, and what is inside would be left out: imagesTs"):
        local_files(source)


def test_what_differs_is_sent_again(volume: LocalVolume, source: Path) -> None:
    pushed(volume, source)
    (source / "imagesTr" / "b_0000.nii.gz").write_bytes(b"\n\n[]\n")  # of the same size
    (source / "dataset.json").write_bytes(b'{"a": 1}')
    folder = volume.root / "raw" / "Dataset001_A"
    os.truncate(folder / "labelsTr" / "übung.nii.gz", 10)
    damaged = bytearray(CONTENT["imagesTr/a_0000.nii.gz"])
    damaged[1_234_567] ^= 1
    (folder / "imagesTr" / "a_0000.nii.gz").write_bytes(damaged)
    (folder / "imagesTr" / "old_0000.nii.gz").write_bytes(b"")
    sent, _ = pushed(volume, source)
    assert (sent.files, sent.skipped, sent.strangers) == (4, 1, ["imagesTr/old_0000.nii.gz"])
    found = there(volume)
    assert found.pop("imagesTr/old_0000.nii.gz") == b""
    assert found == CONTENT | {"imagesTr/b_0000.nii.gz": b"\n\n[]\n", "dataset.json": b'{"a": 1}'}


def test_a_push_that_is_cut_off_goes_on_where_it_was(volume: LocalVolume, source: Path) -> None:
    def cut(pipes: Pipes, written: int) -> None:
        if written > 1_000_000:
            pipes.close()

    volume.interfere = cut
    with pytest.raises(Lost, match="the connection to the helper pod broke"):
        pushed(volume, source)
    assert there(volume) == {}, "half a file is no file"
    volume.interfere = None
    first = CONTENT["imagesTr/a_0000.nii.gz"]
    (volume.root / "raw" / "Dataset001_A" / "imagesTr" / "a_0000.nii.gz").write_bytes(first)
    sent, _ = pushed(volume, source)
    assert (sent.files, sent.skipped) == (4, 1) and there(volume) == CONTENT


def test_a_push_that_hangs_takes_nothing_from_the_next(volume: LocalVolume) -> None:
    """The first one's connection is half gone: its agent ends while the second push is in the middle of the file."""
    with volume.run("receive", "d") as second:
        with volume.run("receive", "d") as first:
            for remote in (first, second):
                remote.write_message(path="a", size=6)
                remote.write(b"abc")
            wait_for(lambda: len(list((volume.root / "d").glob(".a.*.part"))) == 2)
        second.write(b"def")
        second.write_message(sha256=hashlib.sha256(b"abcdef").hexdigest())
        second.message()
        second.write(b"\n")
        second.messages()
    assert {path.name: path.read_bytes() for path in (volume.root / "d").iterdir()} == {"a": b"abcdef"}


def test_parts_that_killed_pods_have_left_are_swept(volume: LocalVolume, source: Path) -> None:
    folder = volume.root / "raw" / "Dataset001_A" / "imagesTr"
    folder.mkdir(parents=True)
    kept = {".a_0000.nii.gz.89abcdef.part", ".notes.part"}
    for name in {".a_0000.nii.gz.01234567.part", *kept}:
        (folder / name).write_bytes(b"x")
    for name in (".a_0000.nii.gz.01234567.part", ".notes.part"):
        os.utime(folder / name, (0, 0))
    pushed(volume, source)
    assert {path.name for path in folder.iterdir() if path.name.startswith(".")} == kept, "one is written, one not ours"


def test_what_is_damaged_on_the_volume_is_found_at_the_end(volume: LocalVolume, source: Path) -> None:
    label = volume.root / "raw" / "Dataset001_A" / "labelsTr" / "übung.nii.gz"

    def rot(pipes: Pipes, written: int) -> None:
        if label.exists():
            label.write_bytes(b"y" * 70_000)

    volume.interfere = rot
    with pytest.raises(CliError, match=r"1 files? .*damaged on the claim: labelsTr/übung.nii.gz"):
        pushed(volume, source)


def test_a_file_that_is_damaged_on_its_way_is_not_taken(volume: LocalVolume) -> None:
    with volume.run("receive", "d") as remote:
        remote.write_message(path="a", size=3)
        remote.write(b"abc")
        remote.write_message(sha256="0" * 64)
        with pytest.raises(CliError, match="a was damaged on its way: push again"):
            remote.message()
    assert not list((volume.root / "d").iterdir())


def test_a_volume_that_can_not_be_written(volume: LocalVolume, source: Path) -> None:
    (volume.root / "raw").write_bytes(b"a file where a folder is needed")
    with pytest.raises(CliError, match="raw"):
        pushed(volume, source)


def test_more_hashes_than_are_asked_for_at_once(volume: LocalVolume, tmp_path: Path) -> None:
    names = [f"{number}" for number in range(150)]
    for name in names:
        (volume.root / name).write_text(name)
    found = list(hashes_of(volume, ".", [*names, "absent"]))
    assert found == [*(sha256_of(volume.root / name) for name in names), None]


def test_plan() -> None:
    files = [LocalFile(name, Path(name), size) for name, size in (("new", 1), ("same", 2), ("grown", 3))]
    todo = plan(files, {"same": 2, "grown": 2, "other": 9})
    assert [[file.name for file in part] for part in (todo.send, todo.compare)] == [["new", "grown"], ["same"]]
    assert todo.strangers == ["other"]


def test_a_file_is_fetched_and_one_that_is_not_there_is_said(volume: LocalVolume) -> None:
    data = bytes(range(256)) * 20_000
    (volume.root / "report.html").write_bytes(data)
    with volume.run("send", "report.html") as remote:
        assert remote.read(remote.message()["size"]) == data
    with volume.run("send", "absent/report.html") as remote:
        assert remote.message() == {"missing": "absent/report.html"}


def test_datasets_are_listed(volume: LocalVolume, source: Path) -> None:
    pushed(volume, source)
    with volume.run("datasets", "raw") as remote:
        (found,) = remote.messages()
    assert (found["name"], found["files"], found["description"]) == ("Dataset001_A", 5, {})
    with volume.run("datasets", "nowhere") as remote, pytest.raises(CliError, match="nowhere is no folder"):
        remote.messages()


OUT = "../../private"


def hostile(volume: LocalVolume, link: str, target: str) -> None:
    """Put a link on the claim, and what it leads to beside the folders that people name."""
    private = volume.root / "private"
    private.mkdir()
    (private / "report.html").write_bytes(b"of others")
    (private / "dataset.json").write_bytes(b'{"numTraining": 7}')
    place = volume.root / link
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target)


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("runs/mine/report.html", "../../private/report.html"),
        ("runs/mine", "../private"),
        ("runs", "private"),
        ("runs/mine/report.html", "/etc/passwd"),
        ("runs/mine/report.html", "absent"),
    ],
)
def test_a_report_is_not_read_through_a_link(volume: LocalVolume, link: str, target: str) -> None:
    """Who writes a run folder could have the report of another training shown in its place."""
    hostile(volume, link, target)
    with (
        volume.run("send", "runs/mine/report.html") as remote,
        pytest.raises(CliError, match=f"{link} on the claim is"),
    ):
        remote.message()


@pytest.mark.parametrize("name", ["../private/report.html", "/etc/passwd"])
def test_nothing_outside_of_the_claim_is_read(volume: LocalVolume, name: str) -> None:
    with volume.run("send", name) as remote, pytest.raises(CliError, match="leads out of the claim"):
        remote.message()


def test_a_folder_that_becomes_a_link_while_it_is_looked_at_is_not_read(tmp_path: Path) -> None:
    """Whoever trains may exchange folders of their run as often as they like while somebody fetches from it."""
    (tmp_path / "other/fold_0").mkdir(parents=True)
    (tmp_path / "other/fold_0/file").write_text("of another run")
    (tmp_path / "run/fold_0").mkdir(parents=True)
    (tmp_path / "run/fold_0/file").write_text("of this run")
    looked_at = agent.on_claim(tmp_path, "run/fold_0/file")
    with agent._opened(looked_at) as file:
        assert file.read() == b"of this run"
    for changed, target in (("run/fold_0", "other/fold_0"), ("run", "other")):
        (tmp_path / changed).rename(tmp_path / f"away-{changed[-1]}")
        (tmp_path / changed).symlink_to(tmp_path / target)
        with pytest.raises(NotADirectoryError):
            agent._opened(looked_at)
        (tmp_path / changed).unlink()
        (tmp_path / f"away-{changed[-1]}").rename(tmp_path / changed)


@pytest.mark.parametrize(
    ("link", "target"), [("raw", "private"), ("raw/Dataset001_A", "../private"), ("raw/Dataset001_A/imagesTr", OUT)]
)
def test_a_push_is_not_written_through_a_link(volume: LocalVolume, source: Path, link: str, target: str) -> None:
    hostile(volume, link, target)
    with pytest.raises(CliError, match=f"{link} on the claim is a link to {target}, and links are not followed"):
        pushed(volume, source)
    assert {path.name for path in (volume.root / "private").iterdir()} == {"report.html", "dataset.json"}


def test_a_file_of_a_push_takes_the_place_of_a_link(volume: LocalVolume, source: Path) -> None:
    hostile(volume, "raw/Dataset001_A/dataset.json", f"{OUT}/dataset.json")
    pushed(volume, source)
    assert not (volume.root / "raw/Dataset001_A/dataset.json").is_symlink() and there(volume) == CONTENT
    assert (volume.root / "private/dataset.json").read_bytes() == b'{"numTraining": 7}'


def test_a_list_counts_nothing_that_lies_elsewhere(volume: LocalVolume, source: Path) -> None:
    pushed(volume, source)
    hostile(volume, "raw/Dataset002_B", "../private")
    (volume.root / "raw/Dataset001_A/more").symlink_to(f"{OUT}/report.html")
    (volume.root / "raw/Dataset003_C").mkdir()
    (volume.root / "raw/Dataset003_C/dataset.json").symlink_to(f"{OUT}/dataset.json")
    with volume.run("datasets", "raw") as remote:
        found = {message["name"]: (message["files"], message["description"]) for message in remote.messages()}
    assert found == {"Dataset001_A": (5, {}), "Dataset003_C": (0, None)}


@pytest.mark.timeout(60)
def test_nobody_waits_for_what_is_no_file(volume: LocalVolume, source: Path) -> None:
    """To open a pipe lasts until somebody writes to it: for ever, if its maker likes."""
    pushed(volume, source)
    for place in ("raw/report.html", "raw/Dataset002_B/dataset.json"):
        (volume.root / place).parent.mkdir(exist_ok=True)
        os.mkfifo(volume.root / place)
    with volume.run("send", "raw/report.html") as remote, pytest.raises(CliError, match=r"report.html .* is no file"):
        remote.message()
    with volume.run("datasets", "raw") as remote:
        found = {message["name"]: (message["files"], message["description"]) for message in remote.messages()}
    assert found == {"Dataset001_A": (5, {}), "Dataset002_B": (0, None)}
    with pytest.raises(CliError, match="is no file"):
        list(hashes_of(volume, "raw/Dataset002_B", ["dataset.json"]))


def test_curves_are_not_read_through_a_link(volume: LocalVolume) -> None:
    hostile(volume, "runs/mine", "../private")
    with (
        volume.run("histories", "runs/mine") as remote,
        pytest.raises(CliError, match="runs/mine on the claim is a link"),
    ):
        remote.messages()


def test_an_image_without_a_trainer(volume: LocalVolume, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(volume.root))
    (volume.root / "run").mkdir()
    with volume.run("histories", "run") as remote, pytest.raises(CliError, match=r"holds no trainer.*with --image"):
        remote.messages()
