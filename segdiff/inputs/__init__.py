"""What is the model really fed? From an image, an array or a file to named tensors.

prepare(image, specs, config) -> Prepared      the tensors, and in plain words how they came about
read_deploy_yaml(path) -> DeployConfig         the transforms PaddleSeg exported next to the model
"""

from segdiff.inputs.config import DeployConfig, read_deploy_yaml
from segdiff.inputs.image import read_image
from segdiff.inputs.prepare import Prepared, prepare
from segdiff.inputs.spec import InputSpec
from segdiff.inputs.transforms import TRANSFORMS, Applied, Transform, apply_transforms

__all__ = [
    "TRANSFORMS",
    "Applied",
    "DeployConfig",
    "InputSpec",
    "Prepared",
    "Transform",
    "apply_transforms",
    "prepare",
    "read_deploy_yaml",
    "read_image",
]
