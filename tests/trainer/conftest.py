"""Fixtures of the tests that run inside the trainer image (`python -m tests.trainer`)."""

import fcntl
import importlib.util
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Name what pyproject.toml names: it is not read here."""
    config.addinivalue_line("markers", "soak: does more of the same in `make test-soak`")


LONGEST = (
    "run",
    "pace",
    "control",
    "selection",
    "kills",
    "recipe",
    "check_gpu",
    "evaluation",
    "predict",
    "interruptions",
    "workers",
    "cascade",
    "classes",
    "bench_trainer",
)
"""Files that come first, the longest first: one that began last would keep one process busy when others are done."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files, as xdist shares them out by their order."""
    items.sort(key=lambda item: [item.path.stem != f"test_{name}" for name in LONGEST])


if importlib.util.find_spec("nnunetv2") is None:
    # Outside of the trainer image there is nothing to collect: `make test-trainer` runs these tests in it.
    collect_ignore_glob = ["test_*.py"]
else:
    if not Path("/opt/our-trainers").is_dir():
        collect_ignore = ["test_custom_image.py"]
    from tests.trainer.world import PRELOADED, World, make_contract, make_world

    PRELOADED.append("tests.trainer.sampled")

    @pytest.fixture(scope="session")
    def planned(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> World:
        """A root folder with the tiny dataset, planned. Not to be written to: copy it."""
        base = tmp_path_factory.getbasetemp()
        # Processes that test side by side make it once; the folder above theirs is that of this run.
        root = (base if worker_id == "master" else base.parent) / "planned"
        with root.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            made = root.with_suffix(".made")
            if not made.exists():
                ended = make_world(root).finish("plan")
                assert ended.code == 0, ended.log
                made.touch()
        return World(root, make_contract())

    @pytest.fixture
    def world(planned: World, tmp_path: Path) -> World:
        """A planned root folder of the test's own."""
        return planned.copy(tmp_path / "world")

    @pytest.fixture
    def small_volume(tmp_path: Path) -> Iterator[Path]:
        """A file system of 2 MiB."""
        folder = tmp_path / "small"
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], check=True)
        yield folder
        subprocess.run(["umount", str(folder)], check=True)
