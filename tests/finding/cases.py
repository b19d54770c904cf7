"""A small network with a planted fault, to be opened."""

from __future__ import annotations

from pathlib import Path

from onnx import ModelProto

from tests.models import Net, save

SHAPE = (1, 3, 32, 48)


def network(alpha: float = 0.1, mode: str = "half_pixel", bias: float = 0.0) -> ModelProto:
    """Convolutions, a LeakyRelu, a Resize, a mask of four classes; three places for a fault."""
    net = Net(SHAPE, seed=3)
    hidden = net.node("LeakyRelu", net.conv("x", (3, 6)), alpha=alpha, outputs=["leaky"])
    shifted = net.node("Add", hidden, net.constant([bias], name="shift"), outputs=["shifted"])
    deep = net.node("Relu", net.conv(shifted, (6, 6)), outputs=["deep"])
    large = net.node(
        "Resize",
        deep,
        "",
        net.constant([1, 1, 2, 2], name="scales"),
        outputs=["large"],
        mode="linear",
        coordinate_transformation_mode=mode,
    )
    return net.model(net.node("Softmax", net.conv(large, (6, 4)), axis=1, outputs=["mask"]))


def files(folder: Path, **fault: object) -> tuple[Path, Path]:
    """Reference and candidate; ``fault`` is what the candidate has otherwise."""
    return (
        save(network(), folder / "ours.onnx"),
        save(network(**fault), folder / "theirs.onnx"),  # type: ignore[arg-type]
    )
