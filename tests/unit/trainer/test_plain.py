"""Checkpoints of somebody's choice, read without torch: numbers are found, nothing is called or fills the memory."""

import io
import os
import pickle
import struct
import sys
import types
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnunet_api import torch_file
from nnunet_trainer.run import plain
from nnunet_trainer.run.plain import load_plain


class Tensor:
    """Stands for a tensor: torch keeps its numbers in a record of their own."""


class Pickler(pickle.Pickler):
    def persistent_id(self, obj: Any) -> Any:
        return ("storage", Tensor, "0", "cpu", 4) if isinstance(obj, Tensor) else None


def pickled(content: Any) -> bytes:
    file = io.BytesIO()
    Pickler(file, protocol=2).dump(content)
    return file.getvalue()


def write(path: Path, data: bytes, records: tuple[str, ...] = ("data/0",)) -> Path:
    """A checkpoint as torch writes it, with this pickle."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("checkpoint_final/data.pkl", data)
        for name in records:
            archive.writestr(f"checkpoint_final/{name}", b"0123456789abcdef")
    return path


class Calls:
    """Unpickling it calls a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self._call = function, arguments

    def __reduce__(self) -> Any:
        return self._call


CONTENT: dict[str, Any] = {
    "current_epoch": 3,
    "network_weights": OrderedDict(w=Tensor()),
    "logging": {
        "plain": [0.5, 1, True, None, "x"],
        "numpy": [np.float32(0.5), np.float64(0.25), np.float16(2), np.int64(-7), np.bool_(True)],
        "swapped": [np.array([0.5], dtype=">f8")[0]],
    },
}


def test_numbers_are_found_and_tensors_left_alone(tmp_path: Path) -> None:
    weights = OrderedDict(w=Tensor())
    weights._metadata = {"": 1}  # type: ignore[attr-defined]  # as torch does
    found = load_plain(write(tmp_path / "c.pth", pickled(CONTENT | {"network_weights": weights})))
    assert found["logging"] == {
        "plain": [0.5, 1, True, None, "x"],
        "numpy": [0.5, 0.25, 2.0, -7, True],
        "swapped": [0.5],
    }
    assert found["current_epoch"] == 3 and found["network_weights"] == {"w": {}}


def test_how_large_tensors_are_is_told() -> None:
    """By what torch writes of each: size, and not what a pickle says it would be."""
    torch_utils = types.ModuleType("torch._utils")

    def rebuilt(*_arguments: Any) -> None: ...

    rebuilt.__module__, rebuilt.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    torch_utils._rebuild_tensor_v2 = rebuilt  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "torch", types.ModuleType("torch"))
        patch.setitem(sys.modules, "torch._utils", torch_utils)
        sizes = {"a": (2, 3), "b": (), "c": "x", "d": (-1, 2), "e": (2.5,), "f": (2**63,), "g": (1,) * 65}
        data = pickled({name: Calls(rebuilt, Tensor(), 0, size, (1,)) for name, size in sizes.items()})
    found = plain._reader(data, lambda _: True).load()
    assert {name: tensor.numel() for name, tensor in found.items()} == {
        "a": 6,
        "b": 1,
        "c": 0,
        "d": 0,
        "e": 0,
        "f": 0,
        "g": 0,
    }


def test_what_a_class_keeps_for_itself_hides_nothing(tmp_path: Path) -> None:
    marker = tmp_path / "attacked"
    extra = [Calls(open, str(marker), "w"), Calls(eval, f"open({str(marker)!r}, 'w')"), tmp_path, np.arange(3), {1, 2}]
    found = load_plain(write(tmp_path / "c.pth", pickled(CONTENT | {"extra": extra})))
    assert found["current_epoch"] == 3 and not marker.exists()


def changing(name: bytes, state: bytes) -> bytes:
    """A pickle that sets attributes of what it names, and then holds a counter."""
    return b"\x80\x02c" + name + b"\n" + state + b"b0}X\x0d\x00\x00\x00current_epochK\x03s."


