"""Tries a library that was compiled from `native.c`: whether each of its products ends, and gives the numbers of plain arithmetic.

Run as a script in a process of its own, which the library may take down: `python -I -S -c <this file> <descriptor>`. So it imports
nothing but a little of the standard library, and no torch. It does not decide what a crash means.
"""

from __future__ import annotations

import ctypes
import os
import random
import resource
import struct
import sys
from array import array
from collections.abc import Callable, Iterator, Sequence
from math import exp, isfinite, sqrt
from operator import mul

RIGHT, WRONG = 86, 87
"""What the process exits with. Others are of somebody else's making."""
_CPU_S = 20
"""Many times what it takes. A product that never ends is stopped by the system then."""
_GUARD = 64
_CANARY = 0x5A
_ROWS = (0, 1, 2, 3, 4, 5, 6, 7, 11)
"""Each way in which a product divides its rows."""
_SHAPES = ((0, 32), (1, 32), (5, 96), (2, 416))
_SHARED = (7, 8224)
"""Outputs and columns of a product that is cut into pieces for several threads."""
_ATTENTION = (
    # key heads, heads for each, queries, keys, dimensions
    (1, 1, 1, 1, 8),
    (2, 1, 1, 5, 16),
    (1, 2, 1, 256, 24),
    (2, 3, 1, 257, 8),
    (1, 4, 1, 9, 40),
    (1, 5, 1, 9, 8),
    (2, 3, 2, 300, 24),
    (1, 7, 1, 20, 16),
    (1, 2, 3, 600, 16),
    (1, 1, 2, 3, 0),
    (0, 1, 1, 4, 8),
)
_SPREAD = random.Random(1)


def widened(bits: int) -> float:
    """Return the number that 16 bits of a bfloat16 stand for."""
    return float(struct.unpack("<f", struct.pack("<I", bits << 16))[0])


_WIDE = tuple(map(widened, range(1 << 16)))


def halves(count: int, scale: float = 1.0) -> array[int]:
    """Return random numbers in bfloat16."""
    packed = struct.pack(f"<{count}f", *(_SPREAD.uniform(-scale, scale) for _ in range(count)))
    return array("H", packed)[1::2]


def wide(values: Sequence[int]) -> list[float]:
    """Return the numbers that are in bfloat16."""
    return [_WIDE[value] for value in values]


class Guarded:
    """Room for results between two strips that nobody may write to."""

    def __init__(self, kind: str, count: int) -> None:
        self._kind = kind
        self._bytes = count * array(kind).itemsize
        self._buffer = array("B", bytes([_CANARY]) * (self._bytes + 2 * _GUARD))

    @property
    def at(self) -> int:
        """Its address."""
        return self._buffer.buffer_info()[0] + _GUARD

    def values(self) -> list[float]:
        """Return what was written, as numbers.

        Raises:
            ValueError: something was written outside.
        """
        data = self._buffer.tobytes()
        strips = data[:_GUARD] + data[_GUARD + self._bytes :]
        if strips.strip(bytes([_CANARY])):
            raise ValueError("written outside the result")
        found = array(self._kind, data[_GUARD : _GUARD + self._bytes])
        return wide(found) if self._kind == "H" else list(found)


def near(found: Sequence[float], expected: Sequence[float], share: float, least: float) -> bool:
    """Return whether numbers are as far apart as rounding takes them, and no further."""
    return len(found) == len(expected) and all(
        isfinite(one) and abs(one - other) <= least + share * abs(other)
        for one, other in zip(found, expected, strict=True)
    )


def at(values: array[int] | array[float]) -> int:
    """Return the address of numbers."""
    return values.buffer_info()[0]


def weights_bfloat16(outputs: int, columns: int) -> tuple[array[int], array[int], list[float]]:
    """Return weights, no scales, and the numbers that they stand for."""
    made = halves(outputs * columns)
    return made, array("H"), wide(made)


