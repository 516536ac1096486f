"""matplotlib's list of fonts, which the image brings: made anew it takes a second of a core in each pod."""

import contextlib
import os
import shutil
import sys
from pathlib import Path

CONFIG_ENV = "MPLCONFIGDIR"
"""matplotlib's own. It must be a folder that can be written to, so the image's can't be used as it is."""
BROUGHT = Path(sys.prefix, "share", "matplotlib")
"""Where the image has it."""


def bring_fonts(brought: Path = BROUGHT) -> None:
    """Give matplotlib the image's list, unless it has one. Without it matplotlib makes its own, which is no failure."""
    if not (folder := os.environ.get(CONFIG_ENV)):
        return
    with contextlib.suppress(OSError):
        for source in brought.glob("fontlist-*.json"):
            target = Path(folder, source.name)
            if target.exists():
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = target.with_name(f".{target.name}-{os.getpid()}")
            shutil.copyfile(source, temporary)
            temporary.replace(target)
