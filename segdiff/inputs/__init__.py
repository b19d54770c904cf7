"""What is the model really fed? From an image, an array or a file to named tensors.

prepare(image, specs, config) -> Prepared      the tensors, and in plain words how they came about
read_deploy_yaml(path) -> DeployConfig         the transforms a suite exported next to the model
read_candidate_input(given, image) -> Fed      what the candidate was fed, perhaps by the user's own script
compare_inputs(reference, candidate) -> InputComparison      whether that is the same, and why it is not
"""

from segdiff.core.fed import InputComparison, InputFinding
from segdiff.inputs.compare import compare_inputs, picture_input
from segdiff.inputs.config import DeployConfig
from segdiff.inputs.fed import CandidateInput, Fed, read_candidate_input
from segdiff.inputs.image import read_image
from segdiff.inputs.prepare import Prepared, is_ready, prepare
from segdiff.inputs.spec import InputSpec
from segdiff.inputs.suites import config_beside, read_deploy_yaml
from segdiff.inputs.transforms import TRANSFORMS, Applied, Transform, apply_transforms

__all__ = [
    "TRANSFORMS",
    "Applied",
    "CandidateInput",
    "DeployConfig",
    "Fed",
    "InputComparison",
    "InputFinding",
    "InputSpec",
    "Prepared",
    "Transform",
    "apply_transforms",
    "compare_inputs",
    "config_beside",
    "is_ready",
    "picture_input",
    "prepare",
    "read_candidate_input",
    "read_deploy_yaml",
    "read_image",
]
