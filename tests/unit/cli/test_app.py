"""Help, version, completion: what every command has."""

import json
import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from nnunet_api.reasons import Reason
from nnunet_cli.errors import ExitCode
from nnunet_cli.text.output import as_json, as_yaml
from tests.support.command import Command

COMMANDS = [
    "list",
    "watch",
    "wait",
    "explain",
    "logs",
    "suspend",
    "resume",
    "report",
    "curves",
    "compare",
    "dataset check",
    "dataset push",
    "dataset ls",
    "lint",
    "audit",
    "rights",
]
WITHOUT = {
    ExitCode.FOUND: ["list", "explain", "audit", "rights"],  # nothing that they tell is a failure
    ExitCode.CLUSTER: ["dataset check"],  # it asks none
}


def test_version(nnunet: Command) -> None:
    assert nnunet("--version").out.strip() == version("nnunet-operator")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples_and_exit_codes(nnunet: Command, command: str) -> None:
    run = nnunet(*command.split(), "--help")
    assert run.code == 0 and f"  kubectl nnunet {command}" in run.out
    for code in ExitCode:
        assert f"    {int(code)}  " in run.out or command in WITHOUT.get(code, ())


@pytest.mark.parametrize("words", ["list -o xml", "report a --file xml", "dataset ls -o xml", "logs a --stage xml"])
def test_a_word_that_is_none_of_the_choices(nnunet: Command, words: str) -> None:
    run = nnunet(*words.split())
    assert run.code == 2 and "'xml' is not one of" in run.err and "Value error" not in run.err, run.err


def test_no_sentence_of_the_list_of_commands_is_cut(nnunet: Command) -> None:
    for group in ((), ("dataset",)):
        said = nnunet(*group, "--help").out.partition("Commands:")[2].splitlines()
        assert said and all(line.endswith(".") and "..." not in line for line in said if line.strip()), said


FOR_SCRIPTS = {
    "list": ("list",),
    "explain": ("explain", "a"),
    "curves": ("curves", "a"),
    "compare": ("compare", "a"),
    "dataset check": ("dataset", "check", "Dataset001_A"),
    "dataset ls": ("dataset", "ls"),
    "lint": ("lint", "t.yaml", "--offline"),
    "audit": ("audit",),
    "rights": ("rights",),
}


@pytest.mark.parametrize("form", ["json", "yaml"])
@pytest.mark.parametrize("command", FOR_SCRIPTS)
def test_what_is_there_for_scripts_is_there_as_json_and_as_yaml(nnunet: Command, command: str, form: str) -> None:
    Path("Dataset001_A").mkdir()
    Path("t.yaml").write_text("kind: NnunetTraining")
    run = nnunet(*FOR_SCRIPTS[command], "-o", form)
    if command in ("lint", "dataset check"):
        data = run.data if form == "json" else yaml.safe_load(run.out)
        assert run.code == 1 and isinstance(data, dict)
    else:
        assert run.code == 3 and "there is no file" in run.err, "it was about to ask the cluster"


@pytest.mark.parametrize("command", COMMANDS)
def test_no_other_command_has_one_of_the_two(nnunet: Command, command: str) -> None:
    text = " ".join(nnunet(*command.split(), "--help").out.split())
    forms = [found.split("|") for found in re.findall(r"--output [<\[]([a-z|]+)[>\]]", text)]
    assert (forms != []) is (command in FOR_SCRIPTS), text
    assert all({"json", "yaml"} <= set(found) for found in forms), forms


def test_yaml_says_what_json_says() -> None:
    data = {"reason": Reason.TRAINING, "items": [1, None, "ü", "2026-03-01"], "day": "no"}
    assert yaml.safe_load(as_yaml(data)) == json.loads(as_json(data))


def test_completion() -> None:
    """The program itself: its name is part of what the shell asks it."""
    program = Path(sys.executable).with_name("kubectl-nnunet")
    asked = {"_KUBECTL_NNUNET_COMPLETE": "complete_bash", "COMP_WORDS": "kubectl-nnunet a", "COMP_CWORD": "1"}
    said = subprocess.run([program], env=os.environ | asked, capture_output=True, text=True, timeout=120)
    assert said.stdout.split() == ["audit"], said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"a: [\n", "bad.yaml is no YAML that can be read: line 2: expected the node content"),
        (b"token: x\n\tsecret: y\n", "bad.yaml is no YAML that can be read: line 2: "),
        (b"a: \x01", "bad.yaml is no YAML that can be read: unacceptable character"),
        (b"\xff\xfe\x00", "bad.yaml is no YAML that can be read"),
        (b"hello", "bad.yaml is no kubeconfig: it holds no fields"),
        (b"- 1", "bad.yaml is no kubeconfig: it holds no fields"),
        (b"", "bad.yaml is no kubeconfig: it is empty"),
        (b"contexts: 1", "the kubeconfig can't be used: it has not the form of one"),
        (
            b"{current-context: a, clusters: [], users: [], contexts: [{name: a, token: secret}]}",
            "its context a is missing or empty. Give",
        ),
        (None, "there is no file bad.yaml"),
    ],
)
def test_a_kubeconfig_that_can_not_be_read_is_named(nnunet: Command, text: bytes | None, said: str) -> None:
    if text is not None:
        Path("bad.yaml").write_bytes(text)
    run = nnunet("list", "--kubeconfig", "bad.yaml")
    assert run.code == 3 and said in run.err and "Give --kubeconfig and --context" in run.err, run.err
    assert run.err.count("\n") == 1 and "secret" not in run.err and "offline" not in run.err


def test_only_a_command_that_can_work_offline_advises_it(nnunet: Command) -> None:
    Path("t.yaml").write_text("a: 1")
    assert "or work offline, by --offline or --policies" in nnunet("lint", "t.yaml").err
    for command in (
        "watch a",
        "wait a",
        "explain a",
        "logs a",
        "suspend a",
        "report a",
        "curves a",
        "dataset ls",
        "audit",
        "rights",
    ):
        run = nnunet(*command.split())
        assert run.code == 3 and "there is no file" in run.err and "offline" not in run.err, run.err
