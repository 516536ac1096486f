"""How many CPU cores a GPU wants for its data: from a measured share, and by its kind."""

import pytest

from nnunet_api.data_feed import ANY_GPU, BARE_MINIMUM, GPUS, MOST_WORKERS, cores_wanted, needs_of, whole_cores
from nnunet_api.resources import Resources


@pytest.mark.parametrize(
    ("workers", "share", "wanted"),
    [
        (8, 0.38, 16),  # 12.9
        (8, 0.5, 16),
        (8, 0.6, 20),  # the public profile of nnU-Net's issue 3063: 8 CPUs, a GPU that computes 40 % of the time
        (4, 0.1, 8),
        (0, 0.5, 4),
        (0, 0.9, 12),
        (40, 0.5, MOST_WORKERS),
        (8, 1.0, MOST_WORKERS),
    ],
)
def test_cores_from_what_was_measured(workers: int, share: float, wanted: int) -> None:
    assert cores_wanted(workers, share) == wanted


def test_so_many_cores_make_up_for_the_waiting() -> None:
    """Batches as fast as they are used: workers of a batch's time, over a step's time, fit in what is advised."""
    for workers in range(1, 25):
        for step in (0.05, 0.17, 0.4):
            for slower in (1.25, 1.5, 1.9):
                batch = workers * step * slower
                advised = cores_wanted(workers, 1 - 1 / slower)
                assert batch / advised <= step + 1e-9 and advised <= MOST_WORKERS


@pytest.mark.parametrize(("quantity", "cores"), [("8", 8), ("500m", 1), ("7999m", 7), ("2.5", 2)])
def test_whole_cores(quantity: str, cores: int) -> None:
    assert whole_cores(quantity) == cores


@pytest.mark.parametrize(
    ("products", "gpu"),
    [
        (["NVIDIA-A100-SXM4-80GB"], "A100"),
        (["NVIDIA-H100-80GB-HBM3"], "H100"),
        (["NVIDIA-H200"], "H200"),
        (["NVIDIA-GeForce-RTX-3090"], "RTX 3090, 4090"),
        (["NVIDIA-H200", "NVIDIA-A100-SXM4-80GB"], "A100"),
        (["NVIDIA-A100-SXM4-80GB", "Tesla-T4"], None),
        (["Tesla-T4"], None),
        ([], None),
    ],
)
def test_the_kind_of_a_gpu_by_its_label(products: list[str], gpu: str | None) -> None:
    found = needs_of(products)
    assert (found.gpu if found else None) == gpu


def test_the_rows_go_together() -> None:
    assert all(BARE_MINIMUM < row.cpu <= MOST_WORKERS and row.source for row in (*GPUS, ANY_GPU))
    assert all(row.shared_memory == Resources().shared_memory for row in GPUS), "the default has room for all of them"
