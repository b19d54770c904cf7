"""Which inputs and results of two blocks are one another's, in every iteration? What two blocks are fed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from segdiff.align import Alignment, Segment, align, cut
from segdiff.core.errors import SegdiffError
from segdiff.core.files import ModelFiles
from segdiff.core.graph import Array, Graph, Op
from segdiff.core.sequences import sequences
from segdiff.engines import Tensor
from segdiff.engines.session import Engines
from segdiff.readers.blocks import Block, BlockInput

Files = tuple[ModelFiles, ModelFiles]
"""The reference's and the candidate's."""


def paired(
    segment: Segment, blocks: tuple[Block, Block], ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]
) -> dict[str, str]:
    """Candidate's word -> reference's word, of the inputs that are one another's.

    What is paired outside; what a loop carries at the same place; what holds the same.
    """
    outside = {c: r for r, c in segment.inputs}
    names = [dict(zip(b.carried, b.initial, strict=True)) | {n: n for n in b.captured} for b in blocks]
    named = {name: word for word, name in reversed(names[0].items())}
    found: dict[str, str] = {}
    for word in (*blocks[1].carried, *blocks[1].captured):
        partner = named.get(outside.get(names[1][word], ""))
        if partner is not None and partner not in found.values():
            found[word] = partner
    if len(blocks[0].carried) == len(blocks[1].carried):
        for mine, other in zip(blocks[0].carried, blocks[1].carried, strict=True):
            free = other not in found and mine not in found.values()
            if free and ours[mine].array.size == theirs[other].array.size:
                found[other] = mine
    for our_word, their_word in zip(blocks[0].told, blocks[1].told, strict=True):
        if our_word and their_word:
            found[their_word] = our_word
    for word in names[1]:
        for mine in names[0]:
            free = word not in found and mine not in found.values() and _same_sort(blocks, mine, word)
            if free and _equal(ours[mine].array, theirs[word].array):
                found[word] = mine
    return found


def _equal(one: Array, other: Array) -> bool:
    return one.size == other.size and np.array_equal(one.reshape(-1), other.reshape(-1))


def _same_sort(blocks: tuple[Block, Block], mine: str, other: str) -> bool:
    """Whether a loop carries both, or neither."""
    return (mine in blocks[0].carried) == (other in blocks[1].carried)


@dataclass
class Meeting:
    """Both sides' blocks with what they are fed; ``pairs`` lead from the candidate's word to the reference's.

    ``trips`` is how many iterations the reference makes at most, None where its condition alone decides;
    ``named`` and ``wanted`` are the reference's words as inputs of its file, and the places of the results
    that are one another's.
    """

    blocks: tuple[Block, Block]
    ours: dict[str, Tensor]
    theirs: dict[str, Tensor]
    pairs: dict[str, str]
    trips: int | None
    named: dict[str, str] = field(default_factory=dict)
    wanted: list[tuple[int, int]] = field(default_factory=list)

    def written(self, folder: Path, segment: Segment, ops: tuple[Op, Op]) -> Files:
        """Both blocks as files; inputs that are one another's have the candidate's name."""
        partner = {mine: input_name(word) for word, mine in self.pairs.items()}
        self.named = {w: partner.get(w, f"reference.{number}") for number, w in enumerate(self.ours)}
        inputs = {w: _input(self.named[w], tensor) for w, tensor in self.ours.items()}
        self.wanted = self._wanted(segment, ops)
        for side in ("reference", "candidate"):
            (folder / side).mkdir()
        ours = self.blocks[0].write(folder / "reference", inputs, [mine for mine, _ in self.wanted])
        inputs = {word: _input(input_name(word), tensor) for word, tensor in self.theirs.items()}
        theirs = self.blocks[1].write(folder / "candidate", inputs, [other for _, other in self.wanted])
        return ours, theirs

    def _wanted(self, segment: Segment, ops: tuple[Op, Op]) -> list[tuple[int, int]]:
        """The places of results that are one another's."""
        mine, other = self.blocks
        if other.count:
            places = {word: place + 1 for place, word in enumerate(mine.carried)}
            pairs = [(0, 0)] + [
                (places[self.pairs[word]], place + 1)
                for place, word in enumerate(other.carried)
                if self.pairs.get(word) in places
            ]
            firsts = len(mine.carried) + 1, len(other.carried) + 1
            rows = [len(block.results) - first for block, first in zip(self.blocks, firsts, strict=True)]
            if rows[0] == rows[1]:  # what each iteration makes for a whole that is joined behind the loop
                pairs += [(firsts[0] + place, firsts[1] + place) for place in range(rows[0])]
        else:
            single = ops[0].type == "select_input"
            pairs = [
                (0 if single else ops[0].outputs.index(r), ops[1].outputs.index(c))
                for r, c in segment.outputs
                if r in ops[0].outputs and c in ops[1].outputs
            ]
            pairs = pairs or [(place, place) for place in range(min(len(mine.results), len(other.results)))]
        made = [(a, b) for a, b in pairs if mine.results[a] is not None and other.results[b] is not None]
        if not made:
            raise SegdiffError("the block makes nothing that could be compared")
        return made

    def move_to(self, engines: Engines) -> None:
        """Copy the tensors to where these engines read: each pair of engines has a memory of its own."""
        self.ours = {w: engines.blocks.tensor(tensor.array.copy()) for w, tensor in self.ours.items()}
        self.theirs = {w: engines.blocks.tensor(tensor.array.copy()) for w, tensor in self.theirs.items()}

    def aligned(self, ours: Graph, theirs: Graph, hidden: frozenset[str]) -> Alignment:
        """The alignment of both blocks, without what cannot be shown and inputs that only look alike."""
        found = align(ours, theirs)
        right = {input_name(word) for word in self.pairs}
        pairs = {
            r: c
            for r, c in found.pairs.items()
            if r not in hidden and (r not in ours.inputs or (r == c and c in right))
        }
        lists = sequences(theirs)
        pairs = {r: c for r, c in pairs.items() if c not in lists}
        return replace(found, pairs=pairs, segments=cut(found.reference, found.candidate, pairs))

    def feeds(
        self, engines: Engines, alignment: Alignment, turn: int
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The inputs of both models in one iteration, the candidate's in its own type and shape."""
        theirs, (mine, other) = dict(self.theirs), self.blocks
        for word, partner in self.pairs.items():
            array, form = self.ours[partner].array, theirs[word].array
            if array.dtype != form.dtype or (array.shape != form.shape and array.size == form.size):
                theirs[word] = engines.blocks.tensor(array.astype(form.dtype).reshape(form.shape))
            else:
                theirs[word] = self.ours[partner]
        count = engines.blocks.tensor(np.array(turn, np.int64))
        ours = {self.named[w]: count if w == mine.count else t for w, t in self.ours.items()}
        return ours, {input_name(w): count if w == other.count else t for w, t in theirs.items()}

    def turn(
        self,
        engines: Engines,
        graphs: tuple[Graph, Graph],
        feeds: tuple[dict[str, Tensor], dict[str, Tensor]],
        turn: int,
    ) -> bool:
        """Carry on to that iteration of the reference; False where it has none, or cannot be told."""
        if self.trips is not None and turn >= self.trips:
            return False
        made = engines.reference.run(feeds[0], list(dict.fromkeys(graphs[0].outputs)))
        values = dict(zip((mine for mine, _ in self.wanted), graphs[0].outputs, strict=True))
        if 0 in values and not bool(made[values[0]].array.reshape(-1)[0]):
            return False
        if 0 not in values and self.trips is None:
            return False
        for place, word in enumerate(self.blocks[0].carried, start=1):
            if self.blocks[0].results[place] is None:
                continue  # handed on as it is
            if place not in values:
                return False
            self.ours[word] = made[values[place]]
        own = dict(zip(self.blocks[1].carried, self.blocks[1].results[1:], strict=False))
        left = {w: name for w, name in own.items() if w not in self.pairs and name is not None}
        if left:
            got = engines.candidate.engine.run(feeds[1], list(left.values()))
            self.theirs |= {w: got[name] for w, name in left.items()}
        return True


def input_name(word: str) -> str:
    """The name of an input, on both sides: the candidate's, but for those that Paddle gives to outputs."""
    return f"{word}.captured" if word.startswith("fetch_name_") else word


def _input(name: str, tensor: Tensor) -> BlockInput:
    return BlockInput(name, tensor.array.dtype.name, tensor.array.shape)
