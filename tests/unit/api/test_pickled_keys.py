"""Pickles that take for ever to read are told before they are read, and those of trainers are not mistaken for them."""

import pickle
import random
import struct
import uuid
from collections import OrderedDict
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from nnunet_api.pickled_keys import HeavyKeys, require_light_keys

PAIRS = b"K\x00K\x00\x86" + b"2\x86" * 100  # a pair of the pair below, twice, a hundred deep
LARGE = 2**61 - 1


def number(value: int) -> bytes:
    return b"\x8a" + struct.pack("B", 16) + value.to_bytes(16, "little")


def many(made: Callable[[int], bytes], count: int) -> bytes:
    return b"".join(map(made, range(count)))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"}" + PAIRS + b"K\x00s.", id="a key of nested pairs"),
        pytest.param(b"}(" + PAIRS + b"K\x00u.", id="one of several keys"),
        pytest.param(b"(" + PAIRS + b"K\x00d.", id="a dict of an old protocol"),
        pytest.param(b"\x8f(" + PAIRS + b"\x90.", id="in a set"),
        pytest.param(b"(" + PAIRS + b"\x91.", id="in a frozen set"),
        pytest.param(b"cbuiltins\nset\n](" + PAIRS + b"e\x85R.", id="in a set that is called"),
        pytest.param(
            b"cbuiltins\nset\n]q\x00\x85q\x010h\x00" + PAIRS + b"a0h\x01R.", id="put into the list after it was given"
        ),
        pytest.param(
            b"}(" + b"K\x00" * 500_000 + b"tq\x00" + b"K\x00s}h\x00K\x00s" * 4 + b".", id="of many parts, often"
        ),
        pytest.param(
            b"}(" + many(lambda place: number(place * LARGE) + b"K\x00", 60_000) + b"u.", id="numbers of the same hash"
        ),
        pytest.param(
            b"}(" + many(lambda place: b"K\x00J" + struct.pack("<i", place) + b"\x86K\x00", 60_000) + b"u.", id="pairs"
        ),
    ],
)
def test_what_takes_for_ever_to_read_is_told(data: bytes) -> None:
    with pytest.raises(
        HeavyKeys, match="it has keys of so many parts, or so large, that reading it could take for ever"
    ):
        require_light_keys(b"\x80\x02" + data)


KEPT: dict[str, Any] = {
    "weights": OrderedDict({f"layer.{place}": np.float32(place) for place in range(1000)}),
    "logging": {"dice": [[np.float32(0.5)] * 20 for _ in range(200)], "array": np.arange(1000.0)},
    "state": {place: {"step": place} for place in range(1000)},
    "by_epoch_and_class": {(epoch, name): 0.5 for epoch in range(200) for name in ("a", "b", "c")},
    "classes": {frozenset({1, 2}), frozenset({3})},
    "random": random.Random(1).getstate(),
    "own": [uuid.UUID(int=2**127 + 1), Fraction(2**100, 3), range(5), {2**64 + 1: "seed"}],
    "nested": ((1, (2, (3, (4, 5)))), None, True, -1.5, b"x" * 300, bytearray(b"y")),
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_what_trainers_keep_is_light(protocol: int) -> None:
    require_light_keys(pickle.dumps(KEPT, protocol))


def test_it_follows_each_pickle_to_its_end() -> None:
    """Marks, what is taken away and what is found again leave as much on the stack as there is."""
    shared = [1]
    require_light_keys(pickle.dumps([shared, shared, (shared, shared), {"a": shared}, *range(5000)], 0))
    require_light_keys(b"\x80\x02(K\x01K\x021K\x00(0K\x0020.")
