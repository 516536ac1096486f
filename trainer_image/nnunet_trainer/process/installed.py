"""What nnU-Net and torch this image holds; nothing of them is loaded before it is asked for."""

import runpy
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path


def nnunet_version() -> str:
    """Return the version of nnunetv2."""
    return version("nnunetv2")


def nnunet_package() -> Path:
    """Return the folder of nnunetv2's modules."""
    spec = find_spec("nnunetv2")
    assert spec is not None and spec.submodule_search_locations, "nnunetv2 is not installed"
    return Path(spec.submodule_search_locations[0])


def torch_version() -> str:
    """Return the version of torch, without the second of a core that its import takes."""
    found = find_spec("torch")
    assert found is not None and found.submodule_search_locations, "torch is not installed"
    return str(runpy.run_path(str(Path(found.submodule_search_locations[0], "version.py")))["__version__"])
