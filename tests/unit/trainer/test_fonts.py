"""matplotlib gets the image's list of fonts where it would make its own, and nowhere else."""

from pathlib import Path

import pytest

from nnunet_trainer.process.fonts import CONFIG_ENV, bring_fonts


@pytest.fixture
def brought(tmp_path: Path) -> Path:
    folder = tmp_path / "image"
    folder.mkdir()
    (folder / "fontlist-v1.json").write_text("the image's")
    return folder


def test_an_empty_folder_gets_it(brought: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "scratch" / "matplotlib"
    monkeypatch.setenv(CONFIG_ENV, str(folder))
    bring_fonts(brought)
    assert [path.name for path in folder.iterdir()] == ["fontlist-v1.json"]
    assert (folder / "fontlist-v1.json").read_text() == "the image's"


def test_what_is_there_stays(brought: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fontlist-v1.json").write_text("matplotlib's own")
    monkeypatch.setenv(CONFIG_ENV, str(tmp_path))
    bring_fonts(brought)
    assert (tmp_path / "fontlist-v1.json").read_text() == "matplotlib's own"


@pytest.mark.parametrize("folder", ["", "/proc/none"])
def test_without_a_place_for_it_nothing_fails(brought: Path, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    monkeypatch.setenv(CONFIG_ENV, folder)
    bring_fonts(brought)
