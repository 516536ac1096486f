"""Checkpoints that somebody else wrote: whoever reads one in a trainer's pod runs nothing of it."""

import os
import zipfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.dataset.identity import file_hash
from nnunet_trainer.process.failures import TrainerError
from nnunet_trainer.run.paths import FINAL, LATEST
from nnunet_trainer.run.plain import load_plain
from nnunet_trainer.run.restricted import load_restricted, only_known_loads, only_restricted_loads, unknown_names
from nnunet_trainer.training import initial_weights
from nnunet_trainer.training.checkpoints import finished_epochs, readable_checkpoints
from nnunet_trainer.training.guarded import Guarded
from nnunet_trainer.training.history import read_history
from tests.support import sizes
from tests.trainer.test_verify import Attack

FORCED = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"


def write(path: Path, **extra: Any) -> Path:
    content = {"current_epoch": 3, "logging": {"lrs": [0.1, 0.2, 0.3]}, "network_weights": {"w": torch.arange(4.0)}}
    torch.save(content | extra, path)
    return path


def by_nnunet(path: Path) -> int:
    """Load as nnU-Net's predictor does, under the evaluation's eyes."""
    with only_restricted_loads({path: file_hash(path)}):
        content = torch.load(str(path), map_location=torch.device("cpu"), weights_only=False)
    assert content["network_weights"]["w"].tolist() == [0, 1, 2, 3]
    return int(content["current_epoch"])


def going_on(path: Path) -> int:
    """Load as nnU-Net's trainers do."""
    with only_known_loads():
        return int(torch.load(str(path), weights_only=False)["current_epoch"])


READERS: dict[str, Callable[[Path], int]] = {
    "verification": lambda path: int(load_plain(path)["current_epoch"]),
    "resume": finished_epochs,
    "choice of the newest": lambda path: readable_checkpoints(path.parent)[0][0].epoch,
    "curves and report": lambda path: len(read_history(path).learning_rate),
    "evaluation": by_nnunet,
}


@pytest.mark.parametrize("reader", READERS)
def test_nothing_in_a_checkpoint_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: str) -> None:
    monkeypatch.setenv(FORCED, "1")
    marker = tmp_path / "attacked"
    path = write(tmp_path / FINAL, extra=Attack(open, str(marker), "w"))
    assert READERS[reader](path) == 3
    assert not marker.exists()
    assert os.environ[FORCED] == "1", "nnU-Net's trainers read their own checkpoints with it"
    torch.load(path, weights_only=False)["extra"].close()
    assert marker.exists(), "the attack would have worked"


@pytest.mark.parametrize("reader", READERS)
def test_a_checkpoint_that_reaches_for_the_system_is_refused(tmp_path: Path, reader: str) -> None:
    marker = tmp_path / "attacked"
    path = write(tmp_path / FINAL, extra=Attack(os.system, f"touch {marker}"))
    with pytest.raises(Exception, match=r"system|none of them can be read"):
        READERS[reader](path)
    assert not marker.exists()


ENDLESS = b"\x80\x02}(U\rcurrent_epochK\x03K\x00K\x00\x86" + b"2\x86" * 100 + b"K\x00u."
"""A counter, and a key of pairs of pairs, a hundred deep: 2^100 steps to hash."""
READERS_OF_ALL = READERS | {
    "going on": going_on,
    "initial weights": lambda path: len(initial_weights._read(path)),
}


@pytest.mark.parametrize("reader", READERS_OF_ALL)
def test_a_checkpoint_that_would_be_read_for_ever_is_refused(tmp_path: Path, reader: str) -> None:
    """Whoever began to read it would not even end by a signal."""
    with zipfile.ZipFile(tmp_path / FINAL, "w") as archive:
        archive.writestr("checkpoint_final/data.pkl", ENDLESS)
    with pytest.raises(Exception, match=r"it has keys of so many parts|none of them can be read"):
        READERS_OF_ALL[reader](tmp_path / FINAL)


