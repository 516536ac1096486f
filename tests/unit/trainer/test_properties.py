"""What is kept of preprocessed cases is read as data, whoever wrote it."""

import io
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.process.failures import TrainerError
from nnunet_trainer.run.arrays import STAND_INS, NumberType, whole
from nnunet_trainer.run.properties import Properties, UnknownType, read_properties, unreadable_properties

KEPT = {
    "nibabel_stuff": {
        "original_affine": np.eye(4),
        "reoriented_affine": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    },
    "spacing": [np.float64(1.5), 1.0, np.float32(0.25)],
    "shape_before_cropping": (30, 34, 32),
    "bbox_used_for_cropping": [[0, np.int64(30)], [0, 34]],
    "class_locations": {
        1: np.arange(12, dtype=np.int64).reshape(3, 4),
        (1, 2): [],
        3: np.zeros((0, 4), dtype=np.int64),
        4: np.arange(4, dtype=">i4"),
        5: np.array([True, False]),
        6: np.array(7, dtype=np.uint8),
    },
    "transposed": np.arange(24.0).reshape(2, 3, 4).transpose(1, 0, 2),
    "original_orientation": "LPS",
    "scanners": np.array(["Aera", "", "Prismaähnlich"]),
    "of_another_order": np.array(["ab"], dtype=">U2"),
    "sites": np.array([b"a", b"bc"]),
    "site": np.str_("north"),
    "no_site": np.str_(""),
    "kept_as": np.dtype(">i2"),
    "further": {2, 3},
}


def same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return type(other) is np.ndarray and one.dtype == other.dtype and np.array_equal(one, other)
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and bool(one == other)


