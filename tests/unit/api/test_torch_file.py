"""A checkpoint is taken only where every reader of zip files sees the same in it, and nothing that grows."""

import io
import pickle
import struct
import zipfile
from collections.abc import Callable

import pytest

from nnunet_api import torch_file
from nnunet_api.torch_file import read_torch_file, require_torch_file

HONEST, FORGED = pickle.dumps({"epochs": 3}, 2), pickle.dumps({"epochs": 1000}, 2)


def archive(*records: tuple[str, bytes], how: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as made:
        for name, content in records:
            made.writestr(zipfile.ZipInfo(name), content, how)
    return file.getvalue()


def checkpoint(data: bytes = HONEST) -> bytes:
    return archive(("a/data.pkl", data), ("a/data/0", b"weights " * 8), ("a/version", b"3\n"))


def parts(whole: bytes) -> tuple[bytes, bytes, int]:
    """Return the records of a zip file, its directory, and of how many it is."""
    number, length, begin = struct.unpack("<H2L", whole[-12:-2])
    return whole[:begin], whole[begin : begin + length], number


def long_end(directory: bytes, begin: int, number: int) -> bytes:
    return struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, number, number, len(directory), begin)


def ends(long_end_at: int, number: int) -> bytes:
    most = 0xFFFFFFFF
    short = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, number, number, most, most, 0)
    return struct.pack("<4sLQL", b"PK\x06\x07", 0, long_end_at, 1) + short


def as_torch_ends_it() -> bytes:
    records, directory, number = parts(checkpoint())
    begin, behind = len(records), len(records) + len(directory)
    return records + directory + long_end(directory, begin, number) + ends(behind, number)


def two_directories() -> bytes:
    """The pickle is another record to a reader that believes the other directory.

    Python took the long numbers that lie before the end (CVE-2025-8291), torch those to which it is pointed.
    """
    records, directory, number = parts(archive(("a/data.pkl", HONEST), ("a/data.xyz", FORGED)))
    other = directory.replace(b"data.pkl", b"data.___").replace(b"data.xyz", b"data.pkl")
    other = other.replace(b"data.___", b"data.xyz")
    other += long_end(other, len(records), number)
    begin = len(records) + len(other)
    return records + other + directory + long_end(directory, begin, number) + ends(begin - 56, number)


def by_another_name() -> bytes:
    """To Python a name ends at a zero, to torch it does not."""
    return archive(("a/data.pkl.txt", HONEST)).replace(b"data.pkl.txt", b"data.pkl\0txt")


def growing() -> bytes:
    """A few bytes that are a million, and could be any number of them."""
    return archive(("a/data.pkl", HONEST), ("a/data/0", b"\0" * 1_000_000), how=zipfile.ZIP_DEFLATED)


def overlapping() -> bytes:
    """Tensors without number in the same bytes."""
    records, directory, number = parts(checkpoint())
    entry = directory[directory.index(b"a/data/0") - 46 :][: 46 + len("a/data/0")]
    more = b"".join(entry.replace(b"a/data/0", b"a/data/%d" % place) for place in range(1, 10))
    number += len(more) // len(entry)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, number, number, len(directory + more), len(records), 0)
    return records + directory + more + end


@pytest.mark.parametrize("made", [checkpoint, as_torch_ends_it], ids=["short", "long"])
def test_what_torch_writes_is_taken(made: Callable[[], bytes]) -> None:
    found = read_torch_file(io.BytesIO(made()))
    assert found.data == HONEST and found.records == {"data.pkl": len(HONEST), "data/0": 64, "version": 2}
    require_torch_file(io.BytesIO(made()))


@pytest.mark.parametrize(
    ("made", "words"),
    [
        pytest.param(two_directories, "in two ways where its records are", id="two directories"),
        pytest.param(lambda: checkpoint() + checkpoint(FORGED), "in two ways where", id="another one before it"),
        pytest.param(lambda: HONEST + checkpoint(), "in two ways where", id="a pickle before it"),
        pytest.param(lambda: checkpoint()[:-2] + b"\x02\0ab", "not a zip file to its end", id="a comment"),
        pytest.param(lambda: checkpoint()[:-30], "not a zip file to its end", id="cut short"),
        pytest.param(lambda: b"PK", "not a zip file to its end", id="two bytes"),
        pytest.param(
            lambda: archive(("a/data.pkl", HONEST), ("a/DATA.pkl", FORGED)), "2 records data.pkl", id="capital letters"
        ),
        pytest.param(
            lambda: archive(("a/data.pkl", HONEST), ("a/data/0", b"1"), ("a/Data/0", b"2")),
            "twice",
            id="a tensor twice",
        ),
        pytest.param(lambda: archive(("a/Data.pkl", HONEST)), "names that torch does not give", id="a capital letter"),
        pytest.param(by_another_name, "names that torch does not give", id="two names"),
        pytest.param(lambda: archive(("a/data.pkl", HONEST), ("b/data.pkl", FORGED)), "2 records", id="two folders"),
        pytest.param(lambda: archive(("a/b", b"")), "0 records", id="none"),
        pytest.param(growing, "is compressed, and torch compresses nothing", id="compressed"),
        pytest.param(overlapping, "its records overlap", id="overlapping"),
    ],
)
def test_what_readers_may_differ_on_or_grows_is_refused(made: Callable[[], bytes], words: str) -> None:
    for look in (read_torch_file, require_torch_file):
        with pytest.raises(ValueError, match=words):
            look(io.BytesIO(made()))


def test_no_more_is_read_than_there_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="has more than 0 MiB"):
        read_torch_file(io.BytesIO(checkpoint()), 10)
    monkeypatch.setattr(torch_file, "_LONGEST_DIRECTORY", 100)
    with pytest.raises(ValueError, match="list of records has more than"):
        require_torch_file(io.BytesIO(checkpoint()))
