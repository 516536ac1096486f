"""The folders of a training are made where they are its own, and nowhere else."""

import errno
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nnunet_api.exit_codes import ExitCode
from nnunet_api.folders import run_folder
from nnunet_trainer.commands.prepare import Folders, prepare
from nnunet_trainer.process.failures import TrainerError
from tests.support.made_contracts import contract

DATASET = contract().dataset
RUN = run_folder(contract().namespace, contract().name, contract().uid)
MAKER = f"{contract().namespace}/shared-0123456789abcdef0123456789abcdef"


@pytest.fixture
def claims(tmp_path: Path) -> Path:
    for claim in ("raw", "preprocessed", "results"):
        (tmp_path / claim).mkdir()
    (tmp_path / "raw" / DATASET).mkdir()
    return tmp_path


def folders(raw: str = DATASET, preprocessed: str = MAKER, results: str = RUN) -> Folders:
    return Folders(raw, preprocessed, results)


def test_folders_are_made_and_found_again(claims: Path) -> None:
    for _ in range(2):
        prepare(contract(), claims, folders(results=f"a/liver-20260131/{RUN}"))
    assert (claims / "results" / "a/liver-20260131" / RUN).is_dir()
    assert (claims / "preprocessed" / MAKER).is_dir()


def test_many_that_begin_at_once_make_the_same_folder(claims: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        done = [pool.submit(prepare, contract(), claims, folders()) for _ in range(32)]
    assert all("folder of the run" in one.result().message for one in done)


OWNED = (
    "radiology/victim-1234abcd",
    "victim-1234abcd/model",
    "radiology/shared-0123456789abcdef0123456789abcdef",
    "a-00000000",
)


@pytest.mark.parametrize("owned", OWNED)
@pytest.mark.parametrize("role", ["raw", "preprocessed", "results"])
def test_no_sub_path_leads_through_the_folder_of_a_training(claims: Path, role: str, owned: str) -> None:
    """By its name: what lies in it, and what it says whose it is, was written by a training's image."""
    (claims / role / owned).mkdir(parents=True)
    own = {"raw": DATASET, "preprocessed": MAKER, "results": RUN}[role]
    (claims / role / owned / own).mkdir(parents=True)
    field = "dataset.subPath" if role == "raw" else f"storage.{role}.subPath"
    asked = folders(**{role: f"{owned}/{own}"})
    with pytest.raises(TrainerError, match=f"{field} leads through .*Give another folder") as caught:
        prepare(contract(), claims, asked)
    assert caught.value.code == ExitCode.WRONG_CONFIGURATION


@pytest.mark.parametrize("role", ["preprocessed", "results"])
def test_nothing_is_made_among_the_images_of_a_dataset(claims: Path, role: str) -> None:
    own = {"preprocessed": MAKER, "results": RUN}[role]
    asked = folders(**{role: f"raw/dataset001_X/imagesTr/evil_0000.nii.gz/{own}"})
    with pytest.raises(TrainerError, match=f"storage.{role}.subPath leads through dataset001_X") as caught:
        prepare(contract(), claims, asked)
    assert caught.value.code == ExitCode.WRONG_CONFIGURATION


def test_a_dataset_may_have_any_name_of_a_dataset(claims: Path) -> None:
    name = "Dataset001_Study-10023456"
    (claims / "raw" / name).mkdir()
    prepare(contract(dataset=name), claims, folders(raw=name))


@pytest.mark.parametrize("sub_path", ["a" * 256, "circle"])
def test_a_path_that_no_file_system_takes_is_refused(claims: Path, sub_path: str) -> None:
    (claims / "raw" / "circle").symlink_to("circle")
    with pytest.raises(TrainerError, match="a subPath can't be used") as caught:
        prepare(contract(), claims, folders(raw=f"{sub_path}/{DATASET}"))
    assert caught.value.code == ExitCode.WRONG_CONFIGURATION


@pytest.mark.parametrize(
    "target", ["radiology/victim-1234abcd/data", "radiology/shared-0123456789abcdef0123456789abcdef", "."]
)
def test_a_dataset_is_no_link_to_what_trainings_made(claims: Path, target: str) -> None:
    (claims / "raw" / target).mkdir(parents=True, exist_ok=True)
    (claims / "raw" / DATASET).rmdir()
    (claims / "raw" / DATASET).symlink_to(target)
    with pytest.raises(TrainerError, match=r"leads through|leads out of its claim, or to its root"):
        prepare(contract(), claims, folders())


def test_a_dataset_may_be_a_link_within_its_claim(claims: Path) -> None:
    (claims / "raw" / "pool" / "v2").mkdir(parents=True)
    (claims / "raw" / DATASET).rmdir()
    (claims / "raw" / DATASET).symlink_to("pool/v2")
    prepare(contract(), claims, folders())


@pytest.mark.parametrize(
    ("namespace", "name", "uid"),
    [("user-deadbeef", "a", "0a1b2c3d-1"), ("ns", "liver-20260131", "12345678-1"), ("ns", "shared-1", "00000000-1")],
)
def test_names_that_look_like_others_are_no_hindrance_to_ones_own(
    claims: Path, namespace: str, name: str, uid: str
) -> None:
    prepare(
        contract(namespace=namespace, name=name, uid=uid), claims, folders(results=run_folder(namespace, name, uid))
    )


def test_a_uid_that_reads_as_a_date_is_refused(claims: Path) -> None:
    """Once in 60,000: by its name nobody could tell that the folder is a training's."""
    with pytest.raises(TrainerError, match="looks like a date in hippo-20260131: delete it and create it again"):
        prepare(contract(), claims, folders(results="imaging/hippo-20260131"))


@pytest.mark.parametrize(
    ("link", "target"), [("sub", "elsewhere"), (RUN.partition("/")[0], "elsewhere"), (RUN, "../elsewhere")]
)
def test_links_are_not_followed(claims: Path, link: str, target: str) -> None:
    (claims / "results" / "elsewhere").mkdir()
    path = claims / "results" / link
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)
    with pytest.raises(TrainerError, match="is a link on the claim") as caught:
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
    with pytest.raises(TrainerError, match="sub is no folder on the claim"):
        prepare(contract(), claims, folders(results=f"sub/{RUN}"))


def test_a_claim_that_is_not_the_trainers_is_named_with_the_way_out(
    claims: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "mkdir", denied)  # root, as whom tests may run, is denied nothing
    with pytest.raises(TrainerError, match=r"chown.*trainer\.ownedClaims") as caught:
        prepare(contract(), claims, folders())
    assert caught.value.code == ExitCode.STORAGE_FAILED
