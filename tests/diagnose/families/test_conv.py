"""Convolutions with another padding, dilation or stride; what Paddle calls them."""

from __future__ import annotations

import numpy as np
import pytest

from segdiff.diagnose.families.conv import Settings, same_pads, settings
from segdiff.diagnose.reading.case import Case
from tests.diagnose.bench import asked
from tests.faults import Injector, visible
from tests.models import IMAGE, Net, find_node, hand_made, image, with_attribute


def network():
    net = Net(IMAGE, seed=2)
    x = net.node("Relu", net.conv("x", (3, 8)))
    x = net.node(
        "Relu", net.node("Conv", x, net.weight(8, 4, 3, 3), group=2, auto_pad="SAME_UPPER", strides=[2, 2])
    )
    x = net.node("Relu", net.node("Conv", x, net.weight(8, 8, 3, 3), pads=[2] * 4, dilations=[2, 2]))
    x = net.node(
        "ConvTranspose", x, net.weight(8, 4, 3, 3), pads=[1] * 4, strides=[2, 2], output_padding=[1, 1]
    )
    return net.model(net.node("Sigmoid", x))


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    with asked(network(), image(), tmp_path_factory.mktemp("conv")) as found:
        yield found


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["conv.pads", "conv.dilations"])
def test_a_planted_fault_is_named_and_proven(reference, kind, seed) -> None:
    faulty, fault = Injector(network()).plant(seed, kind)
    assert visible(network(), faulty, fault, {"x": image()}).visible
    cause = reference.cause(faulty)
    assert (cause.kind, cause.proven) == (kind, True), (fault, cause.text)


def test_a_stride_and_its_padding_are_mended_together(reference) -> None:
    same_size = with_attribute(network(), "Conv", 2, strides=[2, 2], pads=[8, 8, 9, 13])
    cause = reference.cause(same_size)
    assert (cause.kind, cause.proven) == ("conv.strides", True)
    assert "strides [2, 2]" in cause.text and "strides [1, 1]" in cause.text


def test_a_transposed_convolution_padded_at_the_other_end(reference) -> None:
    wrong = with_attribute(network(), "ConvTranspose", output_padding=[0, 0], pads=[1, 1, 0, 0])
    assert not reference.causes(wrong)  # the same thing in other words
    wrong = with_attribute(network(), "ConvTranspose", output_padding=[0, 0], pads=[0, 0, 1, 1])
    cause = reference.cause(wrong)
    assert cause.proven and cause.kind in ("conv.pads", "conv.output_padding")


def test_settings_that_are_right_are_not_touched(reference) -> None:
    model = network()
    find_node(model, "Sigmoid").op_type = "Tanh"
    assert not any(cause.kind.startswith("conv.") for cause in reference.causes(model))


# --- Paddle's attributes


def paddle(kind: str = "conv2d", **attributes: object) -> Settings | None:
    graph = hand_made([(kind, ("x",), ("y",), attributes)], outputs=("y",))
    case = Case(graph, graph, graph.ops, graph.ops, graph.ops, (), (), {}, {}, {}, {})
    return settings(case, graph.ops[0], (16, 24), (3, 3))


def test_one_padding_an_axis_or_both_ends() -> None:
    plain = {"strides": [1, 1], "dilations": [1, 1], "groups": 1}
    assert paddle(paddings=[1, 2], **plain).pads == (1, 2, 1, 2)
    assert paddle(paddings=[0, 1, 2, 3], **plain).pads == (0, 2, 1, 3)  # top, bottom, left, right
    assert paddle(paddings=[5, 5], padding_algorithm="VALID", **plain).pads == (0, 0, 0, 0)


def test_same_takes_no_dilation() -> None:
    found = paddle(paddings=[0, 0], padding_algorithm="SAME", strides=[2, 2], dilations=[3, 3])
    assert found == Settings((2, 2), (0, 0, 1, 1), (1, 1), 1, (0, 0))


def test_an_output_size_is_an_output_padding() -> None:
    plain = {"strides": [2, 2], "dilations": [1, 1], "paddings": [1, 1]}
    assert paddle("conv2d_transpose", output_size=[32, 48], **plain).output_padding == (1, 1)
    assert paddle("conv2d_transpose", output_size=[], output_padding=[1, 0], **plain).output_padding == (1, 0)


def test_another_op_has_no_settings() -> None:
    assert paddle("pool2d", strides=[1, 1], paddings=[1, 1]) is None


@pytest.mark.parametrize("upper", [True, False])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_same_as_onnxruntime(stride, upper) -> None:
    from tests.models import tensors_of

    found = []
    pads = same_pads((16, 24), (4, 3), (stride,) * 2, (1, 1), upper=upper)
    for how in ({"auto_pad": "SAME_UPPER" if upper else "SAME_LOWER"}, {"pads": list(pads)}):
        net = Net(IMAGE)
        y = net.node("Conv", "x", net.weight(2, 3, 4, 3), strides=[stride] * 2, **how)
        found.append(tensors_of(net.model(y), {"x": image()})[y])
    np.testing.assert_array_equal(*found)
