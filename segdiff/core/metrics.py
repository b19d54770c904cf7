"""How far is one tensor from another? One chunked pass, a few numbers out.

Chunks of 64 Ki elements stay in the processor's cache: that ran 20 times faster than arithmetic on whole
arrays, and needs no memory of its own. Two float32 tensors are compared in float32, chunk by chunk, which
takes two fifths of the time and is right to five digits; what would overflow or vanish there, and tensors of
any other type, are compared in float64.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import cache, cached_property
from typing import Any

import numpy as np

from segdiff.core.graph import Array

CHUNK = 1 << 16
"""Elements per chunk: three float64 buffers of this size (1.5 MB) fit a core's second-level cache."""


@dataclass(frozen=True)
class Metrics:
    """The errors of a candidate tensor ``c`` against the reference's ``r``.

    cosine     the cosine of the angle between them, 1.0 for equal tensors (also for two that are all zero)
    max_abs    the largest ``|c - r|``
    mean_abs   the mean ``|c - r|``
    rel_l2     ``‖c - r‖ / ‖r‖`` (``‖c‖`` where r is all zero)
    max_rel    ``max_abs / max|r|``: the largest error against the tensor's own range, not element by element,
               so that values near zero do not drown it (``max_abs`` itself where r is all zero)

    Places where both are NaN, or the same infinity, count as equal. Where only one is, every error is
    infinite and the cosine 0.
    """

    cosine: float
    max_abs: float
    mean_abs: float
    rel_l2: float
    max_rel: float

    def to_dict(self) -> dict[str, float | None]:
        """Plain numbers for JSON, which knows no infinity: an infinite error becomes None."""
        return {name: value if math.isfinite(value) else None for name, value in asdict(self).items()}

    def __str__(self) -> str:
        return f"cosine {self.cosine:.6f}, max_abs {self.max_abs:.3g}, rel_l2 {self.rel_l2:.3g}"


EQUAL = Metrics(cosine=1.0, max_abs=0.0, mean_abs=0.0, rel_l2=0.0, max_rel=0.0)
INCOMPARABLE = Metrics(cosine=0.0, max_abs=math.inf, mean_abs=math.inf, rel_l2=math.inf, max_rel=math.inf)


@dataclass(frozen=True)
class Comparison:
    """The metrics, with what is needed to judge them.

    ``scale`` is ``max|r|`` and ``rms`` the root mean square of the reference; ``changed`` the share of
    elements that differ at all (counted for integers and booleans, which are ``discrete``); ``mismatch``
    says in words why the two cannot be compared element by element (shape, non-finite values), else None;
    ``other_shape`` that it is the shape.
    Of two identical tensors neither scale nor rms is measured (NaN).
    """

    metrics: Metrics
    scale: float
    rms: float
    size: int
    discrete: bool = False
    changed: float = 0.0
    mismatch: str | None = None
    other_shape: bool = False


def compare_arrays(reference: Array, candidate: Array) -> Comparison:
    """Compare two arrays of any dtype; integers and booleans are compared as numbers.

    One may have axes of length one that the other lacks (a ``()`` against a ``(1,)`` is the same tensor); any
    other difference of shape, a (1, 2, 3, 1) against a (1, 2, 1, 3) too, is a mismatch with infinite errors.
    Two empty tensors are equal.

    >>> r = np.array([3.0, 4.0], np.float32)
    >>> found = compare_arrays(r, r + np.array([0, 1], np.float32))
    >>> found.metrics.max_abs, found.metrics.rel_l2
    (1.0, 0.2)
    >>> compare_arrays(r, r[:, None, None]).mismatch is None, compare_arrays(r, r[:1]).mismatch
    (True, 'shape [2] against [1]')
    """
    if not same_form(reference.shape, candidate.shape):
        words = f"shape {list(reference.shape)} against {list(candidate.shape)}"
        size = reference.size
        return Comparison(
            INCOMPARABLE, scale=math.nan, rms=math.nan, size=size, mismatch=words, other_shape=True
        )
    if reference.size == 0:
        return Comparison(EQUAL, scale=0.0, rms=0.0, size=0)
    if _identical(reference.reshape(-1), candidate.reshape(-1)):
        return Comparison(EQUAL, scale=math.nan, rms=math.nan, size=reference.size)
    with one_thread():
        sums = _accumulate(reference.reshape(-1), candidate.reshape(-1))
    if "f" in (reference.dtype.kind, candidate.dtype.kind):
        return sums.comparison()
    changed = float(np.mean(reference.reshape(-1) != candidate.reshape(-1)))
    return replace(sums.comparison(), discrete=True, changed=changed)


def one_thread() -> AbstractContextManager[object]:
    """What keeps numpy from starting threads, which would wait for cores that the engines use.

    An engine may live in another Python, which need not have threadpoolctl.
    """
    libraries = _blas()
    return nullcontext() if libraries is None else libraries.limit(limits=1, user_api="blas")


@cache
def _blas() -> Any:
    """The libraries that numpy calls; looking for them takes a millisecond, as long as a small comparison."""
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return None
    return ThreadpoolController()


def _identical(reference: Array, candidate: Array) -> bool:
    """Whether all elements are equal numbers; ends at the first chunk where they are not."""
    return all(
        np.array_equal(reference[start : start + CHUNK], candidate[start : start + CHUNK])
        for start in range(0, reference.size, CHUNK)
    )


