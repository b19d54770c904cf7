"""Which pairs of models do the docs show? Real conversions where a converter errs, or planted faults.

Each case is a function of a folder: it puts a reference, a candidate and what they are fed there, and gives
their names. Planted ones change one thing in a healthy file; the docs say of each which it is.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper

import segdiff
from tests.devices import Device, Fault, saved
from tests.devices import with_attribute as with_attribute_of
from tests.example.street import draw
from tests.faults import plant
from tests.half.nets import ERFNET_SHAPE, edited_as_users_do, erfnet
from tests.models import (
    Net,
    classified,
    copied,
    find_node,
    folded,
    halved,
    image,
    save,
    segmenter,
    with_attribute,
    with_pairs,
)
from tests.sweeps.outputs import detector, heads

Made = tuple[str, str, str]
"""The names of the reference, the candidate and the input, in the folder."""

EXAMPLE = Path(segdiff.__file__).parent / "example"

CASES: dict[str, Callable[[Path], Made]] = {}


def case(make: Callable[[Path], Made]) -> Callable[[Path], Made]:
    """Register the decorated maker by its name."""
    CASES[make.__name__] = make
    return make


# --- the bundled example, and faults planted in its healthy file


def example(folder: Path, candidate: ModelProto | Path) -> Made:
    """The bundled Paddle model and picture with another candidate."""
    shutil.copytree(EXAMPLE / "deploy", folder / "deploy", dirs_exist_ok=True)
    shutil.copy(EXAMPLE / "street.png", folder)
    onnx.save(onnx.load(candidate) if isinstance(candidate, Path) else candidate, folder / "model.onnx")
    return "deploy", "model.onnx", "street.png"


def planted(folder: Path, kind: str, seed: int = 0) -> Made:
    """The bundled example with one fault of ``tests.faults``."""
    return example(folder, plant(onnx.load(EXAMPLE / "healthy.onnx"), seed, kind)[0])


@case
def resize(folder: Path) -> Made:
    return example(folder, EXAMPLE / "model.onnx")


@case
def healthy(folder: Path) -> Made:
    return example(folder, EXAMPLE / "healthy.onnx")


@case
def norm(folder: Path) -> Made:
    return planted(folder, "batch_norm.order")


@case
def conv(folder: Path) -> Made:
    return planted(folder, "conv.pads")


@case
def parameter(folder: Path) -> Made:
    return planted(folder, "parameter.channels")


@case
def concat(folder: Path) -> Made:
    return planted(folder, "concat.order")


@case
def lost(folder: Path) -> Made:
    """A node left out: its readers read what it read."""
    model = onnx.load(EXAMPLE / "healthy.onnx")
    node = find_node(model, "Sigmoid")
    for reader in model.graph.node:
        for place, name in enumerate(reader.input):
            if name == node.output[0]:
                reader.input[place] = node.input[0]
    model.graph.node.remove(node)
    return example(folder, model)


@case
def half(folder: Path) -> Made:
    """The healthy example in float16: nothing is wrong with it."""
    return example(folder, halved(onnx.load(EXAMPLE / "healthy.onnx")))


@case
def wide(folder: Path) -> Made:
    """The healthy example with its second convolution's weights times 3000, and the statistics of the batch
    norm behind it made for that: in float32 nothing changes."""
    model = onnx.load(EXAMPLE / "healthy.onnx")
    norm = find_node(model, "BatchNormalization", 1)
    conv = next(node for node in model.graph.node if norm.input[0] in node.output)
    factors = {conv.input[1]: 3e3, norm.input[3]: 3e3, norm.input[4]: 9e6}
    for tensor in model.graph.initializer:
        if tensor.name in factors:
            array = numpy_helper.to_array(tensor) * np.float32(factors[tensor.name])
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    for node in model.graph.node:
        if node.op_type == "Constant" and node.output[0] in factors:
            tensor = node.attribute[0].t
            array = numpy_helper.to_array(tensor) * np.float32(factors[node.output[0]])
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    return example(folder, model)


@case
def dead(folder: Path) -> Made:
    """A net like ErfNet with dead channels in its batch norms, and the edit that users make of such files."""
    model = erfnet()
    onnx.save(model, folder / "model.onnx")
    onnx.save(edited_as_users_do(model), folder / "edited.onnx")
    np.save(folder / "x.npy", image(ERFNET_SHAPE, seed=50))
    return "model.onnx", "model.onnx", "x.npy"


@case
def device(folder: Path) -> Made:
    """The healthy example on a simulated device in half precision, which computes a Resize otherwise."""
    mode = with_attribute_of("coordinate_transformation_mode", "asymmetric")
    return on_device(folder, Fault("bilinear_interp_v2_0.tmp_0", node=mode))


@case
def saturated(folder: Path) -> Made:
    """The same device, which cuts off what a convolution makes."""
    return on_device(folder, Fault("conv2d_7.tmp_0", output=lambda made: np.clip(made, -1, 1)))


@case
def right_device(folder: Path) -> Made:
    """The same device without a fault."""
    return on_device(folder)


def on_device(folder: Path, *faults: Fault) -> Made:
    """The bundled example, and what a simulated device left when it ran the healthy file."""
    example(folder, EXAMPLE / "healthy.onnx")
    segdiff.dump(folder / "deploy", folder / "street.png", out=folder / "input.npz", only=["x"])
    with np.load(folder / "input.npz") as fed:
        tensors = Device(onnx.load(folder / "model.onnx"), faults=faults).run(dict(fed))
    saved(tensors, folder / "dump")
    return "deploy", "dump", "street.png --candidate-model model.onnx"


@case
def two(folder: Path) -> Made:
    """Two faults at once: the Resize of the bundled file, and a convolution's padding."""
    return example(folder, plant(onnx.load(EXAMPLE / "model.onnx"), 0, "conv.pads")[0])


