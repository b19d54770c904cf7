"""How an app feeds the network, with the demo's second fault in it."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np


def preprocess(path: str | Path) -> Any:
    """From an image's path to the tensor."""
    image = cv2.imread(str(path))
    return normalized(image)


def mended(path: str | Path) -> Any:
    """The same without the fault: OpenCV reads BGR, and the network was trained on RGB."""
    image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    return normalized(image)


def normalized(image: Any) -> Any:
    """An HWC picture as the network wants it: 96x128 pixels (height x width), -1 to 1, CHW."""
    small = cv2.resize(image.astype(np.float32), (128, 96))
    return ((small / 255 - 0.5) / 0.5).transpose(2, 0, 1)[None]
