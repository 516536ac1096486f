"""Reading pickles that anybody may have written: by what they may name, and only where reading them ends.

Whether it ends is told without making anything: keys are hashed, and of some that takes for ever.

A pair of a pair of a pair, a hundred deep, each of which holds the one below twice, is a few hundred bytes and takes
2^100 steps to hash, in which no signal comes through. And of large numbers as many as one likes have the same hash, so
that each is held against all before it. Nothing that trainers keep is like this: it is refused before it is read.
"""

import io
import pickle
import pickletools
from collections.abc import Callable, Iterable
from typing import Any

MOST_STEPS = 1_000_000
"""For all keys that are no names and no small numbers, together."""
_LEAST_STEPS = 20
"""What such a key counts at least. 50,000 of them that have the same hash take a minute or two."""
_LARGE = 2**61 - 1
"""Smaller numbers all have a hash of their own."""
_CEILING = 10**9


class HeavyKeys(ValueError):
    """A pickle has keys that take too long to hash."""


class WeighedUnpickler(pickle.Unpickler):
    """The only reader of pickles in this project. What a pickle may name is up to the `find_class` of each."""

    def __init__(self, data: bytes) -> None:
        """Raise HeavyKeys for a pickle that may take for ever to read, and UnpicklingError for one that is none."""
        require_light_keys(data)
        super().__init__(io.BytesIO(data))


def require_light_keys(data: bytes, most_steps: int = MOST_STEPS) -> int:
    """Return the steps that the keys of a pickle take.

    Raises HeavyKeys for one that may take for ever to read, and UnpicklingError for one that is none.
    """
    machine = _Machine(most_steps)
    try:
        for opcode, argument, _ in pickletools.genops(data):
            machine.step(opcode.name, argument)
    except HeavyKeys:
        raise
    except Exception as error:  # whatever the bytes lead to
        raise pickle.UnpicklingError(f"it is cut short or damaged: {type(error).__name__}: {error}"[:200]) from None
    return most_steps - machine.left


class _Thing:
    """In the place of what a pickle makes."""

    __slots__ = ("parts", "weight")

    def __init__(self, weight: int = 0, parts: tuple["_Thing", ...] = ()) -> None:
        self.weight = weight
        """Steps that it takes to hash it, or all that is in it."""
        self.parts = parts
        """Of a tuple: what is in it may grow later."""


_PLAIN = _Thing()
"""A name, a small number, or what is no key."""