@pytest.mark.parametrize("reader", READERS_OF_ALL)
def test_a_checkpoint_that_is_another_one_to_torch_is_refused(tmp_path: Path, reader: str) -> None:
    """torch does not tell small letters from capital ones, Python does."""
    path = write(tmp_path / FINAL)
    with zipfile.ZipFile(path) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
        data = archive.read(name)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name.upper(), data)
    with pytest.raises(Exception, match=r"some other twice|none of them can be read"):
        READERS_OF_ALL[reader](path)


TORCH_LOADS = {name: READERS_OF_ALL[name] for name in ("resume", "evaluation", "going on", "initial weights")}


@pytest.mark.parametrize("reader", TORCH_LOADS)
@pytest.mark.parametrize("numbers", [3, 5, 2**40], ids=["fewer", "more", "a terabyte"])
def test_a_tensor_that_is_said_to_be_larger_than_it_is_is_refused(tmp_path: Path, reader: str, numbers: int) -> None:
    """torch takes what lies behind it in the memory."""
    path = write(tmp_path / FINAL)
    with zipfile.ZipFile(path) as archive:
        records = {one.filename: archive.read(one) for one in archive.infolist()}
    (name,) = (name for name in records if name.endswith("/data.pkl"))
    told = b"cpu" + records[name].partition(b"cpu")[2][:4]  # where it is, a place in the memo, and 4 numbers
    assert told.endswith(b"K\x04")
    records[name] = records[name].replace(told, told[:-2] + b"\x8a\x06" + numbers.to_bytes(6, "little"))
    with zipfile.ZipFile(path, "w") as archive:
        for record, content in records.items():
            archive.writestr(record, content)
    with pytest.raises(Exception, match=r"more or fewer numbers than it says|none of them can be read"):
        TORCH_LOADS[reader](path)


