"""Which recurrent layers does the sweep ask about?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SHAPE = (2, 3, 8, 12)
BATCH, STEPS, SIZE = 2, 6, 8
LENGTHS = (6, 4)


@dataclass(frozen=True)
class Layer:
    """One recurrent layer of Paddle; ``states`` says where the initial ones come from, zeros if None."""

    kind: Literal["LSTM", "GRU", "SimpleRNN"]
    layers: int = 1
    sides: int = 1
    hidden: int = 5
    lengths: bool = False
    states: Literal["constant", "computed"] | None = None
    time_major: bool = False
    activation: str = "tanh"
    proj: int = 0


LAYERS: dict[str, Layer] = {
    "lstm": Layer("LSTM"),
    "lstm_bi": Layer("LSTM", sides=2),
    "lstm2": Layer("LSTM", layers=2, hidden=8),
    "lstm2_bi": Layer("LSTM", layers=2, sides=2, hidden=4),
    "lstm_len": Layer("LSTM", lengths=True),
    "lstm2_bi_len": Layer("LSTM", layers=2, sides=2, lengths=True),
    "lstm_state": Layer("LSTM", states="constant"),
    "lstm2_bi_state": Layer("LSTM", layers=2, sides=2, states="constant"),
    "lstm_fed": Layer("LSTM", states="computed"),
    "lstm_time": Layer("LSTM", time_major=True),
    "lstm_proj": Layer("LSTM", proj=3),
    "gru": Layer("GRU"),
    "gru_bi": Layer("GRU", sides=2),
    "gru2": Layer("GRU", layers=2, hidden=8),
    "gru2_bi_len": Layer("GRU", layers=2, sides=2, lengths=True),
    "gru_state": Layer("GRU", states="constant"),
    "gru_fed": Layer("GRU", states="computed"),
    "gru_time": Layer("GRU", sides=2, time_major=True),
    "rnn": Layer("SimpleRNN"),
    "rnn_relu": Layer("SimpleRNN", activation="relu"),
    "rnn2_bi": Layer("SimpleRNN", layers=2, sides=2, hidden=4),
    "rnn_len": Layer("SimpleRNN", sides=2, lengths=True),
    "rnn_state": Layer("SimpleRNN", states="constant", hidden=8),
}
