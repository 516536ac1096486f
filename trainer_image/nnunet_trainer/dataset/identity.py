"""What makes two preprocessing results the same: content of the dataset, planning, nnU-Net's version and code."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from nnunet_api.contract import RunContract
from nnunet_api.dataset.beside import spacing_files
from nnunet_api.words import counted
from nnunet_trainer.process.heartbeat import heartbeat

_KEY_DIGITS = 16
_DECISIVE_PARTS = ("experiment_planning", "preprocessing", "imageio")


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file's contents, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_hashes(what: str, files: Mapping[str, Path], workers: int, unit: str = "files") -> dict[str, str]:
    """Return the SHA-256 of each file, with progress in the log; a second for 250 MB or so."""
    found: dict[str, str] = {}
    with (
        heartbeat(what, lambda: f"{len(found)}/{len(files)} {unit}"),
        ThreadPoolExecutor(max(1, workers)) as pool,
    ):
        for name, digest in zip(files, pool.map(file_hash, files.values()), strict=True):
            found[name] = digest
    return found


Stamp = tuple[int, int]
"""Size of a file, and when it was last written, in ns."""


def stamps(files: Mapping[str, Path]) -> dict[str, Stamp]:
    """Return what tells whether files were written to since."""
    found = {}
    for name, path in files.items():
        stat = path.stat()
        found[name] = (stat.st_size, stat.st_mtime_ns)
    return found


def dataset_hash(files: Mapping[str, Path], workers: int) -> str:
    """Return the SHA-256 over names and contents of the files; the order does not matter."""
    return named_hash(file_hashes(f"hashing {counted(len(files), 'file')} of the dataset", files, workers))


def named_hash(hashes: Mapping[str, str]) -> str:
    """Return the SHA-256 over names and hashes of files; the order does not matter."""
    whole = hashlib.sha256()
    for name in sorted(hashes):
        whole.update(f"{hashes[name]}  {name}\n".encode())
    return whole.hexdigest()


def contents_hash(hashes: Iterable[str]) -> str:
    """Return the SHA-256 over the hashes of files, whatever their names and their order."""
    return hashlib.sha256("".join(f"{one}\n" for one in sorted(hashes)).encode()).hexdigest()


def prediction_inputs(cases: Mapping[str, Sequence[Path]], checkpoints: Iterable[Path], workers: int) -> dict[str, str]:
    """Return for each case a hash of what its prediction is made from: the images, what lies beside, the checkpoints.

    Checkpoints count by size and time of their last change: they are large, and always written anew.
    """
    model = hashlib.sha256()
    for path in checkpoints:
        stat = path.stat()
        model.update(f"{path.parent.name}/{path.name} {stat.st_size} {stat.st_mtime_ns}\n".encode())

    def of_case(images: Sequence[Path]) -> str:
        whole = model.copy()
        for path in images:
            whole.update(f"{file_hash(path)}\n".encode())
        for path in spacing_files(images, None):
            if path.is_file():
                whole.update(f"spacing {file_hash(path)}\n".encode())
        return whole.hexdigest()

    with heartbeat(f"hashing the images of {counted(len(cases), 'case')}"), ThreadPoolExecutor(workers) as pool:
        return dict(zip(cases, pool.map(of_case, cases.values()), strict=True))


def sources_hash(package: Path) -> str:
    """Return the SHA-256 over the Python files of nnU-Net's package that decide what preprocessing gives.

    An image may bring planners, preprocessors and readers of its own under nnU-Net's version number.
    """
    whole = hashlib.sha256()
    files = sorted(path for part in _DECISIVE_PARTS for path in (package / part).rglob("*.py"))
    for path in files:
        whole.update(f"{file_hash(path)}  {path.relative_to(package)}\n".encode())
    return whole.hexdigest()


def preprocessed_key(
    contract: RunContract, dataset: str, nnunet_version: str, sources: str, taken_plans: str = ""
) -> str:
    """Return the folder name under which all trainings that agree on data and planning share the result.

    `taken_plans` is the hash of plans that came with initial weights.
    """
    planning = contract.planning
    parts = {
        "dataset": dataset,
        "planner": planning.planner,
        "gpuMemoryTargetGB": planning.gpu_memory_target_gb,
        "configurations": planning.configurations,
        "configuration": sorted(contract.configurations) if contract.has_several else contract.configuration,
        "nnunetv2": nnunet_version,
        "sources": sources,
        **({"takenPlans": taken_plans} if taken_plans else {}),
    }
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    return f"{contract.dataset}-{digest[:_KEY_DIGITS]}"
