"""The command line on real volumes: a dataset is sent, also when sending was interrupted, and listed.

Somebody with no more rights than the documentation asks for does it, in a namespace under the `restricted` standard.
Curves and reports of a training are in test_training.py.
"""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Lab
from tests.e2e.person import Person, contents, make_person

NAME = "Dataset510_Pushed"
BIG = "labelsTr/zz_big.bin"
BIG_BYTES = 120_000_000
"""It takes seconds to send, after all others: time enough to cut it off."""


@pytest.fixture(scope="module")
def person(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Person:
    """Somebody with the rights that the documentation names, and a dataset."""
    return make_person(lab, lab.namespace, tmp_path_factory.mktemp("sender"), NAME)


@pytest.fixture
def pushed(lab: Lab, person: Person) -> Path:
    """The dataset on the volume, where it is whole."""
    if not contents(person.folder / NAME).items() <= contents(volume(lab)).items():
        person.run("dataset", "push", NAME)
    return volume(lab)


@pytest.fixture
def big(person: Person) -> Iterator[Path]:
    """A file that takes seconds to send, in the dataset as long as the test lasts."""
    path = person.folder / NAME / BIG
    path.write_bytes(os.urandom(1 << 20) * (BIG_BYTES >> 20))
    yield path
    path.unlink()


def volume(lab: Lab) -> Path:
    return lab.volume("nnunet-raw") / NAME


def parts(lab: Lab) -> list[Path]:
    return list((volume(lab) / BIG).parent.glob(f".{Path(BIG).name}.*.part"))


def helpers(lab: Lab) -> list[str]:
    return [pod["metadata"]["name"] for pod in lab.kube.list("pods", lab.namespace, "app.kubernetes.io/name=nnunetctl")]


def wait_no_helpers(lab: Lab) -> None:
    lab.kube.wait("the helper pod to be gone", lambda: not helpers(lab), timeout=180)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_a_push_that_is_interrupted_leaves_nothing_half(
    lab: Lab, person: Person, big: Path, end: signal.Signals
) -> None:
    """Ctrl-C, or whatever ends programs: the helper pod goes, and half a file is no file."""
    process = person.start("dataset", "push", NAME)
    lab.kube.wait("a part of the big file", lambda: parts(lab), timeout=180)
    process.send_signal(end)
    _, err = process.communicate(timeout=180)
    assert process.returncode == 128 + end, err
    wait_no_helpers(lab)
    assert not parts(lab) and not (volume(lab) / BIG).exists()
    assert not (volume(lab) / "dataset.json").exists(), "it comes last, so that nobody takes this for a dataset"


def test_the_next_push_sends_the_rest(lab: Lab, person: Person, big: Path) -> None:
    """Also after the program was killed. What is there is not sent again, and what was sent is read back."""
    process = person.start("dataset", "push", NAME)
    lab.kube.wait("a part of the big file", lambda: parts(lab), timeout=180)
    process.kill()
    process.communicate()
    # Nobody is left to delete it. It would end by itself, and be deleted by a later command.
    lab.kube.run("delete", "pod", *helpers(lab), "-n", lab.namespace, "--wait=false")
    said = person.run("dataset", "push", NAME)
    assert "sent and checked" in said and "there already" in said, said
    assert contents(volume(lab)) == contents(person.folder / NAME)
    assert "there already" in person.run("dataset", "push", NAME)


def test_what_was_changed_here_or_damaged_there_is_sent_again(person: Person, pushed: Path) -> None:
    (pushed / BIG).unlink(missing_ok=True)
    description = person.folder / NAME / "dataset.json"
    description.write_text(description.read_text() + "\n")
    image = next(iter(sorted((pushed / "imagesTr").iterdir())))
    data = bytearray(image.read_bytes())
    data[len(data) // 2] ^= 1
    image.write_bytes(data)
    said = person.run("dataset", "push", NAME)
    assert "2 files" in said and "sent and checked" in said, said
    assert contents(pushed) == contents(person.folder / NAME)


def test_datasets_are_listed(person: Person, pushed: Path) -> None:
    items: list[dict[str, Any]] = person.data("dataset", "ls")["items"]
    (ours,) = [item for item in items if item["name"] == NAME]
    assert (ours["trainingCases"], ours["labels"]) == (15, ["grey_matter", "white_matter"])
    assert ours["bytes"] == sum(map(len, contents(person.folder / NAME).values()))
