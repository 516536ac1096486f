"""Whether torch.compile is on is said with the reason, and it is off where it could only fail."""

import importlib.util
import shutil
import sys
import sysconfig
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nnunet_trainer.process import compiling
from nnunet_trainer.run import environment
from tests.support.made_contracts import contract


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An image with all that torch.compile needs; its headers are in the folder."""
    (tmp_path / "Python.h").touch()
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/gcc" if name == "gcc" else None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name == "triton" or None)
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.delenv(compiling.VARIABLE, raising=False)
    return tmp_path


def test_a_whole_image_compiles(image: Path) -> None:
    assert compiling.lacking() == ""
    assert compiling.VARIABLE not in environment.defaults(contract())
    assert environment.defaults(contract(device="cpu"))[compiling.VARIABLE] == "f"


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        ("compiler", "the image has no C compiler"),
        ("headers", "the image has no headers of Python"),
        ("triton", "the image has no triton"),
    ],
)
def test_an_image_that_lacks_something_does_not_compile(
    image: Path, monkeypatch: pytest.MonkeyPatch, lost: str, said: str
) -> None:
    if lost == "compiler":
        monkeypatch.setattr(shutil, "which", lambda name: None)
    elif lost == "headers":
        (image / "Python.h").unlink()
    else:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert compiling.lacking() == said
    assert environment.defaults(contract())[compiling.VARIABLE] == "f"
    assert compiling.stated(False, (9, 0), "nnUNetTrainer") == f"off: {said}"


@pytest.mark.parametrize(
    ("compiles", "gpu", "variable", "said"),
    [
        (True, (9, 0), None, "on"),
        (True, (9, 0), "true", "on"),
        (False, None, "f", "off: nnU-Net compiles nothing for the CPU"),
        (False, (6, 1), "f", "off: the GPU has compute capability 6.1, 7.0 is needed"),
        (False, (7, 0), "False", "off: nnUNet_compile is False"),
        (False, (9, 0), None, "off: Own does not compile"),
    ],
)
def test_what_is_said(
    image: Path,
    monkeypatch: pytest.MonkeyPatch,
    compiles: bool,
    gpu: tuple[int, int] | None,
    variable: str | None,
    said: str,
) -> None:
    if variable is not None:
        monkeypatch.setenv(compiling.VARIABLE, variable)
    assert compiling.stated(compiles, gpu, "Own") == said


@pytest.mark.parametrize(
    ("torch", "told"),
    [
        (None, None),  # not loaded
        (SimpleNamespace(), None),  # a version that does not count
        (SimpleNamespace(calculate_time_spent=lambda: {"total_wall_time": 0}), None),
        (SimpleNamespace(calculate_time_spent=lambda: {"total_wall_time": 93.96}), 94.0),
    ],
)
def test_what_compiling_took_is_told_where_torch_counts_it(
    monkeypatch: pytest.MonkeyPatch, torch: Any, told: float | None
) -> None:
    monkeypatch.delitem(sys.modules, "torch._dynamo.utils", raising=False)
    if torch is not None:
        monkeypatch.setitem(sys.modules, "torch._dynamo.utils", torch)
    assert compiling.seconds() == told
