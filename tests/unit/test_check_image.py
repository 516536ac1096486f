"""What the build of the trainer image refuses: a torch that nobody asked whether it fits."""

import importlib.util
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from hack.images.content import ROOT


@pytest.fixture(scope="module")
def check() -> Iterator[ModuleType]:
    """The script as the image has it, with the table beside it."""
    beside = str(ROOT / "trainer_image" / "nnunet_trainer" / "process")
    sys.path.insert(0, beside)
    spec = importlib.util.spec_from_file_location("check_image", ROOT / "trainer_image" / "check_image.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(beside)
    sys.modules.pop("torch_builds", None)


def package(name: str, version: str, *requires: str) -> Any:
    """Return what is asked of an installed package."""
    return SimpleNamespace(name=name, version=version, requires=list(requires) or None)


NNUNET = package("nnunetv2", "2.8.1", "torch!=2.9.*,>=2.1.2", "torch<2.3; extra == 'intel-macos'", "numpy>=99")


@pytest.mark.parametrize(
    ("installed", "said"),
    [
        ([package("torch", "2.7.1+cu126"), package("torchvision", "0.22.1", "torch==2.7.1"), NNUNET], []),
        ([package("torch", "2.6.0+debian"), package("torchvision", "0.21.0", "torch (==2.6.0)")], []),
        (
            [package("torch", "2.9.1+cu128"), NNUNET],
            ["nnunetv2 2.8.1 requires torch!=2.9.*,>=2.1.2, the base has 2.9.1+cu128"],
        ),
        (
            [package("torch", "2.8.0"), package("torchvision", "0.22.1", "torch==2.7.1")],
            ["torchvision 0.22.1 requires torch==2.7.1, the base has 2.8.0"],
        ),
        (
            [package("torch", "2.7.1"), package("timm", "1", "torch", "torchvision")],
            ["timm 1 requires torchvision, the base has none"],
        ),
        # The environment's own hides one of the base.
        (
            [package("torch", "2.7.1"), package("MONAI", "1.5.2", "torch>=2.4.1"), package("monai", "1.6", "torch>=9")],
            [],
        ),
    ],
)
def test_each_requirement_on_the_torch_of_the_base_counts(
    check: ModuleType, installed: list[Any], said: list[str]
) -> None:
    assert list(check.at_odds(installed)) == said


def test_a_build_that_is_known_to_be_slow_ends_the_build(check: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"torch 2\.10\.0 with cuDNN 9\.10\.2.*GPU=1"):
        check.check_build("2.10.0", 91002)
    check.check_build("2.7.1+cu126", 90501)
    assert capsys.readouterr().err == ""
    check.check_build("2.8.0", 91002)
    assert capsys.readouterr().err.startswith("warning: torch 2.8.0 with cuDNN 9.10.2")
