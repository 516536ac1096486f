"""Where the command line looks for a run, and what it calls the files that it writes."""

import pytest

from nnunet_api.folders import run_folder
from nnunet_cli.volumes.runs import file_name, run_path


@pytest.mark.parametrize(
    ("stated", "folder"),
    [
        (None, "sub/clinic/hippo-0a1b2c3d"),
        ("sub/clinic/hippo-99999999", "sub/clinic/hippo-99999999"),  # complete, and restored from a backup since
        ("sub/clinic/other-99999999", "sub/clinic/hippo-0a1b2c3d"),
        ("sub/clinic/../x/hippo-99999999", "sub/clinic/hippo-0a1b2c3d"),
    ],
)
def test_the_folder_that_the_status_names_is_taken_where_it_is_of_this_training(
    stated: str | None, folder: str
) -> None:
    metadata = {"namespace": "clinic", "name": "hippo", "uid": "0a1b2c3d-0000-4000-8000-000000000001"}
    assert run_path({"metadata": metadata, "status": {"runPath": stated} if stated else None}, "sub") == folder


def test_files_of_the_longest_name_can_be_written() -> None:
    longest = [f"{'x' * 252}{tail}" for tail in "ab"]
    names = [file_name(name, "curves.html") for name in longest]
    assert (
        len(set(names)) == 2
        and max(map(len, names)) < 240
        and file_name("hippo", "report.html") == ("hippo-report.html")
    )
    metadata = {"namespace": "n" * 63, "name": longest[0], "uid": "0a1b2c3d"}
    assert run_path({"metadata": metadata}, "") == run_folder(metadata["namespace"], longest[0], "0a1b2c3d")