class _Machine:
    """Follows a pickle as its reader does."""

    def __init__(self, most_steps: int) -> None:
        self._stack: list[_Thing] = []
        self._below: list[list[_Thing]] = []
        """What lies below each mark."""
        self._memo: dict[int, _Thing] = {}
        self.left = most_steps

    def step(self, name: str, argument: Any) -> None:
        """Do what an opcode does."""
        if name in _CONSTANTS:
            is_large = isinstance(argument, int) and abs(argument) >= _LARGE
            self._stack.append(_Thing(_LEAST_STEPS + argument.bit_length() // 64) if is_large else _PLAIN)
        elif name in _PUT:
            self._memo[len(self._memo) if argument is None else int(argument)] = self._stack[-1]
        elif name in _GET:
            self._stack.append(self._memo[int(argument)])
        else:
            _STEPS[name](self)

    def mark(self) -> None:
        self._below.append(self._stack)
        self._stack = []

    def since_mark(self) -> list[_Thing]:
        """Take what lies above the last mark."""
        found, self._stack = self._stack, self._below.pop()
        return found

    def pop(self, count: int) -> list[_Thing]:
        return [self._stack.pop() for _ in range(count)][::-1]

    def drop(self) -> None:
        """Take a thing away, or a mark where there is none above it."""
        if self._stack:
            self._stack.pop()
        else:
            self.since_mark()

    def repeat(self) -> None:
        self._stack.append(self._stack[-1])

    def join(self, parts: list[_Thing]) -> None:
        """Make a tuple, which may be a key."""
        weight = 1 + len(parts) + sum(one.weight for one in parts)
        self._stack.append(_Thing(min(_CEILING, weight), tuple(parts)))

    def hold(self, parts: list[_Thing], in_pairs: bool = False) -> None:
        """Make a list or dict, which is no key."""
        self._stack.append(_Thing())
        self.add(parts, in_pairs)

    def add(self, parts: list[_Thing], in_pairs: bool = False) -> None:
        """Put parts into what is on top; of pairs the first is a key."""
        if in_pairs:
            self.hash(parts[::2])
        top = self._stack[-1]
        if top is not _PLAIN:
            top.weight = min(_CEILING, top.weight + sum(one.weight for one in parts))

    def add_keys(self, parts: list[_Thing]) -> None:
        self.hash(parts)
        self.add(parts)

    def hash(self, keys: Iterable[_Thing]) -> None:
        self._take(sum(max(one.weight, _LEAST_STEPS) for one in keys if one.weight))

    def call(self, given: list[_Thing]) -> None:
        """Make what nothing is known of, by something that may hash all that it is given: a set."""
        weight = sum(one.weight + sum(part.weight for part in one.parts) for one in given)
        self._take(weight if weight > _LEAST_STEPS else 0)
        self._stack.append(_Thing())

    def _take(self, steps: int) -> None:
        self.left -= steps
        if self.left < 0:
            raise HeavyKeys(
                "it has keys of so many parts, or so large, that reading it could take for ever; of text and small "
                "numbers there may be any number"
            )


_PUT = ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE")
_GET = ("GET", "BINGET", "LONG_BINGET")
_STEPS: dict[str, Callable[[_Machine], object]] = {
    **dict.fromkeys(("PROTO", "FRAME", "STOP", "READONLY_BUFFER"), lambda _: None),
    "MARK": _Machine.mark,
    "POP": _Machine.drop,
    "POP_MARK": _Machine.since_mark,
    "DUP": _Machine.repeat,
    "EMPTY_TUPLE": lambda machine: machine.join([]),
    "TUPLE": lambda machine: machine.join(machine.since_mark()),
    "TUPLE1": lambda machine: machine.join(machine.pop(1)),
    "TUPLE2": lambda machine: machine.join(machine.pop(2)),
    "TUPLE3": lambda machine: machine.join(machine.pop(3)),
    **dict.fromkeys(("EMPTY_LIST", "EMPTY_DICT", "EMPTY_SET"), lambda machine: machine.hold([])),
    "LIST": lambda machine: machine.hold(machine.since_mark()),
    "DICT": lambda machine: machine.hold(machine.since_mark(), in_pairs=True),
    "APPEND": lambda machine: machine.add(machine.pop(1)),
    "APPENDS": lambda machine: machine.add(machine.since_mark()),
    "SETITEM": lambda machine: machine.add(machine.pop(2), in_pairs=True),
    "SETITEMS": lambda machine: machine.add(machine.since_mark(), in_pairs=True),
    "ADDITEMS": lambda machine: machine.add_keys(machine.since_mark()),
    "FROZENSET": lambda machine: machine.call(machine.since_mark()),
    **dict.fromkeys(("REDUCE", "NEWOBJ", "STACK_GLOBAL"), lambda machine: machine.call(machine.pop(2))),
    "NEWOBJ_EX": lambda machine: machine.call(machine.pop(3)),
    **dict.fromkeys(("INST", "OBJ"), lambda machine: machine.call(machine.since_mark())),
    "BUILD": lambda machine: machine.pop(1),
    "BINPERSID": lambda machine: machine.call(machine.pop(1)),
}
_CONSTANTS = frozenset(
    one.name for one in pickletools.opcodes if not one.stack_before and len(one.stack_after) == 1
) - {*_STEPS, *_GET}
"""What pushes a name or a number."""
