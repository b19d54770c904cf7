"""Train the example's network on drawn streets and save it: ``python -m example.train FOLDER``.

Runs in an environment with paddlepaddle 2.6.2 (``p26`` of :mod:`tests.zoo.environments`), the last release
that writes a ``.pdmodel`` without fail. Takes about a minute on two cores.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from paddle import nn
from paddle.nn import functional as F  # noqa: N812 - as everyone writes it

from .street import CLASSES, draw

SIZE = (96, 128)
SEED = 7
STEPS, BATCH = 800, 8
NOISE = 8
"""Standard deviation, of 255: so much that the colour of a pixel alone says little."""


class ConvBNReLU(nn.Sequential):
    """What most of a segmentation network consists of."""

    def __init__(self, channels: int, filters: int, stride: int = 1, dilation: int = 1) -> None:
        conv = nn.Conv2D(channels, filters, 3, stride, dilation, dilation, bias_attr=False)
        super().__init__(conv, nn.BatchNorm2D(filters), nn.ReLU())


class Gate(nn.Layer):
    """Channels weighted by what the whole picture shows."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2D(1)
        self.weigh = nn.Conv2D(channels, channels, 1)

    def forward(self, x: Any) -> Any:
        """Scale each channel by a number from 0 to 1."""
        return x * F.sigmoid(self.weigh(self.pool(x)))


class StreetNet(nn.Layer):
    """An encoder to 1/8, a local and a gated wide branch, a decoder at 1/2; softmax over the classes."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(ConvBNReLU(3, 8, 2), ConvBNReLU(8, 12, 2), ConvBNReLU(12, 24, 2))
        self.local = ConvBNReLU(24, 16)
        self.wide = nn.Sequential(ConvBNReLU(24, 16, dilation=2), Gate(16))
        self.decoder = ConvBNReLU(32, 16)
        self.head = nn.Conv2D(16, len(CLASSES), 1)

    def forward(self, image: Any) -> Any:
        """Probabilities (N, classes, H, W)."""
        return F.softmax(self.logits(image), axis=1)

    def logits(self, image: Any) -> Any:
        """Scores of the same shape."""
        height, width = image.shape[2:]
        x = self.encoder(image)
        x = resize(paddle.concat([self.local(x), self.wide(x)], axis=1), [height // 2, width // 2])
        return resize(self.head(self.decoder(x)), [height, width])


def resize(x: Any, size: Any) -> Any:
    """Bilinear with aligned corners, as BiSeNetV1 and PSPNet do it."""
    return F.interpolate(x, size, mode="bilinear", align_corners=True)


def batch(rng: np.random.Generator) -> tuple[Any, Any]:
    """Normalised pictures and their labels."""
    drawn = [draw(rng, SIZE) for _ in range(BATCH)]
    pictures = np.stack([picture[..., ::-1] for picture, _ in drawn]).astype(np.float32)
    noisy = pictures + rng.normal(0, NOISE, pictures.shape).astype(np.float32)
    scaled = (noisy / 255 - 0.5) / 0.5
    return paddle.to_tensor(scaled.transpose(0, 3, 1, 2)), paddle.to_tensor(
        np.stack([label for _, label in drawn])
    )


def train() -> StreetNet:
    """A network that has learned to tell sky, buildings, road and cars."""
    paddle.seed(SEED)
    rng = np.random.default_rng(SEED)
    net = StreetNet()
    rate = paddle.optimizer.lr.PolynomialDecay(0.01, STEPS, end_lr=1e-5, power=0.9)
    optimizer = paddle.optimizer.AdamW(rate, parameters=net.parameters(), weight_decay=1e-4)
    for step in range(STEPS):
        images, labels = batch(rng)
        logits = net.logits(images)
        loss = F.cross_entropy(logits, labels, axis=1)
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
        rate.step()
        if step % 100 == 99:
            right = float((logits.argmax(1) == labels).astype("float32").mean())
            print(f"step {step + 1}: loss {float(loss):.3f}, {right:.1%} of the pixels right", flush=True)
    net.eval()
    return net


def main() -> None:
    """Train and save."""
    image = paddle.static.InputSpec([1, 3, *SIZE], "float32", name="x")
    net = paddle.jit.to_static(train(), input_spec=[image], full_graph=True)
    paddle.jit.save(net, str(Path(sys.argv[1]) / "model"))
    forget_call_stacks(Path(sys.argv[1]) / "model.pdmodel")


def forget_call_stacks(program: Path) -> None:
    """Take out the lines of source, with their paths, that Paddle writes down for some operators."""
    from paddle.base.proto.framework_pb2 import ProgramDesc

    desc = ProgramDesc.FromString(program.read_bytes())
    for op in (op for block in desc.blocks for op in block.ops):
        kept = [attribute for attribute in op.attrs if attribute.name != "op_callstack"]
        del op.attrs[:]
        op.attrs.extend(kept)
    program.write_bytes(desc.SerializeToString())


if __name__ == "__main__":
    main()
