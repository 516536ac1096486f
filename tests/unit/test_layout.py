"""Guards of the layout: mistakes that break things far from where they are made."""

import ast
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.unit.conftest import HERE, MIXED

ROOT = Path(__file__).parents[2]


def test_the_operator_folder_is_no_package() -> None:
    """operator/__init__.py would shadow the standard library's operator module for everything run from the root."""
    assert not (ROOT / "operator" / "__init__.py").exists()


def _imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize(
    ("folder", "foreign"),
    [
        ("operator/nnunet_operator", {"torch", "nnunetv2", "numpy"}),
        ("operator/nnunet_operator/core", {"kopf", "kubernetes", "aiohttp", "prometheus_client"}),
        (
            "operator/nnunet_api",
            {"torch", "nnunetv2", "numpy", "kopf", "kubernetes", "aiohttp", "prometheus_client", "yaml"},
        ),
        ("trainer_image/nnunet_trainer", {"kopf", "kubernetes", "aiohttp"}),
    ],
)
def test_each_image_stays_free_of_the_others_libraries(folder: str, foreign: set[str]) -> None:
    """The operator has no torch, its core and the trainer no Kubernetes client, the API nothing but pydantic."""
    found = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in (ROOT / folder).rglob("*.py")
        for name in _imports(path) & foreign
    }
    assert found == set()


def test_each_marked_test_is_in_a_file_that_its_level_collects() -> None:
    """A file that no level collects would be run by nobody."""
    mark = re.compile(r"^@pytest\.mark\.(built|heavy)", re.MULTILINE)
    assert {path for path in HERE.rglob("test_*.py") if mark.search(path.read_text())} == set(MIXED)


READERS = {
    "operator/nnunet_api/pickled_keys.py": {"Unpickler"},
    "trainer_image/nnunet_trainer/run/restricted.py": {"torch.load"},
    # What this process has written for the one that it starts.
    "trainer_image/nnunet_trainer/process/pools.py": {"loads"},
}
"""Who may name what reads pickles."""
_PICKLES = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}


_MAKE_OBJECTS = {"load", "loads", "Unpickler", "open", "_load", "_loads", "_Unpickler"}


def _pickles_read(tree: ast.AST) -> set[str]:
    """Return what a module names of what makes objects of pickles, as `Unpickler` or `torch.load`."""
    imports = (alias for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names)
    known = {alias.asname: alias.name for alias in imports if alias.asname}
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            of = (node.module or "").split(".")[0]
            names = {alias.name for alias in node.names}
            found |= names & _MAKE_OBJECTS if of in _PICKLES else set()
            found |= {f"{of}.{name}" for name in names & {"load", "hub"}} if of in ("torch", "numpy") else set()
            found |= names & {"load_pickle", "read_pickle", "DbfilenameShelf"}
        elif isinstance(node, ast.Attribute):
            first, *_, last = _dotted(node, known).split(".")
            found |= {last} if first in _PICKLES and last in _MAKE_OBJECTS else set()
            found |= {"torch.load"} if (first, last) == ("torch", "load") else set()
            found |= {last} & {"read_pickle"}
        elif isinstance(node, ast.keyword) and node.arg in ("allow_pickle", "weights_only"):
            safe = isinstance(node.value, ast.Constant) and node.value.value is (node.arg == "weights_only")
            found |= set() if safe else {node.arg}
    return found


def _dotted(node: ast.expr, known: Mapping[str, str]) -> str:
    """Return a chain of attributes with dots, which begins with the name of a module and not with that given to it."""
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value, known)}.{node.attr}"
    return known.get(node.id, node.id) if isinstance(node, ast.Name) else ""


@pytest.mark.parametrize(
    ("source", "reads"),
    [
        ("import pickle as p; p.loads(data)", {"loads"}),
        ("import pickle; pickle._Unpickler(file)", {"_Unpickler"}),
        ("from pickle import _loads", {"_loads"}),
        ("import torch.serialization as s; s.load(file)", {"torch.load"}),
        ("import torch; torch.jit.load(file)", {"torch.load"}),
        ("import pandas; pandas.read_pickle(file)", {"read_pickle"}),
        ("import json; json.load(file)", set()),
    ],
)
def test_a_reader_of_pickles_is_found_by_any_name(source: str, reads: set[str]) -> None:
    assert _pickles_read(ast.parse(source)) == reads


def test_no_pickle_is_read_but_by_who_weighs_it_and_knows_all_that_it_may_name() -> None:
    """A reader of its own would forget one of the two: let it be a `WeighedUnpickler`, or read by run/restricted.py."""
    found = {
        str(path.relative_to(ROOT)): read
        for folder in ("operator", "trainer_image")
        for path in (ROOT / folder).rglob("*.py")
        if (read := _pickles_read(ast.parse(path.read_text())))
    }
    assert found == READERS
