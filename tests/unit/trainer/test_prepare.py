"""The folders of a training are made where they are its own, and nowhere else."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from nnunet_operator.api.contract import run_folder
from nnunet_operator.api.exit_codes import ExitCode
from nnunet_operator.api.folders import OWNER_FILE
from nnunet_trainer.failures import TrainerError
from nnunet_trainer.prepare import Folders, prepare
from tests.unit.trainer.builders import contract

DATASET = contract().dataset
RUN = run_folder(contract().namespace, contract().name, contract().uid)
MAKER = f"{contract().namespace}/0123456789ab"


@pytest.fixture
def claims(tmp_path: Path) -> Path:
    for claim in ("raw", "preprocessed", "results"):
        (tmp_path / claim).mkdir()
    (tmp_path / "raw" / DATASET).mkdir()
    return tmp_path


def folders(raw: str = DATASET, preprocessed: str = MAKER, results: str = RUN) -> Folders:
    return Folders(raw, preprocessed, results)


def other(claim: Path, folder: str, name: str = "victim") -> Path:
    """Make the folder of another training."""
    path = claim / folder
    path.mkdir(parents=True)
    (path / OWNER_FILE).write_text(json.dumps({"namespace": "radiology", "name": name, "uid": "other"}))
    return path


def test_folders_are_made_and_found_again(claims: Path) -> None:
    for _ in range(2):
        prepare(contract(), claims, folders(results=f"a/b/{RUN}"))
    (claims / "results" / "a/b" / RUN / "model").mkdir()
    owner = json.loads((claims / "results" / "a/b" / RUN / OWNER_FILE).read_text())
    assert owner == {"namespace": contract().namespace, "name": contract().name, "uid": contract().uid}
    assert (claims / "preprocessed" / MAKER / OWNER_FILE).is_file()


def test_trainings_that_plan_alike_share_the_folder_of_preprocessed_data(claims: Path) -> None:
    prepare(contract(), claims, folders())
    second = contract(name="second", uid="11111111-2222")
    prepare(second, claims, folders(results=run_folder(second.namespace, second.name, second.uid)))


Attack = Callable[[Path], Folders]


def into_a_run(claims: Path) -> Folders:
    other(claims / "results", "radiology/victim-1234abcd")
    return folders(results=f"radiology/victim-1234abcd/{RUN}")


def into_a_part_of_a_run(claims: Path) -> Folders:
    (other(claims / "results", "radiology/victim-1234abcd") / "model").mkdir()
    return folders(results=f"radiology/victim-1234abcd/model/{RUN}")


def preprocessed_into_a_run(claims: Path) -> Folders:
    other(claims / "preprocessed", "radiology/victim-1234abcd")
    return folders(preprocessed=f"radiology/victim-1234abcd/{MAKER}")


def run_into_preprocessed_data(claims: Path) -> Folders:
    path = claims / "results" / "ns" / "0123456789ab"
    path.mkdir(parents=True)
    (path / OWNER_FILE).write_text(json.dumps({"namespace": "ns", "maker": "0123456789ab"}))
    return folders(results=f"ns/0123456789ab/{RUN}")


def the_run_of_another(claims: Path) -> Folders:
    other(claims / "results", RUN)
    return folders()


def data_of_a_run(claims: Path) -> Folders:
    (other(claims / "raw", "radiology/victim-1234abcd") / DATASET).mkdir()
    return folders(raw=f"radiology/victim-1234abcd/{DATASET}")


def data_of_a_run_through_a_link(claims: Path) -> Folders:
    (other(claims / "raw", "radiology/victim-1234abcd") / DATASET).mkdir()
    (claims / "raw" / "mine").symlink_to("radiology/victim-1234abcd")
    return folders(raw=f"mine/{DATASET}")


def an_owner_that_cannot_be_read(claims: Path) -> Folders:
    path = other(claims / "results", "radiology/victim-1234abcd")
    (path / OWNER_FILE).write_text("{" * 5000)
    return folders(results=f"radiology/victim-1234abcd/{RUN}")


def an_owner_that_is_a_link(claims: Path) -> Folders:
    path = other(claims / "results", "radiology/victim-1234abcd")
    (path / OWNER_FILE).unlink()
    (path / OWNER_FILE).symlink_to("/dev/zero")
    return folders(results=f"radiology/victim-1234abcd/{RUN}")


def an_owner_that_is_a_pipe(claims: Path) -> Folders:
    path = other(claims / "results", "radiology/victim-1234abcd")
    (path / OWNER_FILE).unlink()
    os.mkfifo(path / OWNER_FILE)
    return folders(results=f"radiology/victim-1234abcd/{RUN}")


@pytest.mark.parametrize(
    ("attack", "field"),
    [
        (into_a_run, "storage.results.subPath"),
        (into_a_part_of_a_run, "storage.results.subPath"),
        (preprocessed_into_a_run, "storage.preprocessed.subPath"),
        (run_into_preprocessed_data, "storage.results.subPath"),
        (the_run_of_another, "storage.results.subPath"),
        (data_of_a_run, "dataset.subPath"),
        (data_of_a_run_through_a_link, "dataset.subPath"),
        (an_owner_that_cannot_be_read, "storage.results.subPath"),
        (an_owner_that_is_a_link, "storage.results.subPath"),
        (an_owner_that_is_a_pipe, "storage.results.subPath"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_nothing_of_another_training_is_reached_by_a_sub_path(claims: Path, attack: Attack, field: str) -> None:
    asked = attack(claims)
    before = sorted(claims.rglob("*"))
    with pytest.raises(TrainerError, match=f"{field} leads into a folder that belongs to") as caught:
        prepare(contract(), claims, asked)
    assert caught.value.code == ExitCode.WRONG_CONFIGURATION
    made = {path for path in claims.rglob("*") if path not in before}
    assert not any("victim" in str(path) for path in made), "nothing was made in there"


@pytest.mark.parametrize(
    ("link", "target"), [("sub", "elsewhere"), (RUN.partition("/")[0], "elsewhere"), (RUN, "../elsewhere")]
)
def test_links_are_not_followed(claims: Path, link: str, target: str) -> None:
    (claims / "results" / "elsewhere").mkdir()
    path = claims / "results" / link
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)
    with pytest.raises(TrainerError, match="leads through a link") as caught:
        prepare(contract(), claims, folders(results=f"sub/{RUN}" if link == "sub" else RUN))
    assert caught.value.code == ExitCode.WRONG_CONFIGURATION
    assert not list((claims / "results" / "elsewhere").iterdir())


def test_a_dataset_that_is_missing_is_named_beside_those_that_are_there(claims: Path) -> None:
    (claims / "raw" / "sub" / "Dataset001_There").mkdir(parents=True)
    with pytest.raises(TrainerError, match=f"{DATASET}.*in sub; there are Dataset001_There.*dataset push") as caught:
        prepare(contract(), claims, folders(raw=f"sub/{DATASET}"))
    assert caught.value.code == ExitCode.WRONG_DATA
    assert not list((claims / "results").iterdir()), "nothing was made for it"


def test_a_dataset_that_is_a_link_out_of_the_claim_is_refused(claims: Path) -> None:
    (claims / "raw" / DATASET).rmdir()
    (claims / "raw" / DATASET).symlink_to("/etc")
    with pytest.raises(TrainerError, match="leads out of its claim"):
        prepare(contract(), claims, folders())


def test_a_file_in_the_way_is_named(claims: Path) -> None:
    (claims / "results" / "sub").touch()
    with pytest.raises(TrainerError, match="sub on the claim is no folder"):
        prepare(contract(), claims, folders(results=f"sub/{RUN}"))


def test_a_claim_that_is_not_the_trainers_is_named_with_the_way_out(
    claims: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(path: Path, **_: bool) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "mkdir", denied)  # root, as whom tests may run, is denied nothing
    with pytest.raises(TrainerError, match=r"chown.*trainer\.ownedClaims") as caught:
        prepare(contract(), claims, folders())
    assert caught.value.code == ExitCode.STORAGE_FAILED