@pytest.mark.parametrize("protocol", range(3, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("core", ["_core", "core"])
def test_what_nnunet_keeps_is_read_as_it_was(tmp_path: Path, protocol: int, core: str) -> None:
    """By each protocol of pickle, and by numpy 1, which calls its functions by other names."""
    data = pickle.dumps(KEPT, protocol)
    if core == "core" and protocol < 4:  # names have their lengths before them in later ones
        assert b"numpy._core." in data
        data = data.replace(b"numpy._core.", b"numpy.core.")
    (tmp_path / "case.pkl").write_bytes(data)
    found = read_properties(str(tmp_path / "case.pkl"))
    assert same(KEPT, found)
    found["class_locations"][1][0] = 5  # in memory of its own


class Calls:
    """Unpickling it calls a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self._call = function, arguments

    def __reduce__(self) -> Any:
        return self._call


@pytest.mark.parametrize(
    ("function", "named"),
    [(Path.touch, "builtins.getattr|pathlib"), (eval, "builtins.eval"), (np.fromfile, "fromfile"), (np.load, "numpy")],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_what_is_no_plain_data_is_refused_by_name_and_not_run(tmp_path: Path, function: Any, named: str) -> None:
    marker, path = tmp_path / "attacked", tmp_path / "case.pkl"
    argument: Any = f"open({str(marker)!r}, 'w')" if function is eval else marker
    path.write_bytes(pickle.dumps(KEPT | {"more": Calls(function, argument)}))
    with pytest.raises(UnknownType, match=named):
        read_properties(str(path))
    assert not marker.exists()


def of_type(code: str, state: Any, data: Any) -> bytes:
    """Return the pickle of an array whose type is made and then changed."""

    class Kind:
        def __reduce__(self) -> Any:
            return np.dtype, (code, False, True), state

    made: Any = np.ndarray.__reduce__(np.zeros(1))[0]

    class Forged:
        def __reduce__(self) -> Any:
            return made, (np.ndarray, (0,), b"b"), (1, (1,), Kind(), False, data)

    return pickle.dumps(Forged())


USUAL = (3, "<", None, None, None, -1, -1, 0)


@pytest.mark.parametrize(
    "pickled",
    [
        of_type("O8", (3, "|", None, None, None, -1, -1, 63), [1]),
        of_type("O8", (3, "|", None, None, None, -1, -1, 0), b"\x41" * 8),
        of_type("f8", (3, "<", None, None, None, -1, -1, 63), b"\x41" * 8),
        of_type("f8", (3, "<", None, ("a",), {"a": ("f8", 0)}, 8, 1, 0), b"\x41" * 8),
        of_type("f8", (4, *USUAL[1:], {}), b"\x41" * 8),
        of_type("f8", USUAL, b"\x41" * 16),
        of_type("f8", USUAL, [1.0]),
        of_type("V8", USUAL, b"\x41" * 8),
        of_type("M8", USUAL, b"\x41" * 8),
        of_type("U2", (3, "<", None, None, None, 8, 4, 63), b"\x41" * 8),
        of_type("U2", (3, "<", None, None, None, 8, 4, 8), b"\x41" * 16),
        of_type("U0", (3, "<", None, None, None, 0, 4, 8), b""),
    ],
    ids=[
        *("objects", "addresses", "flags", "fields", "metadata", "longer", "no bytes", "void"),
        *("dates", "flags of text", "longer text", "text of no length"),
    ],
)
def test_an_array_of_something_else_than_numbers_is_refused(tmp_path: Path, pickled: bytes) -> None:
    (tmp_path / "case.pkl").write_bytes(pickled)
    with pytest.raises(pickle.UnpicklingError, match=r"it has (numbers of|an array of something else)"):
        read_properties(str(tmp_path / "case.pkl"))


def test_usual_numbers_are_taken_by_the_same_means(tmp_path: Path) -> None:
    (tmp_path / "case.pkl").write_bytes(of_type("f8", USUAL, np.float64(3).tobytes()))
    assert read_properties(str(tmp_path / "case.pkl")).tolist() == [3]
    assert NumberType("i4").dtype == np.int32


class Kept:
    """A type that a trainer class vouches for."""

    order: Any


def test_what_a_type_of_its_own_holds_is_an_array_and_is_saved_as_one() -> None:
    """As torch reads it, which gives the type what stands for numpy's, where nothing else reaches."""
    kept = Kept()
    vars(kept).update(order=np.arange(6.0).reshape(2, 3), columns=np.asfortranarray(np.eye(2, 3)), kind=np.dtype("f4"))

    class Reader(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            return Kept if name == "Kept" else STAND_INS[f"{module}.{name}"]

    found = whole(Reader(io.BytesIO(pickle.dumps(kept, 3))).load())
    for name in ("order", "columns"):
        expected, held = getattr(kept, name), getattr(found, name)
        assert isinstance(held, np.ndarray) and np.array_equal(held, expected)
        assert held.flags.f_contiguous == expected.flags.f_contiguous
        assert type(held + 1) is np.ndarray and type(held.sum()) is np.float64
    assert (found.kind, found.kind.itemsize, np.zeros(1, found.kind).dtype) == (np.dtype("f4"), 4, np.dtype("f4"))
    assert b"nnunet_trainer" not in pickle.dumps(found), "who loads it then knows nothing of stand-ins"
    assert np.array_equal(pickle.loads(pickle.dumps(found)).order, kept.order)


def test_what_contains_itself_or_much_of_the_same_is_looked_at_once() -> None:
    inside: list[Any] = []
    inside.append(inside)
    assert whole(inside)[0] is inside
    nested: Any = [1]
    for _ in range(100):
        nested = (nested, nested)
    found = whole(nested)
    assert found[0] is found[1] and found[0][1][0] is found[1][0][1]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (pickle.dumps(Calls(eval, "1")), "it names builtins.eval"),
        (pickle.dumps({"a": np.array([None, "a"])}), "it has numbers of type O8"),
        (pickle.dumps(KEPT)[:-40], "it is cut short or damaged"),
        (b"\x80\x04cnumpy\nndarray\n)RK\x01b.", "it is damaged (TypeError: "),
        (b"", "it is cut short or damaged"),
        (b"\x00" * 100, "it is cut short or damaged"),
        (b"\x80\x02}K\x00K\x00\x86" + b"2\x86" * 100 + b"K\x00s.", "it has keys of so many parts"),
    ],
    ids=["a function", "objects", "cut off", "an array of 1", "empty", "zeros", "a key without end"],
)
def test_who_waits_for_workers_learns_what_they_refused(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "case.pkl"
    path.write_bytes(content)
    module = SimpleNamespace(load_pickle=pickle.load)
    properties = Properties()
    properties.read_by(module)
    assert properties.refused() is None
    with pytest.raises(TrainerError) as caught:
        module.load_pickle(str(path))
    told = properties.refused()
    assert told is not None and told.message == caught.value.message and told.code == ExitCode.WRONG_DATA
    assert f"{path} can't be read: " in told.message and words in told.message
    assert words in unreadable_properties(tmp_path)
