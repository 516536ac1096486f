"""Files of Go modules, from the module proxy."""

import json
import os
from pathlib import Path

from hack.fetch import fetch
from hack.localcluster.build import find_go
from hack.localcluster.console import Console


def module_folder(module: str, version: str, checksum: str) -> Path:
    """Return the folder of a module in Go's cache, downloaded where it is not there yet.

    Raises RuntimeError where it can't be had, or is not what `checksum` (h1:...) says.
    """
    command = [str(find_go(Console())), "mod", "download", "-json", f"{module}@{version}"]
    env = {**os.environ, "GOFLAGS": "", "GOWORK": "off"}
    done = fetch(command, env=env, timeout=120)
    found = json.loads(done.stdout or "{}")
    if done.returncode or found.get("Sum") != checksum:
        raise RuntimeError(f"{' '.join(command)}: {found.get('Error') or found.get('Sum') or done.stderr.strip()}")
    return Path(found["Dir"])
