"""ONNX models on one thread of the processor, as every worker of a score has."""

from pathlib import Path
from typing import Any


def one_thread_session(path: Path) -> Any:
    """Return a session of onnxruntime for a model."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