def weights_int8(outputs: int, columns: int) -> tuple[array[int], array[int], list[float]]:
    """Return weights, the scale of each output, and the numbers that they stand for."""
    made = array("b", (_SPREAD.randint(-127, 127) for _ in range(outputs * columns)))
    scales = halves(outputs, 1 / 127)
    factors = wide(scales)
    return made, scales, [value * factors[i // columns] for i, value in enumerate(made)]


def weights_int4(outputs: int, columns: int) -> tuple[array[int], array[int], list[float]]:
    """Return weights, scale and offset of each group of 32, and the numbers that they stand for."""
    groups = outputs * columns // 32
    made = array("H", (_SPREAD.getrandbits(16) for _ in range(groups * 8)))
    scales = halves(groups * 2, 1 / 16)
    factors = wide(scales)
    numbers = [
        (made[group * 8 + lane] >> 4 * place & 15) * factors[2 * group] + factors[2 * group + 1]
        for group in range(groups)
        for place in range(4)
        for lane in range(8)
    ]
    return made, scales, numbers


_KINDS: dict[str, Callable[[int, int], tuple[array[int], array[int], list[float]]]] = {
    "product_bfloat16": weights_bfloat16,
    "product_int8": weights_int8,
    "product_int4": weights_int4,
}


class Trial:
    """The trial of one library."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library

    def checks(self) -> Iterator[bool]:
        """Yield for each check whether it was passed."""
        for name, make in _KINDS.items():
            for shape in _SHAPES:
                yield from self._product(name, make(*shape), shape, _ROWS)
        for shape in ((0, 32), (1, 32), (3, 96)):
            yield self._unpacked(*shape)
        for rows, columns in ((0, 8), (1, 8), (3, 24), (2, 64)):
            yield self._norm(rows, columns)
        for sizes in _ATTENTION:
            yield self._attention(*sizes)
        yield from self._shared()

    def _shared(self) -> Iterator[bool]:
        """Yield the checks of work that several threads share, more and fewer by turns."""
        given = {name: make(*_SHARED) for name, make in _KINDS.items()}
        for threads in (2, 3, os.cpu_count() or 1, 1, 2):
            made = self._library.use_threads(ctypes.c_int64(threads))
            yield 1 <= made <= max(threads, 1)
            for name, weights in given.items():
                yield from self._product(name, weights, _SHARED, (1,))
            for sizes in _ATTENTION[1:6]:
                yield self._attention(*sizes)
        yield self._norm(9, 8200)
        self._library.use_threads(ctypes.c_int64(1))

    def _product(
        self,
        name: str,
        weights: tuple[array[int], array[int], list[float]],
        shape: tuple[int, int],
        sizes: Sequence[int],
    ) -> Iterator[bool]:
        packed, scales, numbers = weights
        outputs, columns = shape
        lines = [numbers[i * columns : (i + 1) * columns] for i in range(outputs)]
        for rows in sizes:
            x = halves(rows * columns)
            values = wide(x)
            expected = [
                sum(map(mul, values[row * columns : (row + 1) * columns], line))
                for row in range(rows)
                for line in lines
            ]
            for is_half in (True, False):
                given = x if is_half else array("f", values)
                made = Guarded("H" if is_half else "f", rows * outputs)
                done = getattr(self._library, name)(
                    *map(ctypes.c_void_p, (at(given), at(packed), at(scales), made.at)),
                    *map(ctypes.c_int64, (is_half, rows, outputs, columns)),
                )
                yield bool(done)
                yield near(made.values(), expected, 2**-7 if is_half else 1e-4, 2e-3)

    def _unpacked(self, outputs: int, columns: int) -> bool:
        packed, scales, numbers = weights_int4(outputs, columns)
        made = Guarded("f", outputs * columns)
        self._library.unpack_rows_int4(
            *map(ctypes.c_void_p, (at(packed), at(scales), made.at)),
            *map(ctypes.c_int64, (outputs, columns)),
        )
        return near(made.values(), numbers, 1e-5, 1e-5)

    def _norm(self, rows: int, columns: int) -> bool:
        x, weights = halves(rows * columns), halves(columns)
        values, factors = wide(x), wide(weights)
        expected: list[float] = []
        for row in range(rows):
            line = values[row * columns : (row + 1) * columns]
            scale = 1 / sqrt(sum(map(mul, line, line)) / columns + 1e-5)
            expected += [
                value * scale * factor for value, factor in zip(line, factors, strict=True)
            ]
        made = Guarded("H", rows * columns)
        self._library.normalised_bfloat16(
            *map(ctypes.c_void_p, (at(x), at(weights), made.at)),
            ctypes.c_double(1e-5),
            *map(ctypes.c_int64, (rows, columns)),
        )
        return near(made.values(), expected, 2**-6, 1e-6)

    def _attention(self, heads: int, each: int, queries: int, keys: int, dimensions: int) -> bool:
        """Check attention of some heads, over keys that lie further apart than they are many."""
        per_head, stride = each * queries, (keys + 2) * dimensions
        q = halves(heads * per_head * dimensions)
        k, v = halves(heads * stride), halves(heads * stride)
        made = Guarded("H", len(q))
        done = self._library.attention_bfloat16(
            *map(ctypes.c_void_p, (at(q), at(k), at(v), made.at)),
            ctypes.c_double(0.7),
            *map(ctypes.c_int64, (heads, per_head, queries, keys, dimensions, stride, stride)),
        )
        size = dimensions
        expected: list[float] = []
        for row in range(heads * per_head if size else 0):
            start, seen = row // per_head * stride, keys - (queries - 1 - row % per_head % queries)
            query = wide(q[row * size : (row + 1) * size])
            key, value = wide(k[start : start + seen * size]), wide(v[start : start + seen * size])
            scores = [
                0.7 * sum(map(mul, query, key[i * size : (i + 1) * size])) for i in range(seen)
            ]
            shares = _shares(scores)
            whole = sum(shares)
            expected += [sum(map(mul, shares, value[d::size])) / whole for d in range(size)]
        return bool(done) and near(made.values(), expected, 2**-6, 4e-3)


def _shares(scores: list[float]) -> list[float]:
    most = max(scores)
    return [exp(score - most) for score in scores]


def main() -> int:
    """Try the library behind the descriptor that is named on the command line."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    most = _CPU_S if hard == resource.RLIM_INFINITY else min(_CPU_S, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (most, hard))
    trial = Trial(ctypes.CDLL(f"/proc/self/fd/{int(sys.argv[1])}"))
    return RIGHT if all(trial.checks()) else WRONG


if __name__ == "__main__":
    sys.exit(main())
