"""Variables that reach the container in spite of the schema, as a webhook of the cluster could put them into a pod.

What acts before the program can look acts: the operator looks at the pod instead (`nnunet_operator.kube.witness`). This
says which do in the real image, and that each of them is one that the schema refuses and the operator looks for.
"""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from nnunet_api.environment import is_refused
from nnunet_api.slipped_in import of_itself

CODE = ("/opt/nnunet", "/usr/bin", "/usr/lib", "/usr/local/bin", "/usr/local/lib")
NO_CODE = {"/etc/ssl/certs", "/usr/share/zoneinfo"}
"""Where links among it lead, and nothing is run."""
PROGRAM = "/opt/nnunet/bin/nnunet-trainer"


def python(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_text(f"open({str(folder / 'acted')!r}, 'w').close()\n")
    return path


def shell(folder: Path) -> Path:
    path = folder / "start.sh"
    path.write_text(f"touch {folder / 'acted'}\n")
    return path


SLIPPED_IN: dict[str, tuple[Callable[[Path], dict[str, str]], bool]] = {
    "modules before all others": (lambda f: {"PYTHONPATH": str(python(f, "sitecustomize.py").parent)}, True),
    "a warning whose category runs a browser": (
        lambda f: {"PYTHONWARNINGS": "all:0:antigravity.x:0:0", "BROWSER": f"/bin/sh -c 'touch {f / 'acted'}; #%s'"},
        True,
    ),
    "what the loader does": (lambda f: {"LD_DEBUG": "libs", "LD_DEBUG_OUTPUT": str(f / "acted")}, True),
    "an interactive Python's start-up": (lambda f: {"PYTHONSTARTUP": str(python(f, "start.py"))}, False),
    "a shell's start-up": (lambda f: {"BASH_ENV": str(shell(f)), "ENV": str(shell(f))}, False),
}


@pytest.mark.parametrize("what", SLIPPED_IN)
def test_what_acts_before_the_program_is_what_the_operator_looks_for(tmp_path: Path, what: str) -> None:
    make, acts = SLIPPED_IN[what]
    variables = make(tmp_path)
    done = subprocess.run([PROGRAM, "--help"], env=os.environ | variables, capture_output=True, text=True, check=True)
    assert "usage: nnunet-trainer" in done.stdout
    assert bool(list(tmp_path.glob("acted*"))) is acts
    assert all(map(is_refused, variables))


def looked_for(path: str) -> bool:
    return bool(list(of_itself({"command": [PROGRAM], "volumeMounts": [{"name": "x", "mountPath": path}]})))


def test_where_code_and_links_among_it_lead_a_volume_is_looked_for() -> None:
    """By another name it is as good: Debian's Python runs a file below /etc, and libraries are links to links there."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    python3, ask = PROGRAM.replace("nnunet-trainer", "python3"), "import sys; print(*sys.path, sep='\\n')"
    said = subprocess.run([python3, "-c", ask], env=clean, cwd="/", capture_output=True, text=True, check=True)
    folders = {path for path in said.stdout.split() if Path(path).exists()}
    assert folders and all(map(looked_for, folders)), folders
    links = [Path(folder, name) for top in CODE for folder, _, names in os.walk(top) for name in names]
    led = {str(Path(os.path.normpath(link.parent / link.readlink())).parent) for link in links if link.is_symlink()}
    outside = {folder for folder in led if not looked_for(folder)}
    assert outside <= NO_CODE, outside


def test_a_home_of_pythons_own_leaves_no_program_at_all(tmp_path: Path) -> None:
    """PYTHONHOME: it has to hold a whole Python, or nothing starts."""
    assert is_refused("PYTHONHOME")
    environment = os.environ | {"PYTHONHOME": str(tmp_path)}
    done = subprocess.run([PROGRAM, "--help"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "usage" not in done.stdout
