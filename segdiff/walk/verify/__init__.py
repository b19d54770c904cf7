"""Is it the operator, or were two values wrongly paired? Every origin is put to the proof.

A wrong pair leaves two wounds that heal together: the segment before it does not produce it and the segment
behind it does not accept it, yet both in one agree. A fault leaves one, and what follows agrees once the
reference's tensor is put in its place. So wherever origins touch, or one spans several operators, the
region is run again with all its values in sight, from reference tensors at its start, and values are paired
by what they hold. That also narrows a wide segment down to the operator.
"""

from segdiff.walk.verify.loop import verify
from segdiff.walk.verify.regions import doubtful
from segdiff.walk.verify.rewalk import repeats_itself, rewalk
from segdiff.walk.verify.surfacing import surfaced

__all__ = ["doubtful", "repeats_itself", "rewalk", "surfaced", "verify"]
