"""What does a newcomer call each phase of a run? One that is not listed is shown as it is."""

from __future__ import annotations

WORDS = {
    "read": "reading both models",
    "check": "checking the files",
    "convert": "converting to ONNX",
    "input": "judging the input",
    "start": "starting both engines",
    "align": "matching the operators",
    "walk": "comparing value by value",
    "settle": "proving where they part",
    "explain": "looking for the cause",
    "weigh": "measuring what it costs",
    "dump_read": "reading the dump",
    "dump": "writing tensors",
    "device": "running each operator on the device's tensors",
    "keep": "keeping what a repair needs",
    "deployed": "running as deployed",
    "repair": "mending",
    "conclude": "writing it down",
    "stop": "stopping both engines",
    "score": "comparing masks",
    "start half": "starting the engine",
    "half": "running it in float32 and in half precision",
    "shares": "rounding operators one by one",
    "remedies": "trying what helps",
    "pairs": "looking for pairs of models",
    "sweep": "comparing pair by pair",
    "evaluate": "running both on the images",
}


def words_of(phase: str) -> str:
    """A phase in words; behind a shape, as in ``4x3x64x96: walk``, it is said of that shape."""
    of, _, name = phase.rpartition(": ")
    words = WORDS.get(name, name)
    return f"{of}: {words}" if of else words
