"""The SHA-256 of files as they lie on a claim."""

from collections.abc import Iterator, Sequence

from nnunet_cli.volumes.access import Volume

BATCH = 64
"""Hashes that are asked for at once: questions and answers have to fit what lies between."""


def hashes_of(volume: Volume, folder: str, names: Sequence[str]) -> Iterator[str | None]:
    """Yield the SHA-256 of each file as it lies on the claim; None for one that is not there."""
    if not names:
        return
    with volume.run("hashes", folder) as remote:
        for start in range(0, len(names), BATCH):
            batch = names[start : start + BATCH]
            for name in batch:
                remote.write_message(path=name)
            for _ in batch:
                yield remote.message()["sha256"]
        remote.write(b"\n")
        remote.messages()
