"""The two sizes of tests: the one of `make test-soak` is the larger one, and it is known when it last ran."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
VALUES = (
    "import json; from tests.support import sizes; "
    "print(json.dumps({k: v for k, v in vars(sizes).items() if type(v) is int}))"
)


def sizes(*arguments: str, **env: str) -> str:
    command = [sys.executable, *arguments]
    kept = {name: value for name, value in os.environ.items() if name not in ("NNUNET_SOAK", "SEED")}
    return subprocess.run(
        command, cwd=ROOT, env={**kept, **env}, capture_output=True, text=True, check=True, timeout=60
    ).stdout


def numbers(**env: str) -> dict[str, int]:
    values: dict[str, int] = json.loads(sizes("-c", VALUES, **env))
    return values


def test_a_soak_test_does_more() -> None:
    usual, soak = numbers(), numbers(NNUNET_SOAK="1")
    assert usual.keys() == soak.keys() and usual
    assert all(usual[name] < soak[name] for name in usual)


def test_when_it_last_ran_is_said(tmp_path: Path) -> None:
    cache = str(tmp_path / "cache")
    assert "never on this machine" in sizes("-m", "tests.support.sizes", NNUNET_BUILD_CACHE=cache)
    sizes("-m", "tests.support.sizes", "--done", NNUNET_BUILD_CACHE=cache)
    said = sizes("-m", "tests.support.sizes", NNUNET_BUILD_CACHE=cache)
    assert "last ran: 20" in said and "5000 in place of 40 made-up worlds" in said


def test_a_seed_is_fixed_unless_asked_for_another() -> None:
    program = "from tests.support import sizes; print(sizes.seed(7))"
    assert sizes("-c", program) == "7\n"
    assert sizes("-c", program, SEED="9", NNUNET_SOAK="1") == "9\n"
    assert sizes("-c", program, NNUNET_SOAK="1") != sizes("-c", program, NNUNET_SOAK="1")
