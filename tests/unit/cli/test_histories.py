"""What the helper pod's agent makes of the trainer in its image, which tells what the folds have logged."""

from pathlib import Path

import pytest

from nnunet_cli.errors import CliError
from tests.support.pipes import LocalVolume


@pytest.fixture
def volume(tmp_path: Path) -> LocalVolume:
    return LocalVolume(tmp_path)


def trainer(volume: LocalVolume, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Put a program of this name in the place of the image's."""
    programs = volume.root / "bin"
    programs.mkdir()
    (programs / "nnunet-trainer").write_text(f"#!/bin/sh\n{script}\n")
    (programs / "nnunet-trainer").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))


def test_the_trainer_of_the_image_tells_what_was_logged(volume: LocalVolume, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer(volume, monkeypatch, """echo '{"fold": "0", "asked": "'"$*"'", "values": [NaN]}'""")
    (volume.root / "run").mkdir()
    with volume.run("histories", "run") as remote:
        (message,) = remote.messages()
    assert (message["fold"], message["asked"]) == ("0", f"history {volume.root}/run")


@pytest.mark.parametrize(
    ("script", "words"),
    [
        pytest.param("exit 2", "is older than this program.*give a trainer image of this release", id="an older one"),
        pytest.param("echo warning >&2; echo out of memory >&2; exit 1", "can't be read: out of memory", id="it fails"),
        pytest.param("exit 3", "can't be read: exit code 3", id="it fails without a word"),
        pytest.param("kill -9 $$", "can't be read: exit code -9", id="it is killed"),
    ],
)
def test_an_image_whose_trainer_tells_nothing(
    volume: LocalVolume, monkeypatch: pytest.MonkeyPatch, script: str, words: str
) -> None:
    trainer(volume, monkeypatch, script)
    (volume.root / "run").mkdir()
    with volume.run("histories", "run") as remote, pytest.raises(CliError, match=words):
        remote.messages()


def test_a_run_that_is_not_there(volume: LocalVolume) -> None:
    with volume.run("histories", "run") as remote, pytest.raises(CliError, match="has no folder run"):
        remote.messages()
