"""Pickled arrays, lists, dictionaries, texts and numbers, read without running anything that the file names.

A pickle is a program for a small machine with a stack: it may name any function of any module and call it. Here the
machine is another one. The standard library lists the instructions (`pickletools.genops`, which carries out none), and
those that build plain values are carried out below. A function that is named is looked up in a table of four, which
stand for what NumPy and Python write; everything else ends the reading. Nothing of NumPy's own unpickling is called:
the stand-ins rebuild an array from its type, shape and bytes, and check each of them.

Arrays come in two forms: `_reconstruct` with a state (protocols up to 4, and those of Python 2) and `_frombuffer`
(protocol 5). Bytes that Python 3 wrote for protocol 2 come as `_codecs.encode(text, "latin1")`.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genkit.errors import DataError

NUMBERS = {f"{kind}{size}" for kind in "iuf" for size in (1, 2, 4, 8)} | {"b1"}


class Refused(Exception):
    """A pickle that holds or calls what is not read; the message says what."""


@dataclass(frozen=True)
class NamedFunction:
    """A function that a pickle names: "module name"."""

    name: str


class PlainType:
    """The type of numbers of an array, as `numpy.dtype` is pickled."""

    def __init__(self, code: object, *_: object) -> None:
        code = code.decode("latin-1") if isinstance(code, bytes) else code
        if code not in NUMBERS:
            raise Refused(f"an array of {str(code)[:20]}")
        self.type = np.dtype(str(code))

    def build(self, state: Any) -> None:
        if state[1] in (">", b">"):
            self.type = self.type.newbyteorder(">")


class PlainArray:
    """An array, whose values may come after it, with its state."""

    def __init__(self, values: NDArray[Any] | None = None) -> None:
        self.values = values

    def build(self, state: Any) -> None:
        _, shape, kind, fortran, data = state
        self.values = array_of(data, kind, shape, "F" if fortran else "C")


def array_of(data: object, kind: object, shape: object, order: object) -> NDArray[Any]:
    """An array of these bytes. Raises Refused where they do not fit."""
    if not (isinstance(data, bytes | bytearray) and isinstance(kind, PlainType) and isinstance(shape, tuple)):
        raise Refused("an array in a form of its own")
    sides = [side for side in shape if type(side) is int and side >= 0]
    if len(sides) != len(shape) or prod(sides) * kind.type.itemsize != len(data):
        raise Refused(f"{len(data):,} bytes for an array of shape {str(shape)[:40]}")
    flat = np.frombuffer(data, kind.type)
    return flat.reshape(sides[::-1]).T if order in ("F", b"F") else flat.reshape(sides)


def encoded(text: object, encoding: object) -> bytes:
    if encoding not in ("latin1", b"latin1") or not isinstance(text, str):
        raise Refused("an encoding of a text")
    return text.encode("latin-1")


FUNCTIONS: dict[str, Callable[..., object]] = {
    "numpy dtype": PlainType,
    "_codecs encode": encoded,
    **{f"{core}.multiarray _reconstruct": lambda *_: PlainArray() for core in ("numpy.core", "numpy._core")},
    **{
        f"{core}.numeric _frombuffer": lambda data, kind, shape, order: PlainArray(array_of(data, kind, shape, order))
        for core in ("numpy.core", "numpy._core")
    },
}
VALUES = {  # instructions that put their argument on the stack
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
TEXTS_OF_PYTHON_2 = {"STRING", "BINSTRING", "SHORT_BINSTRING"}
CONSTANTS: dict[str, Callable[[], object]] = {
    **{"NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False},
    **{"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple},
}
PUTS, GETS = {"PUT", "BINPUT", "LONG_BINPUT"}, {"GET", "BINGET", "LONG_BINGET"}
IGNORED = {"PROTO", "FRAME", "STOP"}


class Machine:
    """The stack of a pickle, and what it remembers."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.size = self.copied = 0
        self.steps: dict[str, Callable[[], None]] = {
            "MARK": lambda: self.marks.append(len(self.stack)),
            "MEMOIZE": lambda: self.memo.update({len(self.memo): self.stack[-1]}),
            "TUPLE": lambda: self.stack.append(tuple(self.above())),
            "TUPLE1": lambda: self.stack.append(self.last(1)),
            "TUPLE2": lambda: self.stack.append(self.last(2)),
            "TUPLE3": lambda: self.stack.append(self.last(3)),
            "LIST": lambda: self.stack.append(self.above()),
            "APPEND": lambda: self.extend(list(self.last(1))),
            "APPENDS": lambda: self.extend(self.above()),
            "DICT": lambda: self.stack.append(pairs(self.above())),
            "SETITEM": lambda: self.update(list(self.last(2))),
            "SETITEMS": lambda: self.update(self.above()),
            "STACK_GLOBAL": lambda: self.stack.append(NamedFunction("{} {}".format(*self.last(2)))),
            "REDUCE": self.call,
            "BUILD": self.build,
        }

    def run(self, data: bytes) -> Any:
        """The value of a pickle. Raises Refused; anything else that it raises is damage."""
        self.size = len(data)
        for instruction, argument, _ in pickletools.genops(data):
            name = instruction.name
            if name in VALUES:
                self.stack.append(argument)
            elif name in TEXTS_OF_PYTHON_2:
                self.stack.append(str(argument).encode("latin-1"))
            elif name in CONSTANTS:
                self.stack.append(CONSTANTS[name]())
            elif name in PUTS:
                self.memo[int(argument or 0)] = self.stack[-1]
            elif name in GETS:
                self.stack.append(self.memo[int(argument or 0)])
            elif name == "GLOBAL":
                self.stack.append(NamedFunction(str(argument)))
            elif name in self.steps:
                self.steps[name]()
            elif name not in IGNORED:
                raise Refused(f"the instruction {name}")
        return self.stack.pop()

    def above(self) -> list[Any]:
        """The values above the last mark, taken off."""
        at = self.marks.pop()
        found, self.stack[at:] = self.stack[at:], []
        return found

    def last(self, n: int) -> tuple[Any, ...]:
        """The last n values, taken off."""
        if len(self.stack) < n:
            raise IndexError("an empty stack")
        found, self.stack[-n:] = tuple(self.stack[-n:]), []
        return found

    def extend(self, values: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise Refused("an addition to something else than a list")
        self.stack[-1].extend(values)

    def update(self, values: list[Any]) -> None:
        if type(self.stack[-1]) is not dict:
            raise Refused("an entry of something else than a dictionary")
        self.stack[-1].update(pairs(values))

    def call(self) -> None:
        function, arguments = self.last(2)
        if not isinstance(function, NamedFunction) or function.name not in FUNCTIONS:
            raise Refused(
                function.name.replace(" ", ".") if isinstance(function, NamedFunction) else "a call of a value"
            )
        value = FUNCTIONS[function.name](*arguments)
        if isinstance(value, bytes):  # a copy, which a few bytes could ask for over and over
            self.copied += len(value)
            if self.copied > self.size:
                raise Refused("more bytes than the file has")
        self.stack.append(value)

    def build(self) -> None:
        (state,) = self.last(1)
        if not isinstance(self.stack[-1], PlainType | PlainArray):
            raise Refused("a state of something else than an array")
        self.stack[-1].build(state)


def pairs(values: list[Any]) -> dict[Any, Any]:
    return dict(zip(values[::2], values[1::2], strict=True))


def plain_dictionary(data: bytes, place: str) -> dict[str, Any]:
    """The dictionary in a pickle, keys as texts, arrays as NumPy's.

    Args:
        data: The pickle.
        place: For messages.

    Raises:
        DataError: damaged, no dictionary, or it asks for more than arrays, lists, dictionaries and texts.
    """
    try:
        found = Machine().run(data)
    except Refused as error:
        raise DataError(
            f"{place}: a pickle that holds or calls more than arrays, lists and texts ({str(error)[:80]}): not read; "
            "use the binary version"
        ) from error
    except Exception as error:  # damaged bytes make instructions of any kind
        raise DataError(f"{place}: a damaged pickle ({type(error).__name__}): fetch it again") from error
    if type(found) is not dict:
        raise DataError(f"{place}: a pickle of something else than a dictionary: fetch the original file")
    return {_text(key): value.values if isinstance(value, PlainArray) else value for key, value in found.items()}


def _text(key: object) -> str:
    return key.decode("utf-8", "replace") if isinstance(key, bytes) else str(key)
