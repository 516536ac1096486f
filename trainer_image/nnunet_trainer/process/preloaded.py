"""Imported by the process that workers are forked from: the libraries that nnU-Net's pools use, and what these import.

Nothing of nnU-Net, which reads the environment when it is imported, and no blosc2, which starts threads: only what
takes long of what it imports. No torch._dynamo either: workers train nothing.
"""

import contextlib
import importlib
from collections.abc import Iterable

from nnunet_trainer.process.imports import uncollected

LIBRARIES = """
    torch torch.utils.data pandas numpy scipy.ndimage skimage.io skimage.measure skimage.morphology
    skimage.transform SimpleITK nibabel tifffile imagecodecs tqdm rich.console httpx pydantic
    batchgenerators.utilities.file_and_folder_operations
"""


def load(names: Iterable[str]) -> None:
    """Import modules. What fails, in an image of one's own, fails again in a worker that needs it, in its own words."""
    # What is never looked through is never written to, so that workers share its memory.
    with uncollected():
        for name in names:
            # Whatever is raised here would end the process, and all that a pool says of that is "EOFError".
            with contextlib.suppress(Exception):
                importlib.import_module(name)


load(LIBRARIES.split())
