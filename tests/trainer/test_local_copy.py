"""A fold that reads from a copy on its node: the same result, whatever interrupts it, and never wrong data."""

import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from nnunet_api.exit_codes import ExitCode
from nnunet_api.facts import FACTS_PATH
from nnunet_api.local_copy import LOCAL_COPY_FIELD, CopyFacts, CopyState
from nnunet_trainer.run.paths import BEST, FINAL, LATEST
from tests.trainer.world import Command, World, scrape, truncate

SEEDED = {"seed": 7, "schedule": {"epochs": 2, "iterationsPerEpoch": 4, "validationIterationsPerEpoch": 1}}
SHORT = {"schedule": {"epochs": 1, "iterationsPerEpoch": 1, "validationIterationsPerEpoch": 1}}
DATA = "nnUNetPlans_3d_tiny"


def data(world: World, where: str) -> Path:
    """Return the folder of the cases that nnU-Net trains with, on the claim or on the node."""
    (folder,) = (world.root / "nnunet" / where).glob(f"*/*/{DATA}")
    return folder


def weights(world: World) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = torch.load(world.fold() / FINAL, weights_only=False)["network_weights"]
    return found


def provenance(world: World) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((world.fold() / "provenance.json").read_text())
    return found


def copy_of(world: World) -> CopyFacts:
    """Return what the trainer serves of its copy."""
    return CopyFacts.model_validate(json.loads(scrape(world, FACTS_PATH))["facts"]["localCopy"])


@contextlib.contextmanager
def held_up(path: Path) -> Iterator[None]:
    """Let whoever opens a file wait, as on a volume that is slow, for up to 45 s: by a lease of the kernel's."""
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)  # how the kernel tells that somebody waits
    file = os.open(path, os.O_RDWR)
    try:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        yield
    finally:
        os.close(file)
        signal.signal(signal.SIGIO, before)


def in_the_middle(world: World, held: Path) -> Command:
    """Return a trainer that has copied all but one file, which it waits for."""
    command = world.start("train", "--fold", world.first_fold)
    others = [path.name for path in held.parent.iterdir() if path != held]
    command.wait_until(lambda: all((copied(world) / name).exists() for name in others), "all other files")
    assert not (copied(world) / held.name).exists()
    return command


def copied(world: World) -> Path:
    (key,) = {path.name for path in (world.root / "nnunet/preprocessed").iterdir() if path.is_dir()}
    return world.root / "nnunet/local" / key / world.contract.dataset / DATA


def test_the_result_is_that_of_a_run_without_it(world: World, tmp_path: Path) -> None:
    plain = world.but(**SEEDED)
    copying = plain.copy(tmp_path / "copying").copying()
    ended = plain.finish("train", "--fold", "0")
    assert ended.code == 0, ended.log
    assert ended.fold.local_copy is None and "dataReadFrom" not in provenance(plain)

    command = copying.start("train", "--fold", "0")
    command.wait_for_log("nnU-Net reads its data from the copy")
    for path in data(copying, "preprocessed").iterdir():
        path.unlink()
    same = command.end()
    assert same.code == 0, same.log
    copy = same.fold.local_copy
    assert copy and copy.state is CopyState.IN_USE and copy.copied_bytes == copy.total_bytes
    assert provenance(copying)["dataReadFrom"] == "local copy"
    one, other = weights(plain), weights(copying)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert same.fold.mean_validation_dice == ended.fold.mean_validation_dice
    assert provenance(copying)["conditions"] == provenance(plain)["conditions"], "where it is read is no condition"


def test_a_copy_that_is_killed_goes_on_in_the_same_pod_and_begins_anew_in_another(world: World, tmp_path: Path) -> None:
    world = world.but(**SHORT).unvalidated().copying()
    held = next(data(world, "preprocessed").glob("case_03*.b2nd"))
    with held_up(held):
        command = in_the_middle(world, held)
        size = held.stat().st_size
        # It is told once a second.
        command.wait_until(lambda: copy_of(world).copied_bytes == (copy_of(world).total_bytes or 0) - size, "the facts")
        assert copy_of(world).state is CopyState.COPYING
        assert "nnunet_local_copy_bytes" in scrape(world)
        assert command.kill(signal.SIGKILL).code == -signal.SIGKILL
    assert world.journal().begun == 0 and not (world.fold() / FINAL).exists()
    whole = {path.name: path.stat().st_mtime_ns for path in copied(world).iterdir()}
    lost = world.copy(tmp_path / "lost")
    resumed = world.finish("train", "--fold", "all")
    assert resumed.code == 0, resumed.log
    found = re.search(r"copying (\d+) files .* to the node, (\d+) of which are there", resumed.log)
    assert found and int(found[1]) - int(found[2]) == 1, resumed.log
    now = {path.name: path.stat().st_mtime_ns for path in copied(world).iterdir()}
    assert whole.items() <= now.items() and held.name in now, "no file is copied twice"
    assert (copied(world) / held.name).read_bytes() == held.read_bytes()
    assert provenance(world)["dataReadFrom"] == "local copy"
    # The volume of a pod that is lost goes with it.
    shutil.rmtree(lost.root / "nnunet/local")
    anew = lost.copying().finish("train", "--fold", "all")
    assert anew.code == 0 and "of which are there" not in anew.log, anew.log
    assert provenance(lost)["dataReadFrom"] == "local copy"


