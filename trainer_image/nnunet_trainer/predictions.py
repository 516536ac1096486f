"""Predicted segmentations that an interruption may have cut short."""

import logging
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)


def keep_whole_ones(folder: Path, ending: str, reader: Any) -> set[str]:
    """Return the cases whose segmentation in the folder can be read; delete the others.

    nnU-Net writes segmentations in place, so one that is there need not be whole. `reader` is nnU-Net's.
    """
    whole = set()
    for path in sorted(folder.glob(f"*{ending}")):
        try:
            reader.read_seg(str(path))
        except Exception as error:
            log.warning("%s is incomplete and will be predicted again: %s", path.name, str(error).strip()[-200:])
            path.unlink()
        else:
            whole.add(path.name.removesuffix(ending))
    return whole
