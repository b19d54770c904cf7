"""Does the sweep of dumps count what it plants? One small network, results without a header, every kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.models import IMAGE, save, segmenter
from tests.sweeps.dumps import FORMS, OUTPUTS_ALONE, Side, asked, asked_of, drawn, facts, of_right, strange
from tests.sweeps.pairs import Pair


@pytest.fixture
def side(tmp_path: Path) -> Side:
    path = save(segmenter(), tmp_path / "model.onnx")
    return Side(Pair("small", path, path, shape=IMAGE))


@pytest.mark.parametrize("form", [name for name in FORMS if name.startswith("results")])
def test_right_results_are_counted_as_such(tmp_path: Path, side: Side, form: str) -> None:
    dump, om = FORMS[form](side, side.tensors(True), tmp_path / "dump")
    wanted = "right outputs" if form in OUTPUTS_ALONE else "right"
    assert of_right(facts(asked(side, dump, om)), form) == wanted


def test_faults_are_drawn_until_one_counts_and_are_found(side: Side) -> None:
    right = side.tensors(True)
    for place in range(4):
        found = next(
            each for each in (drawn(side, right, place + 1000 * draw, set()) for draw in range(8)) if each
        )
        kind, cause, end, values = found
        record = asked_of(side, values, "npz", end, cause)
        assert record["ending"] in ("explained", "found", "other cause"), (kind, record)


def test_what_nothing_explains_is_found_and_not_proven(side: Side) -> None:
    kind, fault = strange(side, 2)
    record = asked_of(side, side.tensors(True, fault), "npz", side.end_of(fault.at), "device.unknown")
    assert record["ending"] == "found", (kind, record)