def test_a_link_to_another_runs_checkpoint_is_not_gone_on_from(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine" / "fold_0", tmp_path / "other" / "fold_0"
    for folder in (mine, other):
        folder.mkdir(parents=True)
    write(other / FINAL)
    (mine / FINAL).symlink_to(other / FINAL)
    with pytest.raises(TrainerError, match="none of them can be read"):
        readable_checkpoints(mine)
    write(mine / LATEST)
    found, damaged = readable_checkpoints(mine)
    assert ([one.path.name for one in found], damaged) == ([LATEST], [FINAL])


def test_what_is_scored_is_what_was_hashed(tmp_path: Path) -> None:
    """Replaced after all checks, in the moment before it is loaded."""
    path = write(tmp_path / FINAL)
    with only_restricted_loads({path: file_hash(path)}):
        write(path, current_epoch=4)
        with pytest.raises(TrainerError, match="was replaced after it was verified") as caught:
            torch.load(path)
        assert caught.value.code == ExitCode.CHECKPOINT_UNUSABLE
    assert torch.load(path)["current_epoch"] == 4, "afterwards it is torch's own again"


class Named(NamedTuple):
    values: np.ndarray


class Kept:
    """A type of a trainer class's own."""

    def __init__(self) -> None:
        self.values = np.arange(6.0).reshape(2, 3)
        self.inside = Named(np.arange(3))


def test_what_a_class_vouches_for_holds_its_arrays_when_a_fold_goes_on(tmp_path: Path) -> None:
    path = write(tmp_path / LATEST, kept=Kept())
    with torch.serialization.safe_globals([Kept, Named]):
        for again in range(2):
            assert unknown_names(path) == ""
            with only_known_loads():
                content = torch.load(str(path), weights_only=False)
            kept = content["kept"]
            assert (type(kept), type(kept.inside)) == (Kept, Named), again
            assert np.array_equal(kept.values, Kept().values) and kept.inside.values.tolist() == [0, 1, 2]
            assert type(kept.values.mean()) is np.float64
            torch.save(content, path)
    assert torch.load(path, weights_only=False)["kept"].inside.values.tolist() == [0, 1, 2]


def test_a_class_that_puts_numpys_own_on_torchs_list_reads_its_checkpoints(tmp_path: Path) -> None:
    """Each name twice is a matter of chance: which of the two wins depends on where they lie in memory."""
    content = {"number": np.float64(0.5), "numbers": np.arange(3), "none": np.zeros((0, 3)), "site": np.str_("a")}
    path = write(tmp_path / LATEST, **content)
    scalar, make = np.float64(1).__reduce__()[0], np.arange(3).__reduce__()[0]
    advised = [scalar, make, np.dtype, np.ndarray, type(np.dtype("f8")), bytes]
    advised += [(np.dtype, "numpy.dtype"), (scalar, "numpy.core.multiarray.scalar")]
    with torch.serialization.safe_globals(advised):
        before = set(torch.serialization.get_safe_globals())
        assert unknown_names(path) == ""
        found = load_restricted(path)
        assert set(torch.serialization.get_safe_globals()) == before
    assert (found["number"], found["numbers"].tolist(), found["none"].shape) == (0.5, [0, 1, 2], (0, 3))
    assert found["site"] == "a"


class Keeping(nnUNetTrainer):  # type: ignore[misc]
    """Saves what it is told to."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {"site": np.array(["a"])}

    def save_checkpoint(self, filename: str) -> None:
        torch.save(self.kept, filename)


class GuardedKeeping(Guarded, Keeping):
    pass


@pytest.mark.parametrize(
    "value", [np.array([None]), np.array(["2026-11-30"], "datetime64[D]")], ids=["objects", "dates"]
)
def test_a_first_checkpoint_that_no_fold_could_go_on_from_ends_the_training(tmp_path: Path, value: Any) -> None:
    """It names numpy's types and nothing else."""
    trainer, path = GuardedKeeping(), str(tmp_path / LATEST)
    trainer.kept["value"] = value
    with pytest.raises(TrainerError, match=r"keeps what can't be loaded \(it has numbers of type .8\)") as caught:
        trainer.save_checkpoint(path)
    assert caught.value.code == ExitCode.WRONG_CONFIGURATION and "weights_only" not in caught.value.message


def test_what_a_class_begins_to_keep_is_told_when_it_does(tmp_path: Path) -> None:
    trainer, path = GuardedKeeping(), str(tmp_path / LATEST)
    for _ in range(2):
        trainer.save_checkpoint(path)
    trainer.kept["averaged"] = Fraction(1, 3)
    with pytest.raises(TrainerError, match=r"GuardedKeeping keeps fractions.Fraction in its checkpoints"):
        trainer.save_checkpoint(path)


PAIRS_AT_MOST = 40_000
"""About: with so many keys of two parts a checkpoint is refused while it is saved."""


@pytest.mark.soak
@pytest.mark.parametrize(
    ("cases", "saved"), [(1000, 10_000), (60, sizes.SAVED_PAIRS), (51, sizes.SAVED_PAIRS)], ids=["many", "60", "51"]
)
def test_what_grows_until_no_fold_could_go_on_from_it_is_told_while_one_can(
    tmp_path: Path, cases: int, saved: int
) -> None:
    """A class that notes a loss for each epoch and case, in pairs: too many are never known to be read to their end."""
    trainer, path = GuardedKeeping(), str(tmp_path / LATEST)
    losses: dict[tuple[int, int], float] = {}
    trainer.kept["losses"] = losses
    # The first epochs are not saved: they would only take time.
    unsaved = PAIRS_AT_MOST - saved
    losses |= {(-before, case): 0.5 for before in range(unsaved // cases) for case in range(cases)}
    with pytest.raises(TrainerError, match=r"keeps what can't be loaded \(it has keys of so many parts") as caught:
        for epoch in range(1, 1000):
            losses |= {(epoch, case): 0.5 for case in range(cases)}
            trainer.save_checkpoint(path)
    assert caught.value.code == ExitCode.WRONG_CONFIGURATION
    assert len(load_restricted(Path(path))["losses"]) == len(losses)
