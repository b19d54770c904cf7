"""Make the bundled example anew: ``python -m tests.example.make [FOLDER]``.

What is made, and where each step runs (environments of :mod:`tests.zoo.environments`, made at need):

    deploy/model.pdmodel, .pdiparams    trained on drawn streets        p26: paddlepaddle 2.6.2
    deploy/deploy.yaml                  as PaddleSeg exports it         here
    healthy.onnx                        converted, opset 12             c110: paddle2onnx 1.1.0
    model.onnx                          the same with a planted fault   here: onnx
    street.png                          a drawn street                  here: OpenCV
    labels/, masks/paddle/, masks/onnx/   of six more streets           here: OpenCV, onnxruntime

Training is seeded, but another machine adds in another order: the weights come out a little different.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime as ort
import yaml

from tests.example.street import draw
from tests.zoo.environments import python_of

EXAMPLE = Path(__file__).resolve().parents[2] / "segdiff" / "example"
OPSET = 12
STREET_SEED, STREET_SIZE = 4, (192, 256)

STREETS = (50, 125, 138, 195, 38, 259)
"""Seeds of streets with small cars and with large ones: the mean over images is 2 points lower than
the areas of all of them."""

DEPLOY = {
    "Deploy": {
        "input_shape": [1, 3, 96, 128],
        "model": "model.pdmodel",
        "output_dtype": "float32",
        "output_op": "softmax",
        "params": "model.pdiparams",
        "transforms": [
            {"target_size": [128, 96], "type": "Resize"},
            {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "type": "Normalize"},
        ],
    }
}


def main() -> None:
    """All steps, into the folder named or the package."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else EXAMPLE
    deploy = folder / "deploy"
    deploy.mkdir(parents=True, exist_ok=True)
    write_reference(deploy)
    convert(deploy, folder / "healthy.onnx")
    plant(folder / "healthy.onnx", folder / "model.onnx")
    image, _ = draw(np.random.default_rng(STREET_SEED), STREET_SIZE)
    cv2.imwrite(str(folder / "street.png"), image, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    write_masks(folder)


def write_masks(folder: Path) -> None:
    """Labels, and the masks that both models make: healthy.onnx agrees with the reference in every pixel."""
    places = [folder / name for name in ("labels", "masks/paddle", "masks/onnx")]
    for place in places:
        place.mkdir(parents=True, exist_ok=True)
    session = ort.InferenceSession(folder / "healthy.onnx")
    for number, seed in enumerate(STREETS):
        image, label = draw(np.random.default_rng(seed), STREET_SIZE)
        picture = cv2.resize(cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.float32), (128, 96))
        tensor = ((picture / 255 - 0.5) / 0.5).transpose(2, 0, 1)[None].astype(np.float32)
        (output,) = session.run(None, {session.get_inputs()[0].name: tensor})
        mask = output.argmax(1)[0]
        for place, values in zip(places, (label, mask, mask), strict=True):
            cv2.imwrite(str(place / f"street_{number}.png"), values.astype(np.uint8))


def write_reference(deploy: Path) -> None:
    """Train, and write what PaddleSeg's ``tools/export.py`` would."""
    with tempfile.TemporaryDirectory() as scratch:
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
        subprocess.run([python_of("p26"), "-m", "example.train", scratch], check=True, env=environment)
        for name in ("model.pdmodel", "model.pdiparams"):
            shutil.copyfile(Path(scratch, name), deploy / name)
    (deploy / "deploy.yaml").write_text(yaml.safe_dump(DEPLOY))


def convert(deploy: Path, target: Path) -> None:
    """Convert as most people did for years: paddle2onnx 1.1.0."""
    options = {
        "--model_dir": deploy,
        "--model_filename": "model.pdmodel",
        "--params_filename": "model.pdiparams",
        "--save_file": target,
        "--opset_version": OPSET,
    }
    words = [str(word) for option in options.items() for word in option]
    subprocess.run([python_of("c110").with_name("paddle2onnx"), *words], check=True)


def plant(healthy: Path, target: Path) -> None:
    """Let the first Resize, in the middle of the network, forget that corners are aligned."""
    model = onnx.load(healthy)
    node = next(node for node in model.graph.node if node.op_type == "Resize")
    mode = next(a for a in node.attribute if a.name == "coordinate_transformation_mode")
    if mode.s != b"align_corners":
        raise ValueError(f"the Resize of {healthy} is in mode {mode.s!r}")
    mode.s = b"half_pixel"
    onnx.save(model, target)


if __name__ == "__main__":
    main()
