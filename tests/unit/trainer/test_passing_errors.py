"""What another attempt may not meet is never blamed on the data or on the training, wherever it happens."""

import errno
import gzip
import json
import os
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from nnunet_api.dataset.truncation import cut_short
from nnunet_api.exit_codes import TERMINAL_EXIT_CODES, ExitCode
from nnunet_trainer.commands import building
from nnunet_trainer.dataset import contents, readers
from nnunet_trainer.dataset import raw as dataset
from nnunet_trainer.process.failures import (
    PASSING_ERRNOS,
    STORAGE_ERRNOS,
    UNEXPECTED,
    classify,
    is_missing_or_damaged,
    may_be_damage,
    may_pass,
    wrong_data,
)
from nnunet_trainer.scoring import ensemble
from tests.support.made_contracts import contract

PATH = "/nnunet/raw/Dataset004_Hippocampus/imagesTr/a_0000.nii.gz"


def system(number: int) -> OSError:
    return OSError(number, os.strerror(number), PATH)


def in_words(number: int) -> RuntimeError:
    """As libraries report it, and workers whose exceptions can't be sent."""
    return RuntimeError(f"ITK ERROR: The file couldn't be opened for reading. Reason: {os.strerror(number)}")


PASSING: dict[str, BaseException] = {
    **{errno.errorcode[number]: system(number) for number in sorted(PASSING_ERRNOS)},
    **{f"{errno.errorcode[number]} in words": in_words(number) for number in sorted(PASSING_ERRNOS)},
    "MemoryError": MemoryError(),
    "torch's memory": RuntimeError("[enforce fail at alloc_cpu.cpp:114] . DefaultCPUAllocator: can't allocate memory"),
    "no thread": RuntimeError("can't start new thread"),
}
LASTING = {errno.errorcode[number]: system(number) for number in sorted(STORAGE_ERRNOS)}
OF_THE_DATA: dict[str, BaseException] = {
    "cut short": EOFError("Compressed file ended before the end-of-stream marker was reached"),
    "no gzip": gzip.BadGzipFile("Not a gzipped file (b'<h')"),
    "library": RuntimeError("ITK ERROR: NiftiImageIO: file does not have 348 bytes"),
    "EINVAL": system(errno.EINVAL),
    "missing": FileNotFoundError(errno.ENOENT, "No such file or directory", PATH),
    "a folder": system(errno.EISDIR),
    "verification": RuntimeError("some of its cases have errors"),
}


def fail_with(error: BaseException) -> Callable[..., NoReturn]:
    def fail(*arguments: Any, **settings: Any) -> NoReturn:
        raise error

    return fail


def verifying(error: BaseException, folder: Path, patch: pytest.MonkeyPatch) -> None:
    _, trouble = readers.attempt(fail_with(error))
    assert trouble is not None
    raise wrong_data(trouble) from error


def looking_for_cut_files(error: BaseException, folder: Path, patch: pytest.MonkeyPatch) -> None:
    path = folder / "a.nii.gz"
    path.write_bytes(b"x")
    patch.setattr(gzip, "open", fail_with(error))
    cut_short([path])


def reading_the_description(error: BaseException, folder: Path, patch: pytest.MonkeyPatch) -> None:
    (folder / "Dataset004_Hippocampus").mkdir()
    (folder / "Dataset004_Hippocampus/dataset.json").touch()
    patch.setattr(Path, "open", fail_with(error))  # it is read up to a size
    dataset.load_dataset(folder, "Dataset004_Hippocampus", ["0"])


