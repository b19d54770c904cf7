"""What does PaddleSeg itself print? ``paddleseg_val.py MODEL_STEM DEPLOY_YAML LIST CLASSES``, a line of JSON.

Runs in an environment that has paddleseg, on the saved model, with ``paddleseg.core.evaluate`` as it is; but
its metrics (2.8.0) join sums that Paddle has made scalars since 2.5, so they become vectors of one again.
"""

from __future__ import annotations

import json
import sys
import zlib  # noqa: F401 - before paddle: libpaddle 2.6 brings a zlib of its own that crashes later imports
from pathlib import Path
from typing import Any


def main() -> None:
    import paddle
    import yaml
    from paddleseg.core import evaluate
    from paddleseg.cvlibs import manager
    from paddleseg.datasets import Dataset

    join = paddle.concat
    paddle.concat = lambda parts, *more: join([x if x.ndim else x.reshape([1]) for x in parts], *more)
    stem, deploy, listed, classes = sys.argv[1:]
    loaded = paddle.jit.load(stem)

    class Model(paddle.nn.Layer):
        def forward(self, x: Any) -> list[Any]:
            return [loaded(x)]

    steps = yaml.safe_load(Path(deploy).read_text())["Deploy"]["transforms"]
    transforms = [manager.TRANSFORMS[step.pop("type")](**step) for step in steps]
    dataset = Dataset(
        mode="val",
        dataset_root=str(Path(listed).parent),
        transforms=transforms,
        num_classes=int(classes),
        val_path=listed,
    )
    miou, accuracy, class_iou, _, kappa = evaluate(Model(), dataset, print_detail=False)
    found = {"miou": miou, "accuracy": accuracy, "kappa": kappa, "class_iou": list(class_iou)}
    print(json.dumps({k: v if isinstance(v, list) else float(v) for k, v in found.items()}))


if __name__ == "__main__":
    main()