def test_an_epoch_that_is_trained_again_without_a_copy_is_not_said_to_be_from_one(world: World) -> None:
    """By the journal all is trained, so no copy is made; the final checkpoint turns out to be damaged."""
    world = world.but(**SEEDED).unvalidated().copying()
    ended = world.finish("train", "--fold", "all")
    assert ended.code == 0 and provenance(world)["dataReadFrom"] == "local copy", ended.log
    final = world.fold() / FINAL
    content = torch.load(final, weights_only=False)
    torch.save(content | {"current_epoch": 1}, world.fold() / LATEST)
    truncate(final)
    (world.fold() / BEST).unlink()
    ended = world.finish("train", "--fold", "all")
    assert ended.code == 0 and "going on from checkpoint_latest.pth: 1 epoch finished" in ended.log, ended.log
    assert provenance(world)["dataReadFrom"] == "claim"
    assert ended.fold.provenance and ended.fold.provenance.data_read_from == "claim"


def test_a_stop_request_ends_a_copy_at_once(world: World) -> None:
    world = world.but(**SHORT).copying()
    held = next(data(world, "preprocessed").glob("case_03*.b2nd"))
    with held_up(held):
        ended = in_the_middle(world, held).kill()
    assert ended.code == ExitCode.PREEMPTED, ended.log
    assert ended.fold.local_copy and ended.fold.local_copy.state is CopyState.COPYING


def test_what_does_not_fit_is_read_from_the_claim(world: World) -> None:
    world = world.but(**SHORT).unvalidated().copying(sizeLimit=1 << 16)
    ended = world.finish("train", "--fold", "all")
    assert ended.code == 0, ended.log
    copy = ended.fold.local_copy
    assert copy and copy.state is CopyState.SKIPPED and copy.why
    assert f"{LOCAL_COPY_FIELD}.sizeLimit is 0.1 MiB: raise it to 1Gi" in copy.why
    assert "there is no local copy, and nnU-Net reads its data from the claim: the data takes" in ended.log
    assert provenance(world)["dataReadFrom"] == "claim"


def test_a_volume_that_fills_up_while_it_is_copied_is_left(world: World, small_volume: Path) -> None:
    world = world.but(**SHORT).unvalidated()
    (world.root / "nnunet/local").symlink_to(small_volume)
    world = world.copying(medium="Claim", sizeLimit=None, limitedBy=f"{LOCAL_COPY_FIELD}.claim.size")
    held = max(data(world, "preprocessed").glob("case_*.b2nd"), key=lambda path: path.stat().st_size)
    with held_up(held):
        command = in_the_middle(world, held)
        with (small_volume / "theirs").open("wb") as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
                file.flush()
    ended = command.end()
    assert ended.code == 0, ended.log
    copy = ended.fold.local_copy
    assert copy and copy.state is CopyState.SKIPPED and "No space left on device" in (copy.why or "")
    assert [path.name for path in small_volume.iterdir()] == ["theirs"], "what was copied makes room"
    assert provenance(world)["dataReadFrom"] == "claim"


def test_data_that_was_damaged_is_not_trained_on(world: World) -> None:
    """Its size is right, which is all that a fold looks at without a copy."""
    world = world.but(**SHORT).copying()
    case = next(data(world, "preprocessed").glob("case_02*.b2nd"))
    content = bytearray(case.read_bytes())
    content[len(content) // 2] ^= 1
    case.write_bytes(content)
    ended = world.finish("train", "--fold", "0")
    assert ended.code == ExitCode.WRONG_DATA, ended.log
    assert f"{DATA}/{case.name} was changed" in ended.report.message and "Suspend and resume" in ended.report.message
    assert not (world.fold() / FINAL).exists()