def reading_what_is_noted(error: BaseException, folder: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(contents, "read_json", fail_with(error))
    contents.read_contents(folder)


def reading_the_model_folder(error: BaseException, folder: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ensemble, "read_json", fail_with(error))
    ensemble.description_of(folder, "the model folder is incomplete", "Train the folds first")


def building_the_network(error: BaseException, folder: Path, patch: pytest.MonkeyPatch) -> None:
    name = "nnunetv2.utilities.plans_handling.plans_handler"
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        patch.setitem(sys.modules, ".".join(parts[:end]), types.ModuleType(parts[end - 1]))
    patch.setattr(sys.modules[name], "PlansManager", fail_with(error), raising=False)
    run = contract()
    building._preprocess(run, None, object, {"configurations": {run.configuration: {}}}, folder)  # type: ignore[arg-type]


PHASES = [
    verifying,
    looking_for_cut_files,
    reading_the_description,
    reading_what_is_noted,
    reading_the_model_folder,
    building_the_network,
]


def code_of(error: BaseException, phase: Callable[..., None], folder: Path, patch: pytest.MonkeyPatch) -> int:
    """Return the exit code of the process, were it to end there."""
    with patch.context() as inside, pytest.raises((Exception, MemoryError)) as caught:
        phase(error, folder, inside)
    assert error in (caught.value, caught.value.__cause__)
    return classify(caught.value, [Path("/nnunet/results")], [Path("/nnunet/raw")]).code


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("name", PASSING)
def test_what_may_pass_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, phase: Callable[..., None]
) -> None:
    code = code_of(PASSING[name], phase, tmp_path, monkeypatch)
    assert code == UNEXPECTED and code not in TERMINAL_EXIT_CODES
    assert may_pass(PASSING[name]) and not may_be_damage(PASSING[name]) and not is_missing_or_damaged(PASSING[name])


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("name", LASTING)
def test_what_lasts_is_the_volumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, phase: Callable[..., None]
) -> None:
    assert code_of(LASTING[name], phase, tmp_path, monkeypatch) == ExitCode.STORAGE_FAILED


@pytest.mark.parametrize("name", OF_THE_DATA)
def test_faults_of_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert code_of(OF_THE_DATA[name], verifying, tmp_path, monkeypatch) == ExitCode.WRONG_DATA
    assert not may_pass(OF_THE_DATA[name])


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("conv_op"), RuntimeError("Given groups=1")], ids=repr)
def test_faults_of_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    assert code_of(error, building_the_network, tmp_path, monkeypatch) == ExitCode.WRONG_CONFIGURATION


class Work:
    """Fails with these errors, one for each call, and then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    def __call__(self) -> str:
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def test_damage_counts_when_it_is_met_twice(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"x" * 100)
    first, second = RuntimeError("first"), RuntimeError("second")
    assert readers.attempt(Work(first), [file]) == ("done", None)
    assert readers.attempt(Work(first, second), [file]) == (None, "second")
    with pytest.raises(OSError, match="Stale"):
        readers.attempt(Work(system(errno.ESTALE)), [file])


def test_a_file_that_the_storage_does_not_give_is_not_damaged() -> None:
    """The memory of a process can't be read at 0: a real input/output error, which a library hides."""
    hidden = RuntimeError("ITK ERROR: could not read the file")
    with pytest.raises(OSError, match="Input/output error") as caught:
        readers.attempt(Work(hidden, hidden), [Path("/proc/self/mem")])
    failure = classify(caught.value, [], [Path("/nnunet/raw")])
    assert failure.code == UNEXPECTED and "who runs the storage" in failure.message


WITHOUT_FILES = """
import json, resource, sys
from pathlib import Path
from nnunet_api.dataset.truncation import cut_short
from nnunet_trainer.dataset import readers
from nnunet_trainer.process.failures import classify

path, codes = Path(sys.argv[1]), []
def hidden():
    raise RuntimeError("could not read the file")
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
held = []
try:
    while True:
        held.append(open("/dev/null"))
except OSError:
    pass
for work in (lambda: cut_short([path]), lambda: readers.attempt(hidden, [path])):
    try:
        work()
    except Exception as error:
        failure = classify(error)
        codes.append([failure.code, failure.message])
print(json.dumps(codes))
"""


def test_a_process_that_has_no_files_left(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(b"x" * 1000))
    command = [sys.executable, "-c", WITHOUT_FILES, str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert [code for code, _ in found] == [UNEXPECTED, UNEXPECTED], found
    assert all("too many open files" in message for _, message in found)
