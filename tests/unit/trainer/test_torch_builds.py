"""Which builds of torch a fold is trained with: none that is known to be slow or wrong, none that the GPU can't run."""

import logging
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.process.failures import TrainerError
from nnunet_trainer.process.gpu import require_gpu
from nnunet_trainer.process.torch_builds import KNOWN_FAULTS, cudnn_numbers, described, driver_needed, faults, runs_on


@pytest.mark.parametrize(
    ("torch", "cudnn", "refused", "said"),
    [
        ("2.6.0", 90100, 0, 0),
        ("2.7.1+cu126", 90501, 0, 0),
        ("2.7.1+cu128", 90701, 0, 0),
        ("2.8.0+cu128", 91002, 0, 1),
        ("2.8.0+cu128", 91501, 0, 0),
        ("2.9.0", 91002, 1, 0),
        ("2.9.1+cu130", 92000, 1, 0),
        ("2.10.0a0+git123", 91301, 1, 0),
        ("2.10.0", 91002, 1, 0),
        ("2.10.0+cu130", 91501, 0, 0),
        ("2.14.0+cu126", 91002, 1, 0),
        ("2.13.0", 92000, 0, 0),
        ("2.13.0", None, 0, 0),
    ],
)
def test_what_is_known_of_a_build(torch: str, cudnn: int | None, refused: int, said: int) -> None:
    found = [fault.refused for fault in faults(torch, cudnn)]
    assert (found.count(True), found.count(False)) == (refused, said)


def test_each_fault_has_its_source() -> None:
    assert all(fault.source.startswith("https://github.com/pytorch/pytorch/") for fault in KNOWN_FAULTS)
    (fault,) = faults("2.9.1+cu128", 91002)
    assert described("2.9.1+cu128", 91002, fault).startswith("torch 2.9.1+cu128 with cuDNN 9.10.2: 3D convolutions")


def test_numbers_of_cudnn() -> None:
    assert [cudnn_numbers(number) for number in (8907, 90100, 91002, 92000)] == [
        (8, 9, 7),
        (9, 1, 0),
        (9, 10, 2),
        (9, 20, 0),
    ]


@pytest.mark.parametrize(
    ("capability", "built_for", "runs"),
    [
        ((8, 0), ["sm_70", "sm_80"], True),
        ((8, 9), ["sm_80", "sm_86", "sm_90"], True),
        ((7, 5), ["sm_80", "sm_90"], False),
        ((10, 0), ["sm_50", "sm_86", "sm_90"], False),
        ((12, 0), ["sm_90", "compute_90"], True),
        ((10, 0), ["sm_90", "sm_90a", "compute_90a"], False),
        ((12, 1), ["sm_120"], True),
        ((12, 0), [], False),
    ],
)
def test_a_gpu_runs_what_was_built_for_its_generation(
    capability: tuple[int, int], built_for: list[str], runs: bool
) -> None:
    assert runs_on(capability, built_for) is runs


def test_the_driver_that_a_build_needs() -> None:
    assert driver_needed("12.6") == " (CUDA 12.6 needs 525 or newer)"
    assert driver_needed("13.0") == " (CUDA 13.0 needs 580 or newer)"
    assert driver_needed(None) == driver_needed("14.1") == ""


def torch_of(
    version: str, cuda: str | None, cudnn: int | None, *, there: bool = True, capability: tuple[int, int] = (9, 0)
) -> Any:
    """Return what `require_gpu` asks of torch, which these tests run without."""
    return SimpleNamespace(
        __version__=version,
        version=SimpleNamespace(cuda=cuda, hip=None),
        backends=SimpleNamespace(cudnn=SimpleNamespace(version=lambda: cudnn)),
        cuda=SimpleNamespace(
            is_available=lambda: there,
            get_device_capability=lambda index: capability,
            get_device_name=lambda index: "NVIDIA X",
            get_arch_list=lambda: ["sm_80", "sm_90"],
        ),
    )


@pytest.mark.parametrize(
    ("torch", "message"),
    [
        (torch_of("2.6.0", None, None), "built for the CPU only.*GPU=1"),
        (torch_of("2.9.1+cu128", "12.8", 91002), r"2\.9\.1\+cu128 with cuDNN 9\.10\.2.*issues/166122.*GPU=1"),
        (torch_of("2.10.0", "12.8", 91002, there=False), "without this cuDNN"),
    ],
)
def test_an_image_that_must_not_train_on_gpus_ends_the_training(
    monkeypatch: pytest.MonkeyPatch, torch: Any, message: str
) -> None:
    monkeypatch.setitem(sys.modules, "torch", torch)
    with pytest.raises(TrainerError, match=message) as raised:
        require_gpu()
    assert raised.value.code is ExitCode.WRONG_CONFIGURATION


@pytest.mark.parametrize(
    ("torch", "message"),
    [
        (torch_of("2.7.1+cu126", "12.6", 90501, there=False), r"driver \(CUDA 12.6 needs 525 or newer\)"),
        (
            torch_of("2.7.1+cu126", "12.6", 90501, capability=(10, 0)),
            "NVIDIA X, has compute capability 10.0.*sm_80, sm",
        ),
    ],
)
def test_another_node_may_have_the_gpu_that_this_one_lacks(
    monkeypatch: pytest.MonkeyPatch, torch: Any, message: str
) -> None:
    monkeypatch.setitem(sys.modules, "torch", torch)
    with pytest.raises(RuntimeError, match=message):
        require_gpu()


def test_what_is_only_said_is_in_the_log(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    for version, cudnn in (("2.7.1+cu126", 90501), ("2.8.0+cu128", 91002)):
        monkeypatch.setitem(sys.modules, "torch", torch_of(version, "12.6", cudnn))
        require_gpu()
    (said,) = caplog.messages
    assert "torch 2.8.0+cu128 with cuDNN 9.10.2" in said and "issues/163539" in said
