"""What lies between paired values: every op in one segment, every segment able to run on its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from segdiff.align import Alignment, Segment, align, coverage, cut
from segdiff.align.view import View, view_of
from segdiff.core.graph import Graph, Op, Value
from tests.models import folded, graph_of, hand_made, scrambled, segmenter


def diamond() -> Graph:
    """x -> a -> (b, c) -> d -> e"""
    return hand_made(
        [
            ("Relu", ["x"], ["a"]),
            ("Exp", ["a"], ["b"]),
            ("Tanh", ["a"], ["c"]),
            ("Add", ["b", "c"], ["d"]),
            ("Sqrt", ["d"], ["e"]),
        ],
        outputs=["e"],
    )


def segments(pairs: dict[str, str], ours: Graph | None = None, theirs: Graph | None = None) -> list[Segment]:
    return list(cut(view_of(ours or diamond()), view_of(theirs or diamond()), pairs))


def same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


def test_between_two_pairs_lies_one_op() -> None:
    found = segments(same("x", "a", "b", "c", "d", "e"))
    assert [segment.ops for segment in found] == [(0,), (1,), (2,), (3,), (4,)]
    assert [segment.reference_ops for segment in found] == [(0,), (1,), (2,), (3,), (4,)]
    assert [segment.inputs for segment in found][3] == (("b", "b"), ("c", "c"))
    assert all(segment.same_ends for segment in found)


def test_what_is_not_paired_belongs_to_the_segment_behind_it() -> None:
    (first, second) = segments(same("x", "a", "e"))
    assert (first.ops, first.outputs) == ((0,), (("a", "a"),))
    assert (second.ops, second.inputs) == ((1, 2, 3, 4), (("a", "a"),))


def test_values_that_share_an_op_form_one_segment() -> None:
    found = segments(same("x", "b", "c", "e"))
    assert [segment.ops for segment in found] == [(0, 1, 2), (3, 4)]
    assert set(found[0].outputs) == {("b", "b"), ("c", "c")}
    assert found[0].inputs == (("x", "x"),)


def test_constants_and_shapes_that_two_segments_share_do_not_join_them() -> None:
    graph = hand_made(
        [
            ("Shape", ["x"], ["s"]),
            ("Reshape", ["x", "s"], ["a"]),
            ("Expand", ["a", "s"], ["b"]),
        ],
        outputs=["b"],
    )
    found = segments(same("x", "a", "b"), graph, graph)
    assert [segment.ops for segment in found] == [(1,), (2,)]
    assert [segment.nodes for segment in found] == [(0, 1), (0, 2)]
    assert set(found[1].inputs) == {("x", "x"), ("a", "a")}


def test_segments_that_need_each_other_become_one() -> None:
    """p = f(h), q = g(h, p) share h; r = k(p) feeds another value that shares with q."""
    graph = hand_made(
        [
            ("Relu", ["x"], ["h"]),
            ("Exp", ["h"], ["p"]),
            ("Tanh", ["p"], ["m"]),
            ("Add", ["h", "m"], ["q"]),
            ("Sqrt", ["m"], ["r"]),
            ("Mul", ["q", "r"], ["y"]),
        ],
        outputs=["y"],
    )
    found = segments(same("x", "p", "q", "r", "y"), graph, graph)
    made = {end: number for number, segment in enumerate(found) for end in segment.outputs}
    for number, segment in enumerate(found):
        assert all(made.get(start, -1) < number for start in segment.inputs)  # it can be walked in order
    assert [segment.ops for segment in found] == [(0, 1, 2, 3, 4), (5,)]


def test_a_decomposition_lies_in_one_segment() -> None:
    ours = hand_made([("hard_swish", ["x"], ["h"]), ("relu", ["h"], ["y"])], outputs=["y"])
    theirs = hand_made(
        [("HardSigmoid", ["x"], ["g"]), ("Mul", ["x", "g"], ["h"]), ("Relu", ["h"], ["y"])], outputs=["y"]
    )
    first, second = segments({"x": "x", "h": "h", "y": "y"}, ours, theirs)
    assert (first.reference_ops, first.ops, first.same_ends) == ((0,), (0, 1), True)
    assert (second.reference_ops, second.ops) == ((1,), (2,))


def test_ends_that_differ_are_told() -> None:
    theirs = hand_made(
        [
            ("Relu", ["x"], ["a"]),
            ("Exp", ["a"], ["b"]),
            ("Tanh", ["x"], ["c"]),  # reads x where the reference reads a
            ("Add", ["b", "c"], ["d"]),
            ("Sqrt", ["d"], ["e"]),
        ],
        outputs=["e"],
    )
    found = segments(same("x", "a", "b", "c", "d", "e"), diamond(), theirs)
    assert [segment.same_ends for segment in found] == [True, True, False, True, True]


@pytest.mark.parametrize(("keys", "whole"), [(1, True), (3, False)])
def test_a_branch_that_only_leads_to_a_softmax_over_one_element_is_no_end(keys: int, whole: bool) -> None:
    ours = hand_made(
        [
            ("Relu", ["x"], ["q"]),
            ("Softmax", ["q"], ["s"]),
            ("Tanh", ["x"], ["v"]),
            ("MatMul", ["s", "v"], ["y"]),
        ],
        outputs=["y"],
    )
    ours = replace(ours, values={"q": Value("q", (1, 2, 1, keys))})
    theirs = hand_made([("Tanh", ["x"], ["v"]), ("Mul", ["v", "v"], ["y"])], outputs=["y"])
    pairs = same("x", "v", "y")
    for found in (segments(pairs, ours, theirs), segments(pairs, theirs, ours)):
        assert [segment.same_ends for segment in found] == [True, whole]


def test_a_tensor_whose_shape_alone_is_read_is_no_end() -> None:
    def side(op_type: str, reads: tuple[str, ...]) -> View:
        op = Op(0, op_type, "", reads, ("x", "y")[: len(reads)], ("z",), {})
        return view_of(Graph("pir", Path("m.json"), (op,), {}, {}, ("a", "b"), ("z",)))

    pairs = {"a": "a", "b": "b", "z": "z"}
    for op_type, whole in (("expand_as", True), ("add", False)):
        (segment,) = cut(side(op_type, ("a", "b")), side("expand", ("a",)), pairs)
        assert segment.same_ends is whole


def test_an_input_that_has_no_partner_is_an_input_all_the_same() -> None:
    theirs = hand_made([("Add", ["x", "more"], ["a"])], inputs=("x", "more"), outputs=["a"])
    ours = hand_made([("Relu", ["x"], ["a"])], outputs=["a"])
    (segment,) = segments(same("x", "a"), ours, theirs)
    assert set(segment.inputs) == {("x", "x"), ("", "more")}


# --- on a real file


@pytest.fixture(scope="module", params=["same", "folded"])
def alignment(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Alignment:
    folder = tmp_path_factory.mktemp("segments")
    theirs = segmenter() if request.param == "same" else scrambled(folded(segmenter()))
    return align(graph_of(segmenter(), folder, "ours"), graph_of(theirs, folder, "theirs"))


def test_every_op_lies_in_exactly_one_segment(alignment: Alignment) -> None:
    theirs = [index for segment in alignment.segments for index in segment.ops]
    ours = [index for segment in alignment.segments for index in segment.reference_ops]
    assert sorted(theirs) == [op.index for op in alignment.candidate.ops]
    assert sorted(ours) == [op.index for op in alignment.reference.ops]
    assert coverage(alignment) == (1.0, 1.0)


def test_every_pair_that_is_made_ends_one_segment(alignment: Alignment) -> None:
    ends = [end for segment in alignment.segments for end in segment.outputs]
    made = {(r, c) for r, c in alignment.pairs.items() if c in alignment.candidate.producer}
    assert len(ends) == len(set(ends))
    assert set(ends) == made


def test_segments_stand_in_an_order_in_which_they_can_run(alignment: Alignment) -> None:
    known = {(name, alignment.pairs[name]) for name in alignment.reference.graph.inputs}
    for segment in alignment.segments:
        assert set(segment.inputs) <= known
        known.update(segment.outputs)


def test_a_segment_holds_all_it_needs_to_run(alignment: Alignment) -> None:
    graph = alignment.candidate.graph
    for segment in alignment.segments:
        given = {c for _, c in segment.inputs} | set(graph.parameters)
        for index in segment.nodes:
            assert set(graph.op(index).inputs) <= given
            given.update(graph.op(index).outputs)
        assert {c for _, c in segment.outputs} <= given


# --- coverage


def test_coverage_counts_ops_in_segments_with_the_same_ends() -> None:
    ours, theirs = diamond(), diamond()
    pairs = same("x", "a", "b", "c", "d", "e")
    whole = Alignment(view_of(ours), view_of(theirs), pairs, {}, tuple(segments(pairs)))
    assert coverage(whole) == (1.0, 1.0)
    nothing = Alignment(view_of(ours), view_of(theirs), {}, {}, ())
    assert coverage(nothing) == (0.0, 0.0)


def test_coverage_of_a_candidate_with_a_tail_of_its_own() -> None:
    theirs = hand_made(
        [("Relu", ["x"], ["a"]), ("Exp", ["a"], ["b"]), ("Neg", ["b"], ["c"]), ("Abs", ["c"], ["y"])],
        outputs=["y"],
    )
    ours = hand_made([("Relu", ["x"], ["a"]), ("Exp", ["a"], ["b"])], outputs=["b"])
    pairs = same("x", "a", "b")
    found = Alignment(view_of(ours), view_of(theirs), pairs, {}, tuple(segments(pairs, ours, theirs)))
    assert coverage(found) == (1.0, 0.5)
