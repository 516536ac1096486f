"""The checkpoint that a training begins with is copied: that file, through no link, and nothing else of a claim."""

import hashlib
import os
import zipfile
from pathlib import Path

import pytest

from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.commands.prepare_weights import Weights, copy_weights
from nnunet_trainer.process.failures import TrainerError

RUN = "clinic/fine-bbbbbbbb"
BASE = "clinic/base-aaaaaaaa"
FILE = f"{BASE}/model/fold_0/checkpoint_final.pth"


@pytest.fixture
def claims(tmp_path: Path) -> Path:
    for folder in (f"results/{RUN}", f"weights/{BASE}/model/fold_0", "weights/models"):
        (tmp_path / folder).mkdir(parents=True)
    for path in (FILE, "models/a.pth"):
        checkpoint(tmp_path / "weights" / path)
    (tmp_path / "weights" / BASE / "seen_cases.json").write_text("{}")
    return tmp_path


def checkpoint(path: Path, content: bytes = b"weights") -> Path:
    """Write what torch.save writes, as far as anybody looks here."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("checkpoint/data.pkl", content)
    return path


def hash_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def copied(claims: Path) -> Path:
    return claims / "results" / RUN / "initial_weights"


def test_checkpoint_and_cases_are_copied_and_copied_again(claims: Path) -> None:
    digest = hash_of(claims / "weights" / FILE)
    for _ in range(2):
        copy_weights(claims, RUN, Weights(FILE, digest, f"{BASE}/seen_cases.json"))
    assert sorted(path.name for path in copied(claims).iterdir()) == ["checkpoint.pth", "seen_cases.json"]
    assert hash_of(copied(claims) / "checkpoint.pth") == digest


def test_the_first_digits_of_a_hash_prove_nothing(claims: Path) -> None:
    digest = hash_of(claims / "weights" / FILE)
    with pytest.raises(TrainerError, match="was changed since its training was verified"):
        copy_weights(claims, RUN, Weights(FILE, digest[:16]))


def test_a_file_on_a_claim_brings_no_cases(claims: Path) -> None:
    copy_weights(claims, RUN, Weights(FILE, hash_of(claims / "weights" / FILE), f"{BASE}/seen_cases.json"))
    copy_weights(claims, RUN, Weights("models/./a.pth"))
    assert [path.name for path in copied(claims).iterdir()] == ["checkpoint.pth"], "those of another file are gone"
    copy_weights(claims, RUN, Weights(FILE, hash_of(claims / "weights" / FILE), f"{BASE}/none.json"))
    assert [path.name for path in copied(claims).iterdir()] == ["checkpoint.pth"], "an older version kept none"


def test_what_was_trained_anew_or_deleted_is_noticed(claims: Path) -> None:
    with pytest.raises(
        TrainerError, match=r"was changed since its training was verified.*Suspend and resume"
    ) as caught:
        copy_weights(claims, RUN, Weights(FILE, "0" * 64))
    assert caught.value.code == ExitCode.WRONG_DATA
    assert list(copied(claims).iterdir()) == []
    (claims / "weights" / FILE).unlink()
    with pytest.raises(TrainerError, match=r"is not on the claim. Was its training deleted") as caught:
        copy_weights(claims, RUN, Weights(FILE, "0" * 64))
    assert caught.value.code == ExitCode.WRONG_DATA


@pytest.mark.parametrize("linked", ["file", "folder"])
def test_no_link_is_followed_to_the_source(claims: Path, linked: str) -> None:
    """A trainer may have put it into its own folder, and what it leads to is another's."""
    victim = claims / "weights" / "clinic/victim-cccccccc"
    victim.mkdir()
    checkpoint(victim / "checkpoint_final.pth")
    (claims / "weights" / FILE).unlink()
    if linked == "file":
        (claims / "weights" / FILE).symlink_to(victim / "checkpoint_final.pth")
    else:
        (claims / "weights" / BASE / "model/fold_0").rmdir()
        (claims / "weights" / BASE / "model/fold_0").symlink_to(victim)
    with pytest.raises(TrainerError, match="leads through a link") as caught:
        copy_weights(claims, RUN, Weights(FILE, hash_of(victim / "checkpoint_final.pth")))
    assert caught.value.code == ExitCode.WRONG_CONFIGURATION
    assert not list(copied(claims).iterdir())


@pytest.mark.parametrize(
    "name", ["initial_weights", "initial_weights/checkpoint.pth", "initial_weights/.tmp-checkpoint.pth"]
)
def test_nothing_is_written_through_a_link_in_the_own_folder(claims: Path, name: str) -> None:
    """An earlier attempt ran the user's image there."""
    outside = claims / "results/clinic/victim-cccccccc"
    outside.mkdir()
    (outside / "checkpoint.pth").write_text("theirs")
    link = claims / "results" / RUN / name
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(outside if name == "initial_weights" else outside / "checkpoint.pth")
    try:
        copy_weights(claims, RUN, Weights("models/a.pth"))
    except TrainerError as error:
        assert error.code == ExitCode.WRONG_CONFIGURATION and name == "initial_weights"
    assert (outside / "checkpoint.pth").read_text() == "theirs" and len(list(outside.iterdir())) == 1


def write_pipe(path: Path) -> None:
    os.mkfifo(path)


def write_two_in_one(path: Path) -> None:
    path.write_bytes(checkpoint(path).read_bytes() * 2)


def write_other_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("secret", b"1")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.write_text("a private key"), r"is no checkpoint .*save it anew: torch.save\(torch.load"),
        (write_other_zip, "is no checkpoint"),
        (write_two_in_one, "is no checkpoint .*it says in two ways where its records are"),
        (lambda path: path.mkdir(), "is no file"),
        (write_pipe, "is no file"),
    ],
    ids=["text", "another archive", "two checkpoints in one file", "a folder", "a pipe"],
)
def test_nothing_but_a_checkpoint_of_a_claim_is_copied(claims: Path, make: object, words: str) -> None:
    """Whoever may create trainings could otherwise read any file of any claim by it."""
    make(claims / "weights/models/b.pth")  # type: ignore[operator]
    with pytest.raises(TrainerError, match=words):
        copy_weights(claims, RUN, Weights("models/b.pth"))
    assert not (copied(claims) / "checkpoint.pth").exists()


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (FILE, "leads through base-aaaaaaaa.*name that training in spec.initialWeights.training"),
        ("models/../clinic/x.pth", r"leads through \.\."),
        ("models/a.pth/b.pth", "leads through a link|is not on the claim"),
        ("models/none.pth", "is not on the claim"),
    ],
)
def test_a_path_on_a_claim_leads_to_no_trainings_folder(claims: Path, path: str, words: str) -> None:
    with pytest.raises(TrainerError, match=words):
        copy_weights(claims, RUN, Weights(path))
