"""Write halves.onnx, a separator of two sources: 0.5 and 0.25 times the mixture.

python tests/golden/make_halves_onnx.py        (needs the package onnx)
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

constants = [
    numpy_helper.from_array(np.array([1], np.int64), "axes"),
    numpy_helper.from_array(np.array([0.5, 0.25], np.float32).reshape(1, 2, 1, 1), "gains"),
]
nodes = [
    helper.make_node("Unsqueeze", ["mixture", "axes"], ["repeated"]),
    helper.make_node("Mul", ["repeated", "gains"], ["estimates"]),
]
graph = helper.make_graph(
    nodes,
    "halves",
    [helper.make_tensor_value_info("mixture", TensorProto.FLOAT, ["batch", "channels", "time"])],
    [
        helper.make_tensor_value_info(
            "estimates", TensorProto.FLOAT, ["batch", 2, "channels", "time"]
        )
    ],
    constants,
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
onnx.checker.check_model(model)
Path(__file__).with_name("halves.onnx").write_bytes(model.SerializeToString())
