"""Which files are the run's own."""

import os
from pathlib import Path

import pytest

from tests.support.made_contracts import contract, paths_of


@pytest.mark.parametrize("linked", ["nothing", "the file", "its folder", "the run's folder", "the namespace's folder"])
def test_no_link_leads_to_another_runs_file(tmp_path: Path, linked: str) -> None:
    paths = paths_of(contract(), tmp_path)
    own, namespace = paths.run / "fold_0" / "final.pth", paths.run.parent
    other = paths.results / "elsewhere" / namespace.name / paths.run.name / "fold_0" / "final.pth"
    for file in (own, other):
        file.parent.mkdir(parents=True)
        file.write_bytes(b"x")
    places = {"the file": own, "its folder": own.parent, "the run's folder": paths.run}
    places["the namespace's folder"] = namespace
    if linked == "nothing":
        assert paths.own_file(own) == own.resolve()
        return
    place = places[linked]
    target = other
    for _ in range(len(own.relative_to(place).parts)):
        target = target.parent
    place.rename(tmp_path / "moved")
    place.symlink_to(target)
    with pytest.raises(ValueError, match="no file inside the run's folder"):
        paths.own_file(own)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    paths = paths_of(contract(), tmp_path)
    paths.run.mkdir(parents=True)
    os.mkfifo(paths.run / "pipe")
    for name in (".", "pipe"):
        with pytest.raises(ValueError, match="no file"):
            paths.own_file(paths.run / name)
    with pytest.raises(FileNotFoundError):
        paths.own_file(paths.run / "missing")
