"""Guards of the layout: mistakes that break things far from where they are made."""

import ast
import functools
import re
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.unit.conftest import HERE, MIXED
from tests.unit.reached import Reached

ROOT = Path(__file__).parents[2]


def test_the_operator_folder_is_no_package() -> None:
    """operator/__init__.py would shadow the standard library's operator module for everything run from the root."""
    assert not (ROOT / "operator" / "__init__.py").exists()


class Told(NamedTuple):
    """What the source of a module tells."""

    imports: set[str]
    pickles: set[str]


@functools.cache
def _told(path: Path) -> Told:
    tree = ast.parse(path.read_text())
    return Told(_imports(tree), _pickles_read(tree))


def _imports(tree: ast.AST) -> set[str]:
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
        for name in _told(path).imports & foreign
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
    # To put it back into its place in nnU-Net, once another one has stood there.
    "trainer_image/nnunet_trainer/selection/merging.py": {"load_pickle"},
}
"""Who may name what reads pickles."""
_PICKLES = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
_MAKE_OBJECTS = {"load", "loads", "Unpickler", "open", "_load", "_loads", "_Unpickler", "*"}
_OF_TORCH = {"load", "_load", "_legacy_load", "PackageImporter", "*"}
"""Last names of what makes objects of pickles, in whichever of torch's modules: hub loads all that it has."""
_OF_OTHERS = {"load_pickle", "read_pickle", "DbfilenameShelf"}


def _pickles_read(tree: ast.AST) -> set[str]:
    """Return what a module names of what makes objects of pickles, as `Unpickler` or `torch.load`."""
    found = {read for path in Reached(tree).paths() if (read := _read_by(path))}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "numpy":
            found |= {"numpy.load" for alias in node.names if alias.name == "load"}
        elif isinstance(node, ast.keyword) and node.arg in ("allow_pickle", "weights_only"):
            safe = isinstance(node.value, ast.Constant) and node.value.value is (node.arg == "weights_only")
            found |= set() if safe else {node.arg}
    return found


def _read_by(path: str) -> str:
    """Return how READERS names what is at a dotted path, if it reads pickles: whoever else it is imported from."""
    parts = path.split(".")
    last = parts[-1]
    if last in _OF_OTHERS:
        return last
    if _PICKLES & set(parts[:-1]) and last in _MAKE_OBJECTS:
        return last
    if "torch" not in parts[:-1]:
        return ""
    inside = parts[parts.index("torch") + 1 :]
    return "torch.hub" if inside[0] == "hub" else "torch.load" if last in _OF_TORCH else ""


@pytest.mark.parametrize(
    ("source", "reads"),
    [
        ("import pickle as p; p.loads(data)", {"loads"}),
        ("import pickle; pickle._Unpickler(file)", {"_Unpickler"}),
        ("from pickle import _loads", {"_loads"}),
        ("from pickle import *", {"*"}),
        ("import torch.serialization as s; s.load(file)", {"torch.load"}),
        ("from torch import serialization as s; s.load(file)", {"torch.load"}),
        ("from torch.serialization import load as read", {"torch.load"}),
        ("from torch import serialization\ns = serialization\nread = s.load", {"torch.load"}),
        ("import torch as t; s, n = t.serialization, 1; s._legacy_load(file)", {"torch.load"}),
        ("import torch; torch.jit.load(file)", {"torch.load"}),
        ("from torch import *", {"torch.load"}),
        ("from torch import hub", {"torch.hub"}),
        ("import torch.package as p; p.PackageImporter(file)", {"torch.load"}),
        ("def f():\n    from torch import load\ndef g():\n    from json import load", {"torch.load"}),
        ("import importlib; importlib.import_module('torch').load(file)", {"torch.load"}),
        ("from importlib import import_module as i; p = i('pickle'); p.loads(data)", {"loads"}),
        ("__import__('pickle').loads(data)", {"loads"}),
        ("import torch; getattr(torch.serialization, 'load')(file)", {"torch.load"}),
        ("import pickle; getattr(pickle, name)(file)", {"*"}),
        ("import sys; sys.modules['pickle'].loads(data)", {"loads"}),
        ("import torch; vars(torch)['load'](file); torch.__dict__['load']", {"torch.load"}),
        ("from nnunet_trainer.run.restricted import torch as t; t.load(file)", {"torch.load"}),
        ("import pandas; pandas.read_pickle(file)", {"read_pickle"}),
        ("import nnunetv2.a as a; a.load_pickle = None", set()),
        ("from numpy import load", {"numpy.load"}),
        ("import numpy as np; np.load(file, allow_pickle=True)", {"allow_pickle"}),
        ("import numpy as np; np.load(file)", set()),
        ("import json; json.load(file)", set()),
        ("from json import load as torch; torch(file)", set()),
        ("import pickle, torch; pickle.dumps(torch.save)", set()),
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
        if (read := _told(path).pickles)
    }
    assert found == READERS
