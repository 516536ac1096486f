"""What others have written is shown, and never obeyed by the terminal: no escapes, no text that runs backwards.

Commands that ask the cluster alone are in tests/integration/cli/test_hostile_text.py.
"""

import ast
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

import nnunet_cli
from nnunet_cli import __main__ as program
from nnunet_cli.curves import command as curves
from nnunet_cli.datasets import command as dataset
from nnunet_cli.errors import CliError, ExitCode
from nnunet_cli.report import command as report
from nnunet_cli.text import output
from nnunet_cli.text.words import printable
from nnunet_cli.volumes import runs, stream
from nnunet_cli.volumes.helper import Image, why_waiting
from nnunet_cli.volumes.runs import Run
from tests.support.command import Command
from tests.support.made_statuses import training_body
from tests.unit.cli.pipes import LocalVolume

HOSTILE = "a\x1b]52;c;cm0gLXJm\x07b\x1b[2Jc\x9b31md\u202ee\rf"
"""Writes the clipboard, clears the screen, colours by one C1 character, turns the direction, goes back in the line."""
SHOWN = "a�]52;c;cm0gLXJm�b�[2Jc�31md�e f"
DRAWN = "a�]52;c;cm0gLXJmb�[2Jc�31md�ef"
"""rich leaves bells and carriage returns out."""
BEGUN = {"status": {"startTime": "2026-03-01T11:00:00Z"}}


def peaceful(text: str) -> bool:
    return all(char.isprintable() or char == "\n" for char in text)


def test_each_character_stays_one() -> None:
    assert printable(HOSTILE) == SHOWN and len(SHOWN) == len(HOSTILE)


def test_only_one_module_writes_to_the_terminal() -> None:
    """It cleans what it writes. What is written past it would not be cleaned."""
    root = Path(nnunet_cli.__file__).parent
    writes = set()
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            called = node.func if isinstance(node, ast.Call) else None
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if name in ("echo", "secho", "get_binary_stream", "get_text_stream", "Console"):
                writes.add((path.relative_to(root).as_posix(), name))
            if isinstance(node, ast.Attribute) and node.attr in ("stdout", "stderr", "__stdout__", "__stderr__"):
                writes.add((path.relative_to(root).as_posix(), node.attr))
    assert {(path, name) for path, name in writes if path not in ("text/output.py", "volumes/agent.py")} == {
        ("__main__.py", "stderr"),  # closes it
        ("logs/streams.py", "echo"),  # the module's own function, handed over
    }


def test_what_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    output.say(HOSTILE)
    output.note(HOSTILE)
    output.print_lines(lambda width: [Text(HOSTILE, style="bold")])
    said = capsys.readouterr()
    assert said.out == f"{SHOWN}\n{DRAWN}\n" and said.err == f"{SHOWN}\n"


@pytest.mark.parametrize("drawn", [HOSTILE, Panel(HOSTILE, title=HOSTILE), Text(HOSTILE, style="red")], ids=type)
def test_what_is_drawn_keeps_its_own_colours_alone(drawn: Any, capsys: pytest.CaptureFixture[str]) -> None:
    table = Table(title=HOSTILE)
    table.add_column(HOSTILE)
    table.add_row(drawn)
    output.Terminal(force_terminal=True, color_system="standard", width=200, highlight=False).print(table)
    said = capsys.readouterr().out
    assert "\x1b[" in said, "its own styles are there"
    for theirs in ("\x1b]", "\x1b[2J", "\x9b", "\u202e", "\r", "\x07"):
        assert theirs not in said, theirs


def test_scripts_get_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    for form, load in (("json", json.loads), ("yaml", yaml.safe_load)):
        assert output.print_data(form, lambda: {HOSTILE: [HOSTILE, "übung 🧠"]})
        said = capsys.readouterr().out
        assert load(said) == {HOSTILE: [HOSTILE, "übung 🧠"]} and peaceful(said)


def test_a_file_is_text_to_a_terminal(monkeypatch: pytest.MonkeyPatch, capsysbinary: Any) -> None:
    output.print_file(HOSTILE.encode())
    assert capsysbinary.readouterr().out == HOSTILE.encode(), "a program gets what is in the file"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    output.print_file(HOSTILE.encode() + b"\xff")
    assert capsysbinary.readouterr().out.decode() == SHOWN + "�"


