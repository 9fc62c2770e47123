"""The process that computes PESQ; run as a script, talks over its standard streams.

Question: one JSON line {"sample_rate", "mode", "frames"}, then 2 * frames little-endian float64
samples, reference first. Answer: one JSON line, {"value"} or {"error", "detail"}.
"""

import json
import math
import os
import sys

import numpy as np
from pesq import pesq


def main() -> None:
    """Answer questions until the input ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever the C code prints must not pass for an answer
    while header := sys.stdin.buffer.readline():
        question = json.loads(header)
        samples = np.frombuffer(sys.stdin.buffer.read(16 * question["frames"]), "<f8")
        answers.write(json.dumps(_answer(question, *samples.reshape(2, -1))).encode() + b"\n")
        answers.flush()


def _answer(question: dict[str, object], reference: object, estimate: object) -> dict[str, object]:
    try:
        value = float(pesq(question["sample_rate"], reference, estimate, question["mode"]))
    except Exception as error:  # whatever it is, the caller reports it by name
        return {"error": type(error).__name__, "detail": _text(error)}
    if not math.isfinite(value):
        return {"error": "ValueError", "detail": f"PESQ is {value}"}
    return {"value": value}


def _text(error: Exception) -> str:
    text = error.args[0] if error.args else ""
    return text.decode() if isinstance(text, bytes) else str(text)


if __name__ == "__main__":
    main()
