"""The command line on real volumes: a dataset is sent and trained on, its curves and its report come back.

Somebody with no more rights than the documentation asks for does it, in a namespace under the `restricted` standard.
"""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.demo.dataset import write_dataset
from tests.e2e.builders import DATASET, training
from tests.e2e.conftest import PROGRAM, Lab

NAME = "Dataset510_Pushed"
BIG = "labelsTr/zz_big.bin"
BIG_BYTES = 200_000_000
"""It takes seconds to send, after all others: time enough to cut it off."""
RIGHTS = [
    {"apiGroups": ["nnunet.dev"], "resources": ["nnunettrainings"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["create", "get", "list", "delete"]},
    {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create", "get"]},
]


@dataclass
class Person:
    """Somebody with a folder and a kubeconfig."""

    folder: Path
    kubeconfig: Path
    image: str

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a command."""
        env = {**os.environ, "KUBECONFIG": str(self.kubeconfig)}
        # A shell lets what it runs in the background, these tests for example, ignore Ctrl-C; a person's does not.
        command = ["env", "--default-signal=INT", PROGRAM, *words, "--image", self.image]
        out, err = subprocess.PIPE, subprocess.PIPE
        return subprocess.Popen(command, cwd=self.folder, env=env, stdout=out, stderr=err, text=True)

    def run(self, *words: str, code: int = 0) -> str:
        """Run a command and return what it says."""
        process = self.start(*words)
        out, err = process.communicate(timeout=120)
        assert process.returncode == code, f"{' '.join(words)}: {process.returncode}\n{out}\n{err}"
        return out + err


@pytest.fixture(scope="module")
def person(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Person:
    """Somebody with the rights that the documentation names, and a dataset."""
    account = {"kind": "ServiceAccount", "name": "sender", "namespace": lab.namespace}
    metadata = {"name": "sender", "namespace": lab.namespace}
    rbac = "rbac.authorization.k8s.io"
    lab.kube.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": metadata, "rules": RIGHTS},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "sender"},
            "subjects": [account],
        },
    )
    folder = tmp_path_factory.mktemp("sender")
    config = json.loads(lab.cluster.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": lab.kube.run("create", "token", "sender", "-n", lab.namespace).strip()}
    config["contexts"][0]["context"]["namespace"] = lab.namespace
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(json.dumps(config))
    write_dataset(folder)
    (folder / DATASET).rename(folder / NAME)
    return Person(folder, kubeconfig, lab.references["trainer"])


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


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def helpers(lab: Lab) -> list[str]:
    return [pod["metadata"]["name"] for pod in lab.kube.list("pods", lab.namespace, "app.kubernetes.io/name=nnunetctl")]


def wait_no_helpers(lab: Lab) -> None:
    lab.kube.wait("the helper pod to be gone", lambda: not helpers(lab), timeout=60)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_a_push_that_is_interrupted_leaves_nothing_half(
    lab: Lab, person: Person, big: Path, end: signal.Signals
) -> None:
    """Ctrl-C, or whatever ends programs: the helper pod goes, and half a file is no file."""
    process = person.start("dataset", "push", NAME)
    lab.kube.wait("a part of the big file", lambda: parts(lab), timeout=60)
    process.send_signal(end)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + end, err
    wait_no_helpers(lab)
    assert not parts(lab) and not (volume(lab) / BIG).exists()
    assert not (volume(lab) / "dataset.json").exists(), "it comes last, so that nobody takes this for a dataset"


def test_the_next_push_sends_the_rest(lab: Lab, person: Person, big: Path) -> None:
    """Also after the program was killed. What is there is not sent again, and what was sent is read back."""
    process = person.start("dataset", "push", NAME)
    lab.kube.wait("a part of the big file", lambda: parts(lab), timeout=60)
    process.kill()
    process.communicate()
    # Nobody is left to delete it. It would end by itself, and be deleted by a later command.
    lab.kube.run("delete", "pod", *helpers(lab), "-n", lab.namespace, "--wait=false")
    said = person.run("dataset", "push", NAME)
    assert "sent and checked" in said and "there already" in said, said
    assert contents(volume(lab)) == contents(person.folder / NAME)
    assert "there already" in person.run("dataset", "push", NAME)


def test_what_was_changed_here_or_damaged_there_is_sent_again(lab: Lab, person: Person) -> None:
    (volume(lab) / BIG).unlink()
    description = person.folder / NAME / "dataset.json"
    description.write_text(description.read_text() + "\n")
    image = next(iter(sorted((volume(lab) / "imagesTr").iterdir())))
    data = bytearray(image.read_bytes())
    data[len(data) // 2] ^= 1
    image.write_bytes(data)
    said = person.run("dataset", "push", NAME)
    assert "2 files" in said and "sent and checked" in said, said
    assert contents(volume(lab)) == contents(person.folder / NAME)


def test_datasets_are_listed(lab: Lab, person: Person) -> None:
    items: list[dict[str, Any]] = json.loads(person.run("dataset", "ls", "-o", "json"))["items"]
    (ours,) = [item for item in items if item["name"] == NAME]
    assert (ours["trainingCases"], ours["labels"]) == (15, ["grey_matter", "white_matter"])
    assert ours["bytes"] == sum(map(len, contents(person.folder / NAME).values()))


def test_curves_while_it_trains(lab: Lab, person: Person) -> None:
    """On the dataset that was sent; the report is not there yet, and that is said."""
    lab.kube.apply(training("curved", lab.namespace, epochs=200, dataset={"name": NAME}))
    lab.kube.wait_epoch(lab.namespace, "curved", 2, timeout=300)
    history = json.loads(person.run("curves", "curved", "-o", "json"))
    (fold,) = history["folds"]
    assert 2 <= fold["epoch"] < 200 and history["epochs"] == 200
    assert {len(fold[key]) for key in ("trainingLoss", "validationLoss", "emaPseudoDice", "learningRate")} == {
        fold["epoch"]
    }
    person.run("curves", "curved")
    assert (person.folder / "curved-curves.png").read_bytes().startswith(b"\x89PNG")
    said = person.run("report", "curved", code=1)
    assert "curved has no report.html yet: it is written when the evaluation has ended" in said


def test_report_and_curves_of_a_training_that_is_complete(lab: Lab, person: Person) -> None:
    status = lab.kube.wait_complete(lab.namespace, "curved", timeout=420)
    run = lab.volume("nnunet-results") / status["runPath"]
    for file in ("report.html", "evidence.json"):
        person.run("report", "curved", "--file", file)
        assert (person.folder / f"curved-{file}").read_bytes() == (run / file).read_bytes()
    person.run("curves", "curved", "-o", "html")
    page = (person.folder / "curved-curves.html").read_text()
    assert "Fold 0, epoch 200 of 200: loss" in page
    wait_no_helpers(lab)


def test_the_image_is_found_by_whoever_may_look_at_jobs(lab: Lab, person: Person) -> None:
    env = {**os.environ, "KUBECONFIG": str(lab.cluster.kubeconfig)}
    command = [PROGRAM, "report", "curved", "-n", lab.namespace, "-o", "-"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0 and done.stdout == (person.folder / "curved-report.html").read_text(), done.stderr
