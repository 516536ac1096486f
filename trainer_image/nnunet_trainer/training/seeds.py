"""Random numbers that depend on the seed and on where the training stands, not on how it came there.

Each epoch and each batch is drawn with a seed of its own, so that a training that was interrupted goes on as if it had
not been. Checkpoints need hold no state of any random number generator.
"""

import random
from collections.abc import Iterator
from enum import IntEnum
from typing import Any

import numpy as np
import torch
from batchgenerators.dataloading.multi_threaded_augmenter import MultiThreadedAugmenter
from batchgenerators.dataloading.nondet_multi_threaded_augmenter import NonDetMultiThreadedAugmenter
from batchgenerators.dataloading.single_threaded_augmenter import SingleThreadedAugmenter
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform

from nnunet_trainer.process.failures import wrong_configuration


class Stream(IntEnum):
    """What random numbers are drawn for; streams never share a seed."""

    INITIALISATION = 0
    EPOCH = 1
    TRAINING_BATCHES = 2
    VALIDATION_BATCHES = 3


def seed_of(seed: int, stream: Stream, *position: int) -> int:
    """Return a 32-bit seed for a position in a stream (numpy's SeedSequence mixes them)."""
    return int(np.random.SeedSequence([seed, int(stream), *position]).generate_state(1)[0])


def seed_everything(seed: int) -> None:
    """Seed Python's, numpy's and torch's generators of this process."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def make_deterministic() -> None:
    """Let torch choose deterministic kernels where there are some; the others only warn."""
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    torch.use_deterministic_algorithms(True, warn_only=True)


def _transforms_in(thing: Any) -> Iterator[BasicTransform]:
    """Yield a transform and all that it is made of, however it holds them."""
    if isinstance(thing, BasicTransform):
        yield thing
        thing = list(vars(thing).values())
    if isinstance(thing, list | tuple):
        for one in thing:
            yield from _transforms_in(one)


def _choose_nothing_by_the_clock(loader: Any) -> None:
    """Let augmentation compute the same however busy the machine is.

    In nnU-Net's augmentation GaussianBlurTransform tries out, in each process anew, whether a convolution or a Fourier
    transform is faster; their last digits differ. For nnU-Net's kernels the convolution is, by a factor of 2 to 9.
    """
    for transform in _transforms_in(getattr(loader, "transforms", None)):
        if isinstance(transform, GaussianBlurTransform):
            transform.benchmark = False


class SeededLoader:
    """Draws batch number i of a stream with the seed of i, in whatever process it is drawn.

    Worker k of n draws the batches k, k + n, k + 2n, ...; MultiThreadedAugmenter takes them in that order.
    """

    def __init__(self, loader: Any, seed: int, stream: Stream, rank: int, first: int) -> None:
        """`first` is the number of the first batch to draw: those before were drawn by earlier attempts."""
        _choose_nothing_by_the_clock(loader)
        self._loader, self._seed, self._stream, self._rank = loader, seed, stream, rank
        self._next = first
        self.workers = 1

    def set_thread_id(self, thread_id: int) -> None:
        """Called by MultiThreadedAugmenter in each worker process."""
        torch.set_num_threads(1)
        self._loader.set_thread_id(thread_id)
        self._next += thread_id

    def __iter__(self) -> "SeededLoader":
        return self

    def __next__(self) -> Any:
        seed_everything(seed_of(self._seed, self._stream, self._rank, self._next))
        self._next += self.workers
        return next(self._loader)


def seeded(augmenter: Any, seed: int, stream: Stream, rank: int, first: int) -> Any:
    """Return an augmenter with the loader of nnU-Net's and reproducible batches, in place of it.

    nnU-Net's own takes batches in the order in which its workers happen to finish them.
    """
    if not isinstance(augmenter, SingleThreadedAugmenter | NonDetMultiThreadedAugmenter):
        raise wrong_configuration(
            f"trainer.seed can't be kept: the trainer class draws its batches from a {type(augmenter).__name__} of its "
            "own. Leave trainer.seed out, or let get_dataloaders return what nnUNetTrainer's returns"
        )
    if isinstance(augmenter, SingleThreadedAugmenter):
        return SingleThreadedAugmenter(SeededLoader(augmenter.data_loader, seed, stream, rank, first), None)
    augmenter._finish()
    loader = SeededLoader(augmenter.generator, seed, stream, rank, first)
    loader.workers = augmenter.num_processes
    return MultiThreadedAugmenter(
        loader, None, augmenter.num_processes, num_cached_per_queue=2, pin_memory=augmenter.pin_memory, wait_time=0.002
    )