@case
def refused(folder: Path) -> Made:
    """A shape that is joined of int32 and int64: a Cast in front of the last Concat."""
    model = onnx.load(EXAMPLE / "healthy.onnx")
    node = find_node(model, "Concat", 2)
    cast = helper.make_node("Cast", [node.input[0]], ["narrow"], "p2o.Cast.9", to=TensorProto.INT32)
    node.input[0] = "narrow"
    model.graph.node.insert(list(model.graph.node).index(node), cast)
    return example(folder, model)


@case
def bgr(folder: Path) -> Made:
    """A script that feeds BGR where deploy.yaml asks for RGB."""
    made = example(folder, EXAMPLE / "healthy.onnx")
    (folder / "infer.py").write_text(SCRIPT)
    return made


SCRIPT = '''import cv2
import numpy as np


def preprocess(path):
    """What many inference scripts do: no cvtColor, so the channels stay BGR."""
    picture = cv2.resize(cv2.imread(str(path)), (128, 96)).astype("float32") / 255
    return ((picture - 0.5) / 0.5).transpose(2, 0, 1)[np.newaxis]
'''


@case
def dataset(folder: Path) -> Made:
    """Twelve drawn streets with labels, val.txt, and the script that feeds BGR."""
    made = example(folder, EXAMPLE / "model.onnx")
    (folder / "infer.py").write_text(SCRIPT)
    lines = []
    for number in range(12):
        picture, label = draw(np.random.default_rng(100 + number), (192, 256))
        cv2.imwrite(str(folder / f"{number}.png"), picture)
        cv2.imwrite(str(folder / f"{number}_label.png"), label.astype(np.uint8))
        lines.append(f"{number}.png {number}_label.png\n")
    (folder / "val.txt").write_text("".join(lines))
    return made


@case
def suite(folder: Path) -> Made:
    """The same model with a config as PaddleX writes it, and none of PaddleSeg's."""
    made = example(folder, EXAMPLE / "healthy.onnx")
    (folder / "deploy" / "deploy.yaml").unlink()
    (folder / "deploy" / "inference.yml").write_text(PADDLEX)
    return made


PADDLEX = """PreProcess:
  transform_ops:
  - Resize:
      target_size: [128, 96]
      interp: LINEAR
  - Normalize:
      mean: [0.5, 0.5, 0.5]
      std: [0.5, 0.5, 0.5]
  - ToCHWImage: null
"""


