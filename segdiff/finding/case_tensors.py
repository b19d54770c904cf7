"""What do the tensors of a pair look like? Fetched when asked for, as numpy arrays, within bounds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from segdiff.core.answer import PairInfo
from segdiff.core.graph import Array
from segdiff.core.late import door
from segdiff.core.metrics import Comparison

Fetch = Callable[[PairInfo, str], Array]
"""A tensor of a pair, by which of the three it is. Raises EngineError."""


@dataclass
class Shelf:
    """Arrays that were fetched, up to ``budget`` bytes; what was not asked for longest goes first."""

    budget: int
    arrays: OrderedDict[tuple[str, str], Array] = field(default_factory=OrderedDict)

    def got(self, key: tuple[str, str], fetch: Callable[[], Array]) -> Array:
        """The array of that key, fetched where it is not here; read-only, for others may hold it."""
        if key in self.arrays:
            self.arrays.move_to_end(key)
            return self.arrays[key]
        array = np.array(fetch())  # out of the memory that the engines share
        array.flags.writeable = False
        self.arrays[key] = array
        while self.arrays and sum(each.nbytes for each in self.arrays.values()) > self.budget:
            self.arrays.popitem(last=False)
        return array


class Tensors:
    """The three tensors of a pair, each fetched (read-only) when it is first asked for.

    ``reference, candidate, isolated = case.tensors(pair)`` has all three. What an engine raises comes then.
    """

    def __init__(self, pair: PairInfo, fetch: Fetch, inputs: Callable[[], Mapping[str, Array]]) -> None:
        self.pair, self._fetch, self._inputs = pair, fetch, inputs

    @property
    def reference(self) -> Array:
        """What the reference makes of the image."""
        return self._fetch(self.pair, "reference")

    @property
    def candidate(self) -> Array:
        """What the candidate makes of the image: the cumulative error."""
        return self._fetch(self.pair, "candidate")

    @property
    def isolated(self) -> Array:
        """What the candidate's segment makes of the reference's tensors: the isolated error."""
        return self._fetch(self.pair, "isolated")

    @property
    def inputs(self) -> Arrays:
        """The reference's tensors that the candidate's segment starts from, by the candidate's names."""
        return Arrays(self._inputs(), "Inputs of the segment")

    def __iter__(self) -> Iterator[Array]:
        yield self.reference
        yield self.candidate
        yield self.isolated

    def __repr__(self) -> str:
        return str(door("text")(self)).rstrip()

    def _repr_html_(self) -> str:
        return str(door("html")(self))


class Arrays(dict[str, Array]):
    """Arrays by name, which show themselves in a few words each."""

    def __init__(self, arrays: Mapping[str, Array], title: str = "Values") -> None:
        super().__init__(arrays)
        self.title = title

    def __repr__(self) -> str:
        return str(door("text")(self)).rstrip()

    def _repr_html_(self) -> str:
        return str(door("html")(self))


@dataclass(frozen=True, eq=False)
class Compared:
    """A pair measured again: both errors, whether the segment agrees, where the difference sits.

    ``agrees`` is the walk's own judgement of the isolated error, ``where`` a clause about that error (about
    the cumulative one where the segment agrees), ``problem`` why the segment could not be run, else None.
    """

    pair: PairInfo
    cumulative: Comparison | None
    isolated: Comparison | None
    agrees: bool
    where: str
    tensors: Tensors = field(repr=False)
    problem: str | None = None

    def __repr__(self) -> str:
        return str(door("text")(self)).rstrip()

    def _repr_html_(self) -> str:
        return str(door("html")(self))