def test_why_a_command_ends(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    state = {"terminated": {"exitCode": 1, "reason": HOSTILE, "message": HOSTILE}}
    status = {"phase": "Failed", "reason": HOSTILE, "containerStatuses": [{"name": "volume", "state": state}]}
    waiting = why_waiting({"status": status}, [HOSTILE])
    assert waiting is not None and SHOWN not in waiting.text

    def fail() -> None:
        raise CliError(waiting.text, ExitCode.CLUSTER)

    monkeypatch.setattr(program, "app", fail)
    with pytest.raises(SystemExit):
        program.main()
    said = capsys.readouterr().err
    assert said.count(SHOWN) == 3 and peaceful(said)


@pytest.fixture
def claim(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder that the commands take for the claim, without a cluster."""
    root = tmp_path / "claim"
    root.mkdir()

    class NoCluster:
        namespace = "clinic"

        def __init__(self, *_: Any) -> None:
            """Takes what a cluster does."""

    @contextmanager
    def mounted(*_: Any, **__: Any) -> Iterator[LocalVolume]:
        yield LocalVolume(root)

    @contextmanager
    def open_run(*_: Any) -> Iterator[Run]:
        yield Run(LocalVolume(root), "run")

    for module in (dataset, report, curves):
        monkeypatch.setattr(module, "Cluster", NoCluster)
    monkeypatch.setattr(dataset, "mounted", mounted)
    monkeypatch.setattr(dataset, "choose_image", lambda *_: Image("trainer:1"))
    for module in (report, curves):
        monkeypatch.setattr(module, "open_run", open_run)
    monkeypatch.setattr(runs, "read_training", lambda *_: training_body() | BEGUN)
    return root


def test_names_on_a_claim(claim: Path, nnunet: Command) -> None:
    for number, labels in enumerate(({HOSTILE: 0}, HOSTILE)):
        folder = claim / f"Dataset00{number}_{HOSTILE}"
        folder.mkdir()
        (folder / "dataset.json").write_text(json.dumps({"numTraining": HOSTILE, "labels": labels}))
    for form in ("text", "json", "yaml"):
        run = nnunet("dataset", "ls", "-o", form)
        assert run.code == 0 and peaceful(run.out + run.err), run
        assert (DRAWN in run.out) == (form == "text")


def test_names_in_a_folder_and_strangers_on_the_claim(claim: Path, nnunet: Command) -> None:
    source = Path("Dataset001_A")
    (source / HOSTILE).mkdir(parents=True)
    (source / "dataset.json").write_text(json.dumps({"file_ending": HOSTILE, "labels": {HOSTILE: HOSTILE}}))
    run = nnunet("dataset", "check", str(source))
    assert run.code == 1 and SHOWN.split("]")[0] in run.out + run.err and peaceful(run.out + run.err), run
    (claim / source).mkdir()
    (claim / source / HOSTILE).write_bytes(b"")
    run = nnunet("dataset", "push", str(source), "--no-check")
    assert run.code == 0 and f"1 file on the claim is not in {source}, and left there: {SHOWN}" in run.err
    assert peaceful(run.out + run.err), run


def test_what_stands_in_the_place_of_a_report(claim: Path, nnunet: Command) -> None:
    (claim / "run").symlink_to(HOSTILE)
    run = nnunet("report", "hippo")
    assert run.code == 1 and f"is a link to {SHOWN}" in run.err and peaceful(run.err), run


def test_a_report_that_would_fill_the_memory_of_who_fetches_it(claim: Path, nnunet: Command) -> None:
    (claim / "run").mkdir()
    (claim / "run" / "report.html").touch()
    os.truncate(claim / "run" / "report.html", 1 << 40)  # a sparse file takes no room
    run = nnunet("report", "hippo")
    assert run.code == 1 and "has 1048576 MiB, and at most 256 are fetched" in run.err, run
    assert not Path("hippo-report.html").exists()


def test_an_answer_that_would_fill_the_memory(monkeypatch: pytest.MonkeyPatch, claim: Path, nnunet: Command) -> None:
    monkeypatch.setattr(stream, "LONGEST_MESSAGE", 1 << 20)
    (claim / "Dataset001_A").mkdir()
    (claim / "Dataset001_A" / "dataset.json").write_text(json.dumps({"numTraining": "x" * (3 << 20)}))
    run = nnunet("dataset", "ls")
    assert run.code == 1 and "has a line of more than 1 MiB" in run.err, run