@case
def quantised(folder: Path) -> Made:
    """The healthy example in bytes, by onnxruntime's own quantiser, calibrated on drawn streets."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

    class Streets(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = list(range(32))

        def get_next(self) -> dict[str, Any] | None:
            if not self.left:
                return None
            picture, _ = draw(np.random.default_rng(self.left.pop()), (192, 256))
            small = cv2.resize(picture[:, :, ::-1].astype(np.float32), (128, 96))
            tensor = (small / 255 - 0.5) / 0.5
            return {name: tensor.transpose(2, 0, 1)[np.newaxis]}

    made = example(folder, EXAMPLE / "healthy.onnx")
    name = onnx.load(EXAMPLE / "healthy.onnx").graph.input[0].name
    quantize_static(
        str(EXAMPLE / "healthy.onnx"),
        str(folder / "model.onnx"),
        Streets(),
        QuantFormat.QDQ,
        per_channel=True,
    )
    return made


# --- real conversions: a small Paddle program, made ONNX by paddle2onnx


def converted(folder: Path, forward: Callable[[Any], Any], feed: np.ndarray, **more: Any) -> Made:
    """A Paddle program of one function, with a convolution in front, and what paddle2onnx makes of it."""
    import paddle

    class Program(paddle.nn.Layer):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.front = paddle.nn.Conv2D(feed.shape[1], 4, 1) if feed.ndim == 4 else None

        def forward(self, x: Any) -> Any:
            return forward(self.front(x) if self.front else x)

    paddle.seed(7)
    program = Program()
    program.eval()
    spec = paddle.static.InputSpec(feed.shape, "float32", "x")
    paddle.jit.save(program, str(folder / "model"), input_spec=[spec])
    segdiff.convert(folder / "model.json", folder / "model.onnx", **more)
    np.save(folder / "x.npy", feed)
    return "model.json", "model.onnx", "x.npy"


@case
def pool(folder: Path) -> Made:
    import paddle.nn.functional as nn

    return converted(folder, lambda x: nn.adaptive_avg_pool2d(x, 3), image((1, 3, 8, 12)))


@case
def gelu(folder: Path) -> Made:
    import paddle.nn.functional as nn

    return converted(folder, lambda x: nn.gelu(4 * x, approximate=True), image((1, 3, 8, 12)))


@case
def hardtanh(folder: Path) -> Made:
    import paddle.nn.functional as nn

    return converted(folder, lambda x: nn.hardtanh(3 * x, -0.5, 2.0), image((1, 3, 8, 12)))


@case
def p_norm(folder: Path) -> Made:
    import paddle

    return converted(folder, lambda x: paddle.norm(x, p=float("inf"), axis=1), image((1, 3, 8, 12)))


@case
def transpose_conv(folder: Path) -> Made:
    import paddle
    import paddle.nn.functional as nn

    def forward(x: Any) -> Any:
        weight = paddle.ones([4, 3, 3, 3], "float32") / 9
        return nn.conv2d_transpose(x, weight, stride=2, padding=1, output_size=[16, 24])

    return converted(folder, forward, image((1, 3, 8, 12)))


@case
def sort_order(folder: Path) -> Made:
    import paddle

    return converted(folder, lambda x: paddle.topk(x, 3, axis=3, sorted=False)[0], image((1, 3, 8, 12)))


@case
def roll(folder: Path) -> Made:
    import paddle

    return converted(folder, lambda x: paddle.roll(x, 14, axis=3), image((1, 3, 8, 12)))


@case
def nearest(folder: Path) -> Made:
    import paddle.nn.functional as nn

    return converted(folder, lambda x: nn.interpolate(x, [2, 3], mode="nearest"), image((1, 3, 14, 21)))


# --- pairs of ONNX files, one thing changed


def both(folder: Path, reference: ModelProto, candidate: ModelProto, feed: np.ndarray | None = None) -> Made:
    """Two ONNX files and a tensor."""
    save(reference, folder / "before.onnx")
    save(candidate, folder / "after.onnx")
    np.save(folder / "x.npy", image() if feed is None else feed)
    return "before.onnx", "after.onnx", "x.npy"


@case
def softmax(folder: Path) -> Made:
    """A rewrite that flattens tokens and takes the softmax over the other axis."""
    model = segmenter()
    return both(folder, model, with_attribute(model, "Softmax", 0, axis=1))


@case
def rewrite(folder: Path) -> Made:
    """A rewrite that is right: the batch norms folded into the convolutions."""
    model = segmenter()
    return both(folder, model, folded(model))


@case
def batches(folder: Path) -> Made:
    """A softmax over the classes rewritten without its Transposes, at an opset where it is another one."""
    shutil.copy(EXAMPLE / "street.png", folder)
    save(classified(rewritten=False), folder / "exported.onnx")
    save(classified(rewritten=True), folder / "rewritten.onnx")
    return "exported.onnx", "rewritten.onnx", "street.png"


@case
def transpose(folder: Path) -> Made:
    """A Reshape where a Transpose belongs."""
    model = segmenter()
    candidate = copied(model)
    node = find_node(candidate, "Transpose", 1)
    node.op_type = "Reshape"
    del node.attribute[:]
    node.input.append("shape")
    candidate.graph.initializer.append(numpy_helper.from_array(np.array([1, 12, 96], np.int64), "shape"))
    return both(folder, model, candidate)


@case
def recurrent(folder: Path) -> Made:
    """A GRU whose reset gate comes before the matrix product."""
    net = Net((7, 2, 5), seed=5)
    draw = net.random.standard_normal
    operands = [net.constant(draw(shape) / 2) for shape in ((1, 12, 5), (1, 12, 4), (1, 24))]
    model = net.model(net.node("GRU", "x", *operands, hidden_size=4, linear_before_reset=1))
    changed = with_attribute(model, "GRU", 0, linear_before_reset=0)
    return both(folder, model, changed, image((7, 2, 5)))


@case
def loop(folder: Path) -> Made:
    """A Loop that turns once too little."""
    return both(folder, looped(4), looped(3))


def looped(times: int) -> ModelProto:
    """A convolution, and a Loop that halves and shifts."""
    net = Net()
    start = net.conv("x", (3, 4))
    half, one = net.constant(0.5), net.constant(0.25)
    numbers = (net.constant(times, np.int64), net.constant(True, np.bool_))
    info = helper.make_tensor_value_info
    nodes = [
        helper.make_node("Mul", ["state", half], ["less"]),
        helper.make_node("Add", ["less", one], ["next"]),
        helper.make_node("Identity", ["go"], ["on"]),
    ]
    inputs = [
        info("turn", TensorProto.INT64, []),
        info("go", TensorProto.BOOL, []),
        info("state", TensorProto.FLOAT, None),
    ]
    outputs = [info("on", TensorProto.BOOL, []), info("next", TensorProto.FLOAT, None)]
    body = helper.make_graph(nodes, "body", inputs, outputs)
    end = net.node("Loop", *numbers, start, outputs=["turned"], body=body)
    return net.model(net.node("Relu", end))


@case
def reduce(folder: Path) -> Made:
    """A mean over the height where the reference has the width, of a square picture."""
    feed = image((1, 3, 16, 16))
    net = Net(feed.shape)
    head = net.conv("x", (3, 4))
    gate = net.node("Sigmoid", net.node("ReduceMean", head, axes=[3]))
    model = net.model(net.node("Mul", head, gate))
    return both(folder, model, with_attribute(model, "ReduceMean", 0, axes=[2]), feed)


@case
def detection(folder: Path) -> Made:
    return both(folder, detector(iou=0.3), detector(iou=0.6))


@case
def rows(folder: Path) -> Made:
    return both(folder, detector(sort=True), detector())


@case
def output(folder: Path) -> Made:
    """Two outputs exchanged."""
    model = heads(3)
    changed = copied(model)
    names = list(changed.graph.output)
    del changed.graph.output[:]
    changed.graph.output.extend([names[1], names[0], names[2]])
    return both(folder, model, changed)


@case
def tail(folder: Path) -> Made:
    """An argmax that the candidate has in the file."""
    net, more = Net(), Net()
    model = net.model(net.conv("x", (3, 4)))
    head = more.node("ArgMax", more.conv("x", (3, 4)), axis=1)
    return both(folder, model, more.model(head, types={head: TensorProto.INT64}))


@case
def order(folder: Path) -> Made:
    """A Sub turned round."""
    net = Net()
    left, right = net.conv("x", (3, 4)), net.conv("x", (3, 4))
    model = net.model(net.node("Relu", net.node("Sub", left, right)))
    changed = copied(model)
    node = find_node(changed, "Sub")
    node.input[0], node.input[1] = node.input[1], node.input[0]
    return both(folder, model, changed)


@case
def overflow(folder: Path) -> Made:
    """A float16 file in which one tensor is beyond 65504."""
    net = Net()
    large = net.node("Mul", net.conv("x", (3, 4)), net.constant(60000.0))
    small = net.node("Mul", large, net.constant(1 / 60000.0))
    model = net.model(net.node("Relu", net.conv(small, (4, 4))))
    return both(folder, model, halved(model))


@case
def scale(folder: Path) -> Made:
    """A quantised tensor whose scale cuts off what the reference has there."""
    net = Net()
    model = net.model(net.node("Relu", net.conv(net.node("Relu", net.conv("x", (3, 4))), (4, 4))))
    changed = with_pairs(model, 0.04)
    changed.graph.initializer.append(numpy_helper.from_array(np.float32(0.01), "narrow"))
    nodes = [node for node in changed.graph.node if "step" in node.input]
    for node in nodes[2:4]:
        node.input[1] = "narrow"
    return both(folder, model, changed)


@case
def zoo(folder: Path) -> Made:
    """A list of four pairs: two nets with the same fault planted, one with that and another one, and one that
    is whole."""
    nets = {name: segmenter(seed) for seed, name in enumerate(("alpha", "beta", "gamma", "delta"))}
    half = {"coordinate_transformation_mode": "align_corners"}
    made = {
        "alpha": with_attribute(nets["alpha"], "Resize", **half),
        "beta": with_attribute(with_attribute(nets["beta"], "Resize", **half), "LeakyRelu", alpha=0.3),
        "gamma": with_attribute(nets["gamma"], "Resize", **half),
        "delta": folded(nets["delta"]),
    }
    for name, model in made.items():
        save(nets[name], folder / f"{name}.onnx")
        save(model, folder / f"{name}_made.onnx")
    np.save(folder / "x.npy", image())
    rows = [f"- {{name: {n}, reference: {n}.onnx, candidate: {n}_made.onnx}}" for n in made]
    (folder / "pairs.yaml").write_text("\n".join(["images: x.npy", "pairs:", *rows]) + "\n")
    return "alpha.onnx", "alpha_made.onnx", "x.npy"
