"""Whether a local copy has room beside what else its pod holds, as far as that can be told beforehand. Pure."""

from collections.abc import Iterator
from decimal import Decimal

from nnunet_api.local_copy import LOCAL_COPY_FIELD
from nnunet_api.resources import Resources, amount
from nnunet_api.training import NnunetTrainingSpec

_TRAINER = 4 * 1024**3
"""Bytes that a trainer with few workers takes beside its shared memory, at least."""


def copy_advice(spec: NnunetTrainingSpec) -> Iterator[tuple[str, str]]:
    """Yield the fields that leave no room for the copy, or none beside it, and what to do."""
    copy = spec.storage.preprocessed.local_copy
    if copy is None or copy.size_limit is None:
        return
    field, size = f"{LOCAL_COPY_FIELD}.sizeLimit", amount(copy.size_limit)
    given = {"spec.resources": spec.resources} | {
        f"spec.resources.configurations.{name}": spec.resources.of(name) for name in spec.resources.configurations
    }
    told = set[str]()
    for place, own in given.items():
        problem = _memory(own, size) if copy.medium else _disk(own, size)
        if problem and problem not in told:
            told.add(problem)
            medium = ", in memory" if copy.medium else ""
            yield field, f"{field} is {copy.size_limit}{medium}, and {place}.{problem}"


def _memory(own: Resources, size: Decimal) -> str:
    shared = amount(own.shared_memory)
    needed = size + shared + _TRAINER
    if amount(own.memory) >= needed:
        return ""
    return (
        f"memory ({own.memory}) holds it as well as shared memory ({own.shared_memory}) and the trainer, which is then "
        f"killed: ask for {_gibibytes(needed)} or more, or leave medium out"
    )


def _disk(own: Resources, size: Decimal) -> str:
    if own.ephemeral_storage is None or amount(own.ephemeral_storage) > size:
        return ""
    return (
        f"ephemeralStorage ({own.ephemeral_storage}) limits it together with logs and temporary files: ask for "
        f"{_gibibytes(size + 1024**3)} or more"
    )


def _gibibytes(size: Decimal) -> str:
    return f"{int(-(-size // 1024**3))}Gi"
