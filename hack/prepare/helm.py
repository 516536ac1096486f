"""The helm binary, and a chart rendered by it."""

import functools
import json
import os
import pickle
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from hack.localcluster.build import ensure_binaries
from hack.localcluster.console import Console

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "nnunet-operator"
IMAGES = {"image": {"repository": "nnunet-operator"}, "trainer": {"image": {"repository": "nnunet-trainer"}}}
"""The two values that have no default."""

_GARBAGE_PERCENT = "400"
"""GOGC of helm: a fifth less work than with Go's 100, in a process that lives for a tenth of a second."""

Object = dict[str, Any]


class HelmError(Exception):
    """helm refused; the text is what it printed."""


def helm_binary() -> Path:
    """Return helm: the one that the HELM variable names, or else the local cluster's, built where that must be."""
    named = os.environ.get("HELM")
    return Path(named) if named else ensure_binaries(Console()).helm


def helm(*args: str, values: Mapping[str, Any] | None = None, env: Mapping[str, str] | None = None) -> str:
    """Run helm, with values on its standard input, and return its output. Raises HelmError where it fails."""
    command = [str(helm_binary()), *args]
    if values is not None:
        command += ["--values", "-"]
    done = subprocess.run(
        command,
        input=json.dumps(values) if values is not None else None,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env={"GOGC": _GARBAGE_PERCENT, **os.environ, **(env or {})},
    )
    if done.returncode != 0:
        raise HelmError(done.stderr.strip())
    return done.stdout


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `over` laid on top, object by object, as Helm does with values."""
    out = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(out.get(key), Mapping)
        out[key] = merged(out[key], value) if both else value
    return out


def render(values: Mapping[str, Any] | None = None, release: str = "nnunet-operator", *args: str) -> list[Object]:
    """Return the objects of the chart for these values on top of the required ones.

    Raises HelmError where the schema or a template refuses the values.
    """
    return objects(rendered(values, release, *args))


def rendered(values: Mapping[str, Any] | None = None, release: str = "nnunet-operator", *args: str) -> str:
    """Return what `render` reads."""
    where = ["--namespace=nnunet-system", "--kube-version=1.37.0"]
    return helm("template", release, str(CHART), *where, *args, values=merged(IMAGES, values or {}))


def objects(text: str) -> list[Object]:
    """Return the objects of a text of YAML documents, as those who ask may change them."""
    documents = (pickle.loads(_document(part)) for part in _BETWEEN_DOCUMENTS.split(text))
    return [document for document in documents if document]


_BETWEEN_DOCUMENTS = re.compile(r"^---$", re.MULTILINE)


@functools.lru_cache(maxsize=1000)
def _document(text: str) -> bytes:
    """Return the pickled object of a document: most of a chart is the same whatever the values, and slow to read."""
    return pickle.dumps(yaml.load(text, Loader=yaml.CSafeLoader))  # in C: ten times faster
