"""lint reads YAML and JSON as kubectl does: each row goes through both, and fields also through the API server."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.localcluster.kubectl import kubectl_path
from nnunet_cli.lint.reading import Unreadable, read_scalar, read_stream
from tests.integration.cli.conftest import Site
from tests.support.command import Command
from tests.support.written import FIELDS, FIELDS_JSON, HEAD, JSON_FILES, NO_JSON, PLAIN, REFUSED, SCALARS

SECONDS = 60


def kubectl(text: str) -> list[Any] | None:
    """Return the objects that kubectl finds in a file, as it would send them; None where it refuses the file."""
    # The one command that reads any kind, asks no server and prints what it has read.
    command = f"{kubectl_path()} annotate --local -f - -o json read=yes --kubeconfig=/dev/null".split()
    done = subprocess.run(command, input=text.encode(), capture_output=True, timeout=SECONDS, check=False)
    return None if done.returncode else list(_objects(done.stdout.decode()))


def _objects(text: str) -> Iterator[Any]:
    decoder, text = json.JSONDecoder(), text.lstrip()
    while text:
        found, end = decoder.raw_decode(text)
        text = text[end:].lstrip()
        del found["metadata"]["annotations"]
        yield found


def lint(text: str) -> list[Any] | None:
    """Return the objects that lint finds in a file; None where it refuses the file."""
    try:
        return [body for body in read_stream(text.encode()) if body is not None]
    except (Unreadable, yaml.YAMLError):
        return None


def exactly(value: Any) -> str:
    """Return a value in words that tell 1 from 1.0 and true."""
    return json.dumps(value, sort_keys=True)


def test_scalars() -> None:
    text = HEAD + "v:\n" + "".join(f"- {scalar}\n" for scalar in SCALARS)
    (theirs,), (ours,) = kubectl(text) or [{}], lint(text) or [{}]
    different = {
        written: (exactly(mine), exactly(its))
        for written, mine, its in zip(SCALARS, ours["v"], theirs["v"], strict=True)
        if exactly(mine) != exactly(its)
    }
    assert not different


def test_what_kubectl_reads() -> None:
    text = "---\n".join(HEAD + text for text in PLAIN.values())
    theirs, ours = kubectl(text) or [], lint(text) or []
    different = {
        name: (exactly(mine), exactly(its))
        for name, mine, its in zip(PLAIN, ours, theirs, strict=True)
        if exactly(mine) != exactly(its)
    }
    assert not different


@pytest.mark.parametrize("text", JSON_FILES.values(), ids=JSON_FILES)
def test_what_kubectl_reads_of_json(text: str) -> None:
    theirs = kubectl(text)
    assert theirs is not None and exactly(lint(text)) == exactly(theirs)


@pytest.mark.parametrize("text", [*(f"v: {scalar}\n" for scalar in NO_JSON), *REFUSED.values()])
def test_what_kubectl_refuses(text: str) -> None:
    assert kubectl(HEAD + text) is None
    assert lint(HEAD + text) is None


def test_fields(site: Site, nnunet: Command) -> None:
    """kubectl create, lint with the API server and lint without one come to the same."""
    site.namespace("read")
    kind = {"apiVersion": "nnunet.dev/v1alpha1", "kind": "NnunetTraining"}
    names = {row: f"t-{number:03}" for number, row in enumerate(FIELDS | FIELDS_JSON)}
    for row, name in names.items():
        head = {**kind, "metadata": {"name": name, "namespace": "read"}}
        if row in FIELDS:
            text = f"{yaml.safe_dump(head)}spec:\n  dataset: {{name: Dataset001_A}}\n  {row}\n"
        else:
            text = f'{json.dumps(head)[:-1]}, "spec": {{"dataset": {{"name": "Dataset001_A"}}, {row}}}}}'
        Path(f"{name}.yaml").write_text(text)
    command = f"{kubectl_path()} --kubeconfig={site.kubeconfig} create --dry-run=server -o name -f .".split()
    taken = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False, text=True).stdout.split()
    found = {row: [f"nnunettraining.nnunet.dev/{name}" in taken] for row, name in names.items()}
    for more in ((), ("--offline",)):
        for result in nnunet("lint", ".", *more, "-o", "json").data["results"]:
            (row,) = [row for row, name in names.items() if f"{name}.yaml" == result["file"]]
            found[row].append(result["outcome"] == "allowed")
    assert found == {row: [wanted] * 3 for row, wanted in (FIELDS | FIELDS_JSON).items()}


@pytest.mark.parametrize(
    "text", [HEAD + "v: {a: 1, a: 2}\n", HEAD + "v: 1\nv: 2\n", HEAD + "v: 1\n...\nw: 2\n", '{"a": 1, "a": 2}']
)
def test_what_kubectl_passes_over_in_silence_is_refused(text: str) -> None:
    """It sends the last of two values, and the first of two documents."""
    assert lint(text) is None


def test_long_numbers_end_quickly() -> None:
    assert read_scalar("9" * 10_000) == "9" * 10_000
    assert lint('{"a": ' + "9" * 10_000 + "}") is None
