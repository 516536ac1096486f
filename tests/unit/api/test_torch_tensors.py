"""Tensors of a checkpoint are as large as it says, whatever else a trainer class keeps beside them."""

import collections
import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnunet_api.torch_file import TorchFile, read_torch_file
from nnunet_api.torch_tensors import require_whole_tensors

FLOATS = b"ctorch\nFloatStorage\n"


def tensor(kind: bytes = FLOATS, key: bytes = b"U\x010", count: bytes = b"K\x04") -> bytes:
    """What torch writes of a storage: its type, the name of its record, where it was, and how many numbers it has."""
    return b"(U\x07storage" + kind + key + b"U\x03cpu" + count + b"tQ"


def checkpoint(data: bytes) -> TorchFile:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02" + data + b".")
        archive.writestr("a/data/0", b"0123456789abcdef")
    return read_torch_file(file)


@pytest.mark.parametrize(
    "data",
    [
        tensor(),
        tensor(b"ctorch\nDoubleStorage\n", count=b"K\x02"),
        tensor(b"ctorch\nBFloat16Storage\n", count=b"K\x08"),
        tensor(b"ctorch.storage\nUntypedStorage\n", count=b"K\x10"),
        b"}" + b"K\x00" + tensor() + b"s",
    ],
)
def test_what_torch_writes(data: bytes) -> None:
    require_whole_tensors(checkpoint(data))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (tensor(count=b"K\x05"), "more or fewer numbers"),
        (tensor(count=b"K\x03"), "more or fewer numbers"),
        (tensor(count=b"\x8a\x08" + (2**62).to_bytes(8, "little")), "more or fewer numbers"),
        (tensor(count=b"J\xff\xff\xff\xff"), "more or fewer numbers"),
        (tensor(key=b"U\x011"), "more or fewer numbers"),
        (tensor(b"ctorch\nDoubleStorage\n"), "more or fewer numbers"),
        (tensor(b"ctorch\nStrangeStorage\n"), "a kind that torch does not write"),
        (tensor(b"cnumpy\nndarray\n"), "a kind that torch does not write"),
        (tensor(count=b"G\x40\x10\0\0\0\0\0\0"), "a kind that torch does not write"),
        (tensor(key=b"]"), "a kind that torch does not write"),
        (b"U\x01aQ", "a kind that torch does not write"),
        (b"}K\x00K\x00\x86" + b"2\x86" * 100 + b"K\x00s", "keys of so many parts"),
        (b"(((", "unexpected MARK"),
        (b"".join(b"cmany\nn%d\n0" % number for number in range(10_001)) + b"K\x00", "names more than 10000 types"),
    ],
)
def test_what_is_refused(data: bytes, words: str) -> None:
    with pytest.raises((ValueError, pickle.UnpicklingError), match=words):
        require_whole_tensors(checkpoint(data))


class Kept:
    """A type of a trainer class's own."""


CONTENT: dict[Any, Any] = {
    np.float32(1): [np.arange(3), np.str_("a")],
    Path("a"): collections.OrderedDict(a=1),
    "kept": [Kept(), collections.deque([1, 2]), {1, 2}, frozenset({3}), collections.Counter("ab"), bytearray(b"a")],
    (1, np.int64(2)): collections.defaultdict(list, {1: [2]}),
}


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_whatever_a_class_keeps_is_passed_by(protocol: int) -> None:
    require_whole_tensors(TorchFile(pickle.dumps(CONTENT, protocol), {}))
