"""lint reads YAML and JSON as kubectl does: each row goes through both, and fields also through the API server."""

import json
import subprocess
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
