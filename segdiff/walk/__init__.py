"""Two aligned models and an input -> the verdict on every segment."""

from segdiff.walk.judge import CROSSING, Thresholds
from segdiff.walk.lockstep import Candidate, Lockstep, PairResult, Step, Walk
from segdiff.walk.recall import Recall
from segdiff.walk.settle import repeats_itself, settle

__all__ = [
    "CROSSING",
    "Candidate",
    "Lockstep",
    "PairResult",
    "Recall",
    "Step",
    "Thresholds",
    "Walk",
    "repeats_itself",
    "settle",
]
