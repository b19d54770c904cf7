"""What directions of a recurrent operator have in common, so that one node may have both."""

from __future__ import annotations

import numpy as np

from segdiff.diagnose.reading.recurrent import DEFAULTS, R, Side, W, joined


def side(inputs: int, layer: int, direction: str = "forward") -> Side:
    constants = {W: np.ones((32, inputs), np.float32), R: np.ones((32, 8), np.float32)}
    return Side({**DEFAULTS, "direction": direction}, constants, {}, ("rnn", layer))


def test_both_directions_of_a_layer_are_one_node() -> None:
    found = joined("LSTM", [side(5, 0), side(5, 0, "reverse")])
    assert found is not None and found.settings["direction"] == "bidirectional"
    weights = found.constants[W]
    assert weights is not None and weights.shape == (2, 32, 5)


def test_two_layers_of_other_sizes_are_none() -> None:
    """The last direction of one layer and the first of the next: they read tensors of other widths."""
    assert joined("LSTM", [side(5, 0, "reverse"), side(16, 1)]) is None
