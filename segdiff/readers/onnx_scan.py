"""How is a Scan a Loop? Each iteration takes a slice of every tensor that is scanned, and counts."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from segdiff.core.errors import ModelError

TURN, ASKED, GOES_ON = "scan.turn", "scan.asked", "scan.goes_on"
"""Names that the body of a Loop has, and that of a Scan has not."""


def body_of(node: onnx.NodeProto, part: onnx.GraphProto) -> onnx.GraphProto:
    """The body of a Scan as that of a Loop: told its turn, it takes the slices of that turn from around it,
    and says whether there is another.

    Raises ModelError where nothing is scanned, which no Scan of opset 9 and later does.
    """
    settings = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    count = int(settings.get("num_scan_inputs", 0))
    if not 0 < count <= min(len(part.input), len(node.input)):
        raise ModelError(f"{node.name or 'Scan'} scans {count} of {len(node.input)} inputs")
    states = len(part.input) - count
    scanned = list(node.input)[-count:]
    axes = list(settings.get("scan_input_axes", [])) or [0] * count
    backward = list(settings.get("scan_input_directions", [])) or [0] * count
    made = onnx.GraphProto()
    made.CopyFrom(part)
    del made.input[:], made.node[:], made.output[:]
    made.input.append(helper.make_tensor_value_info(TURN, TensorProto.INT64, []))
    made.input.append(helper.make_tensor_value_info(ASKED, TensorProto.BOOL, []))
    made.input.extend(part.input[:states])
    made.initializer.append(numpy_helper.from_array(np.array(1, np.int64), "scan.one"))
    made.initializer.append(numpy_helper.from_array(np.array(axes[0], np.int64), "scan.axis"))
    made.node.extend(
        [
            helper.make_node("Shape", [scanned[0]], ["scan.shape"]),
            helper.make_node("Gather", ["scan.shape", "scan.axis"], ["scan.length"]),
            helper.make_node("Add", [TURN, "scan.one"], ["scan.next"]),
            helper.make_node("Less", ["scan.next", "scan.length"], [GOES_ON]),
            helper.make_node("Sub", ["scan.length", "scan.next"], ["scan.back"]),
        ]
    )
    for place, (whole, item) in enumerate(zip(scanned, part.input[states:], strict=True)):
        index = "scan.back" if backward[place] else TURN
        made.node.append(helper.make_node("Gather", [whole, index], [item.name], axis=axes[place]))
    made.node.extend(part.node)
    made.output.append(helper.make_tensor_value_info(GOES_ON, TensorProto.BOOL, []))
    made.output.extend(part.output)
    return made