def test_one_file_changes_nothing_for_the_next(tmp_path: Path) -> None:
    """What a pickle can name, it can also set attributes of."""
    state = b"N}X\x0c\x00\x00\x00__defaults__N\x85s\x86"  # (None, {"__defaults__": (None,)})
    for name in (b"_codecs\nencode", b"numpy\ndtype", b"some\nclass"):
        try:
            load_plain(write(tmp_path / "evil.pth", changing(name, state)))
        except ValueError:
            continue  # refused is as good
    assert load_plain(write(tmp_path / "c.pth", pickled(CONTENT)))["logging"]["numpy"][0] == 0.5


def doubled(before: bytes, after: bytes) -> bytes:
    """A pickle of a hundred bytes with lists that hold each other twice: to write them down takes hundreds of MB."""
    depths = range(24)
    twice = b"".join(b"0(h" + bytes([depth]) + b"h" + bytes([depth]) + b"lq" + bytes([depth + 1]) for depth in depths)
    return b"\x80\x02" + before + b"U\x08xxxxxxxxq\x00" + twice + after


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(pickled(Calls(os.system, "true")), "it would call posix.system", id="the system"),
        pytest.param(pickled(CONTENT)[:-20], "UnpicklingError|EOFError", id="cut short"),
        pytest.param(b"", "it is cut short or damaged", id="empty"),
        pytest.param(
            b"\x80\x02}K\x00K\x00\x86" + b"2\x86" * 100 + b"K\x00s.", "it has keys of so many", id="a key without end"
        ),
        pytest.param(pickled(np.float32(1)).replace(b"f4", b"f8"), "unpack requires", id="a number of another length"),
        pytest.param(b"\x80\x02" + b"(" * 100 + b"l" * 200 + b".", "Error", id="an empty stack"),
        pytest.param(b"\x80\x02Vx\nQ.", "a tensor of it is missing", id="a tensor of another form"),
        pytest.param(doubled(b"c_codecs\nencode\n(", b"U\x06latin1tR."), "where a text belongs", id="lists as a text"),
        pytest.param(doubled(b"cnumpy\ndtype\n(", b"tR."), "where a text belongs", id="lists as a type"),
        pytest.param(doubled(b"(NN", b"tQ."), "where a text belongs", id="lists as the name of a tensor"),
    ],
)
def test_what_can_not_be_read_is_said(tmp_path: Path, data: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        load_plain(write(tmp_path / "c.pth", data))


def twice(path: Path) -> None:
    """Readers that take the first of two records would see another history than those that take the last."""
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("checkpoint_final/data.pkl", pickled(CONTENT | {"current_epoch": 1000}))


def two_folders(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("other/data.pkl", pickled(CONTENT | {"current_epoch": 1000}))


def bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("checkpoint_final/data.pkl", b"\x00" * (2 << 20))


def large(path: Path) -> None:
    write(path, b"\x00" * (2 << 20))


def behind_another(path: Path) -> None:
    """Python reads the second of two zip files, and torch what the first says, or the pickle that is no zip file."""
    data = path.read_bytes()
    write(path, pickled(CONTENT | {"current_epoch": 1000}))
    path.write_bytes(path.read_bytes() + data)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (behind_another, "it says in two ways where its records are"),
        (lambda path: path.write_bytes(pickle.dumps(3) + path.read_bytes()), "it says in two ways where its records"),
        (twice, "some other twice"),
        (two_folders, "2 records data.pkl"),
        (bomb, "is compressed"),
        (large, "more than 1 MiB"),
        (lambda path: write(path, pickled(CONTENT), ()), "a tensor of it is missing"),
        (lambda path: os.truncate(path, path.stat().st_size - 30), "not a zip file"),
        (lambda path: path.write_bytes(struct.pack("<Q", 7)), "not a zip file"),
    ],
)
def test_files_that_are_no_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Path], Any], said: str
) -> None:
    monkeypatch.setattr(torch_file, "LONGEST_BYTES", 1 << 20)
    path = write(tmp_path / "c.pth", pickled(CONTENT))
    assert load_plain(path)
    spoil(path)
    with pytest.raises(ValueError, match=said):
        load_plain(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_plain(tmp_path / "absent.pth")
