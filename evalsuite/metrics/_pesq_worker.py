"""The worker process that computes PESQ: a script that talks over its standard streams.

Request: one JSON line {"sample_rate", "mode", "frames"}, then 2 * frames little-endian float64
samples, reference first. Answer: one JSON line, {"value"} or {"error", "detail"}.
"""

import json
import math
import os
import sys

import numpy as np
from pesq import pesq


def main() -> None:
    """Answer requests until the input ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # keeps what the C code prints out of the answers
    while header := sys.stdin.buffer.readline():
        request = json.loads(header)
        samples = np.frombuffer(sys.stdin.buffer.read(16 * request["frames"]), "<f8")
        answers.write(json.dumps(_answer(request, *samples.reshape(2, -1))).encode() + b"\n")
        answers.flush()


def _answer(request: dict[str, object], reference: object, estimate: object) -> dict[str, object]:
    try:
        value = float(pesq(request["sample_rate"], reference, estimate, request["mode"]))
    except Exception as error:  # the caller reports any error by its name
        detail = error.args[0] if error.args else ""
        text = detail.decode() if isinstance(detail, bytes) else str(detail)
        return {"error": type(error).__name__, "detail": text}
    if not math.isfinite(value):
        return {"error": "ValueError", "detail": f"PESQ is {value}"}
    return {"value": value}


if __name__ == "__main__":
    main()