def same_form(ours: tuple[int, ...], theirs: tuple[int, ...]) -> bool:
    """Whether two shapes are one but for axes of length one that only the longer has.

    >>> same_form((2, 3), (1, 2, 3, 1)), same_form((1, 2, 3, 1), (1, 2, 1, 3))
    (True, False)
    """
    short, long = sorted((ours, theirs), key=len)
    left = list(short)
    for length in reversed(long):
        if left and left[-1] == length:
            left.pop()
        elif length != 1:
            return False
    return not left


def squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape without its axes of length one.

    >>> squeezed((1, 2, 1, 3))
    (2, 3)
    """
    return tuple(length for length in shape if length != 1)


@dataclass
class _Sums:
    """Running sums over the chunks of one comparison."""

    size: int = 0
    rr: float = 0.0
    cc: float = 0.0
    rc: float = 0.0
    dd: float = 0.0
    absolute: float = 0.0
    largest: float = 0.0
    scale: float = 0.0
    one_sided: int = 0

    def comparison(self) -> Comparison:
        rms = math.sqrt(self.rr / self.size)
        if self.one_sided:
            words = f"{self.one_sided} of {self.size} elements are NaN or infinite on one side only"
            return Comparison(INCOMPARABLE, scale=self.scale, rms=rms, size=self.size, mismatch=words)
        norm = math.sqrt(self.rr) or math.sqrt(self.cc)
        metrics = Metrics(
            cosine=self._cosine(),
            max_abs=self.largest,
            mean_abs=self.absolute / self.size,
            rel_l2=math.sqrt(self.dd) / norm if norm else 0.0,
            max_rel=self.largest / self.scale if self.scale else self.largest,
        )
        return Comparison(metrics, scale=self.scale, rms=rms, size=self.size)

    def _cosine(self) -> float:
        if self.dd == 0.0:
            return 1.0
        norms = math.sqrt(self.rr) * math.sqrt(self.cc)
        return max(-1.0, min(1.0, self.rc / norms)) if norms else 0.0


@dataclass(frozen=True)
class _Buffers:
    """Room for one chunk, made where it is needed."""

    length: int

    @cached_property
    def single(self) -> Array:
        return np.empty(self.length, np.float32)

    @cached_property
    def ones(self) -> Array:
        return np.ones(self.length, np.float32)

    @cached_property
    def doubles(self) -> tuple[Array, Array, Array]:
        return np.empty(self.length), np.empty(self.length), np.empty(self.length)


def _accumulate(reference: Array, candidate: Array) -> _Sums:
    sums = _Sums(size=reference.size)
    buffers = _Buffers(min(CHUNK, reference.size))
    single = reference.dtype == candidate.dtype == np.float32
    with np.errstate(over="ignore", invalid="ignore"):  # then float64 is asked
        for start in range(0, reference.size, CHUNK):
            r, c = reference[start : start + CHUNK], candidate[start : start + CHUNK]
            if not (single and _add_single(sums, r, c, buffers)):
                _add_double(sums, r, c, buffers)
    return sums


TINY, HUGE = 1e-15, 1e15
"""Outside of these the square of a float32 number, or the sum of such squares, is not one any more."""

CLOSE = 1e-2
"""Below this share of the reference's sum of squares the difference gives the candidate's more exactly than
the candidate itself does."""


def _add_single(sums: _Sums, r: Array, c: Array, buffers: _Buffers) -> bool:
    """Add a chunk in float32; False, and nothing is added, where that type does not hold the sums."""
    n = r.size
    d = np.subtract(c, r, out=buffers.single[:n])
    scale = max(float(r.max()), -float(r.min()))
    rr, rd, dd = float(r @ r), float(r @ d), float(d @ d)
    np.abs(d, out=d)
    largest = float(d.max())
    if not (_holds(scale) and _holds(largest) and math.isfinite(rr + rd + dd)):
        return False
    if dd < CLOSE * rr:
        cc, rc = rr + 2 * rd + dd, rr + rd
    else:
        cc, rc = float(c @ c), float(r @ c)
        if not math.isfinite(cc + rc):
            return False
    sums.rr += rr
    sums.cc += cc
    sums.dd += dd
    sums.rc += rc
    sums.absolute += float(d @ buffers.ones[:n])
    sums.largest = max(sums.largest, largest)
    sums.scale = max(sums.scale, scale)
    return True


def _holds(value: float) -> bool:
    return value == 0.0 or TINY < value < HUGE


def _add_double(sums: _Sums, reference: Array, candidate: Array, buffers: _Buffers) -> None:
    r, c, d = (each[: reference.size] for each in buffers.doubles)
    np.copyto(r, reference, casting="unsafe")
    np.copyto(c, candidate, casting="unsafe")
    rr, cc = float(r @ r), float(c @ c)
    if not math.isfinite(rr + cc):
        sums.one_sided += _blank_nonfinite(r, c)
        rr, cc = float(r @ r), float(c @ c)
    np.subtract(c, r, out=d)
    sums.rr += rr
    sums.cc += cc
    sums.dd += float(d @ d)
    sums.rc += float(r @ c)
    np.abs(d, out=d)
    sums.absolute += float(d.sum())
    sums.largest = max(sums.largest, float(d.max()))
    sums.scale = max(sums.scale, float(r.max()), -float(r.min()))


def _blank_nonfinite(r: Array, c: Array) -> int:
    """Zero what is not finite on either side, in place; returns how many places differ in it."""
    same = (np.isnan(r) & np.isnan(c)) | (r == c)
    broken = ~(np.isfinite(r) & np.isfinite(c))
    r[broken] = 0.0
    c[broken] = 0.0
    return int(np.count_nonzero(broken & ~same))
