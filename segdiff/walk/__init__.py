"""Two aligned models and an input -> the verdict on every segment."""

from segdiff.walk.probe import Probe
from segdiff.walk.run import Run, Whole, ends_of, walked, walked_by_itself
from segdiff.walk.steps import PairResult, Step, Walk

__all__ = ["PairResult", "Probe", "Run", "Step", "Walk", "Whole", "ends_of", "walked", "walked_by_itself"]
