"""Where the time of an epoch goes: what the clock adds up, what several epochs come to, and what looking costs."""

import os
import time

from nnunet_api.facts import OF_ATTEMPT, FoldNumbers
from nnunet_trainer.process.processes import cpu_seconds
from nnunet_trainer.run.epoch_clock import EpochClock
from nnunet_trainer.run.epoch_times import EpochTime, stated


class Steps:
    """A clock that goes by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def an_epoch(clock: EpochClock, steps: Steps, wait: float, *, busy: bool = False) -> EpochTime:
    """Go through an epoch of four steps of a second, each waited for, and a checkpoint inside of another."""
    clock.begin()
    steps.now += 1  # the beginning is no waiting
    clock.trains(True)
    for _ in range(4):
        clock.free(busy=busy)
        steps.now += wait
        clock.fed()
        steps.now += 1
    clock.free()
    clock.trains(False)
    steps.now += 1  # neither is what comes between training and validation
    with clock.writing(), clock.writing():
        steps.now += 2
    return clock.end(8, 16.0)


def test_waiting_and_checkpoints_are_told_apart() -> None:
    steps = Steps()
    clock = EpochClock(steps)
    for wait in (0.5, 0.25):
        found = an_epoch(clock, steps, wait)
        waiting = 4 * wait
        assert found == EpochTime(8 + waiting, waiting, 2, 4 + waiting, 8, 16.0)
        assert found.share == waiting / (8 + waiting) and found.use == 16 / (4 + waiting) / 8


def test_what_a_device_computes_meanwhile_is_no_waiting() -> None:
    steps = Steps()
    assert an_epoch(EpochClock(steps), steps, 0.5, busy=True).waiting == 0


def test_a_trainer_without_workers_tells_how_much_of_its_waiting_it_computes() -> None:
    """What it computes while a step is made is no part of it."""
    steps, cpu = Steps(), Steps()
    clock = EpochClock(steps, cpu)
    clock.begin()
    clock.trains(True)
    for _ in range(4):
        clock.free()
        steps.now, cpu.now = steps.now + 4, cpu.now + 1
        clock.fed()
        steps.now, cpu.now = steps.now + 1, cpu.now + 2
    clock.trains(False)
    found = clock.end(0, 99.0)
    assert (found.waiting, found.computing, found.use) == (16, 4, 0.25)


def test_a_class_that_trains_in_a_way_of_its_own_has_no_waiting() -> None:
    steps = Steps()
    clock = EpochClock(steps)
    clock.begin()
    steps.now += 5
    clock.fed()
    clock.trains(False)
    assert clock.end(None, 0.0) == EpochTime(5, workers=None) and clock.end(None, 0.0).use is None


def test_the_first_epoch_of_an_attempt_and_too_few_tell_nothing() -> None:
    warm_up, fed = EpochTime(100, 90), EpochTime(10, 1, 0.5, 8, 4, 16)
    few = stated([warm_up, fed, fed])
    assert few["data_wait_share"] is None and few["fed_epoch_seconds"] is None
    assert (few["data_wait_seconds"], few["checkpoint_seconds"], few["median_epoch_seconds"]) == (1, 0.5, 10)
    enough = stated([warm_up, fed, fed, fed])
    assert (enough["data_wait_share"], enough["fed_epoch_seconds"], enough["data_worker_use"]) == (0.1, 9, 0.5)


def test_what_compiling_took_is_that_of_the_attempt_so_far() -> None:
    assert stated([EpochTime(100, compiling=90.0), EpochTime(10, compiling=94.0)])["compile_seconds"] == 94
    assert stated([EpochTime(10)])["compile_seconds"] is None


def test_a_moment_moves_nothing_and_a_change_does() -> None:
    fed, starved = EpochTime(10, 0.1), EpochTime(20, 10)
    assert stated([fed] * 6 + [starved] * 2)["data_wait_share"] == 0.01
    assert stated([fed] * 6 + [starved] * 3)["data_wait_share"] == 0.5


def test_what_is_told_of_an_attempt_are_numbers_of_a_fold() -> None:
    told = stated([])
    assert set(OF_ATTEMPT) < set(told) <= set(FoldNumbers.model_fields) and not any(told.values())
    assert set(stated([EpochTime(1)] * 5)) == set(told)


def test_the_cpu_time_of_processes() -> None:
    before = cpu_seconds([os.getpid()])
    until = time.process_time() + 0.1
    while time.process_time() < until:
        pass
    assert 0.05 <= cpu_seconds([os.getpid()]) - before <= 2
    assert cpu_seconds([2**22 + 1]) == 0, "one that is gone"


def test_looking_costs_less_than_a_thousandth_of_an_epoch() -> None:
    """250 iterations, 50 of the validation and 48 workers, against the 32 s that an epoch takes on an A100."""
    clock = EpochClock()
    began = time.process_time()  # not of what else keeps the machine busy
    clock.begin()
    for _ in range(300):
        clock.fed()
        clock.free()
    cpu_seconds([os.getpid()] * 48)
    cpu_seconds([os.getpid()] * 48)
    clock.end(48, 0.0)
    assert time.process_time() - began < 0.001 * 32
