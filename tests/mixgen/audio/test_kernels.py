"""Compiled loops against the same steps in numpy and scipy, and as users without numba see them."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.signal import sosfilt

from mixgen.audio import compiled, formats, levels
from mixgen.audio.formats import FORMATS, encode_wav, file_samples, to_grid
from mixgen.audio.levels import energies_of_steps, gated_loudness
from mixgen.manifest.file import Manifest
from tests.mixgen.conftest import Contents

SIGNALS = {
    "noise": lambda random, frames: 0.1 * random.standard_normal(frames),
    "offset": lambda random, frames: 0.5 + 1e-3 * random.standard_normal(frames),
    "loud, then quiet": lambda random, frames: (
        random.standard_normal(frames) * np.where(np.arange(frames) < frames // 2, 1.0, 1e-3)
    ),
}


@pytest.fixture(scope="module", autouse=True)
def kernels() -> Any:
    """The module of kernels; skips where numba is not installed."""
    pytest.importorskip("numba")
    return compiled.kernels()


@pytest.fixture
def without_numba(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A patch that takes the compiled loops away; `undo` gives them back."""
    for module in (formats, levels):
        monkeypatch.setattr(module, "kernels", lambda: None)
    return monkeypatch


@pytest.mark.parametrize("name", SIGNALS)
@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
@pytest.mark.parametrize("seconds", [0.4, 1.0, 4.0, 10.03])
def test_weighted_energies_are_those_of_scipy(name: str, rate: int, seconds: float) -> None:
    random = np.random.default_rng(rate)
    samples = SIGNALS[name](random, round(seconds * rate))
    edges = levels._blocks(len(samples), rate).edges
    weighted = sosfilt(levels._k_weighting(rate), samples)[: edges[-1]]
    expected = np.add.reduceat(np.square(weighted), edges[:-1])
    (found,) = levels._weighted_energies(samples[None], rate, edges)
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-13 * expected.max())


@pytest.mark.parametrize("channels", [1, 2])
def test_loudness_is_the_same_without_numba(
    without_numba: pytest.MonkeyPatch, channels: int
) -> None:
    samples = 0.1 * np.random.default_rng(0).standard_normal((channels, 70_000))
    plain = gated_loudness(samples, 16_000)
    without_numba.undo()
    assert gated_loudness(samples, 16_000) == pytest.approx(plain, abs=1e-12)


@pytest.mark.parametrize("name", sorted(FORMATS))
@pytest.mark.parametrize("gain", [1.0, 0.7071])
def test_rounding_is_the_same_without_numba(
    without_numba: pytest.MonkeyPatch, name: str, gain: float
) -> None:
    random = np.random.default_rng(1)
    halves = (np.arange(-9, 10) + 0.5) * FORMATS[name].step
    samples = np.concatenate([random.standard_normal(9981), halves, [1e4, -1e300, -0.0]])
    shaped = samples[: len(samples) // 2 * 2].reshape(2, -1)
    plain = [to_grid(x, FORMATS[name], gain=gain) for x in (samples, shaped, shaped.T)]
    without_numba.undo()
    for x, steps in zip((samples, shaped, shaped.T), plain, strict=True):
        np.testing.assert_array_equal(to_grid(x, FORMATS[name], gain=gain), steps)


@pytest.mark.parametrize("frames", [1, 319, 320, 1601])
@pytest.mark.parametrize("channels", [1, 8])
def test_energies_of_steps_are_exact(
    without_numba: pytest.MonkeyPatch, frames: int, channels: int
) -> None:
    random = np.random.default_rng(2)
    stem, total = random.integers(-(2**23), 2**23, (2, channels, frames)).astype(np.int32)
    expected = [
        [
            sum(int(x) ** 2 for x in part[:, start : start + 320].flat)
            for start in range(0, frames, 320)
        ]
        for part in (stem, total.astype(np.int64) - stem)
    ]
    plain = energies_of_steps(stem, total, 16_000)
    without_numba.undo()
    found = energies_of_steps(stem, total, 16_000)
    np.testing.assert_array_equal(plain, np.array(expected, np.float64))
    np.testing.assert_array_equal(found, np.array(expected, np.float64))
    decoded = energies_of_steps(np.asfortranarray(stem), np.asfortranarray(total), 16_000)
    np.testing.assert_array_equal(decoded, np.array(expected, np.float64))


@pytest.mark.parametrize("frames", [1, 3, 4, 1001])
def test_files_of_24_bits_are_the_same_without_numba(
    without_numba: pytest.MonkeyPatch, frames: int
) -> None:
    steps = np.random.default_rng(3).integers(-(2**23), 2**23, (1, frames)).astype(np.int32)
    samples = file_samples(steps, FORMATS["wav24"])
    plain = encode_wav(samples, 16_000, 24)
    without_numba.undo()
    assert encode_wav(samples, 16_000, 24) == plain


RENDER = """
import sys
from mixgen.render.set import render_set
for name in ("flac16", "wav24", "wav_float"):
    render_set(sys.argv[1], f"{sys.argv[2]}/{name}", sample_format=name)
"""


def run_python(code: str, *words: object, **variables: str) -> str:
    """Run code in a Python process with these environment variables; return its standard error."""
    command = [sys.executable, *([] if code else ["-X", "importtime"]), "-c"]
    done = subprocess.run(
        [*command, code or "from mixgen.cli import main; main()", *map(str, words)],
        env=os.environ | {"NUMBA_DISABLE_JIT": "0"} | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr


def dispatched() -> str:
    """The instructions beyond the least that numpy uses here, as it wants them to be disabled."""
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    return " ".join(name for name in __cpu_dispatch__ if __cpu_features__[name])


def test_sets_are_the_same_without_numba_and_on_other_processors(
    drawn: tuple[Path, Manifest], contents: Contents, tmp_path: Path
) -> None:
    processors = {
        "here": {},
        "without numba": {"NUMBA_DISABLE_JIT": "1"},
        "without vectors": {
            "NUMBA_DISABLE_JIT": "1",
            "NPY_DISABLE_CPU_FEATURES": dispatched(),
            "OPENBLAS_CORETYPE": "Prescott",
        },
        "of another kind": {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""},
    }
    for name, variables in processors.items():
        run_python(RENDER, drawn[0], tmp_path / name, **variables)
    expected = contents(tmp_path / "here")
    assert len(expected) > 50
    assert all(contents(tmp_path / name) == expected for name in processors)


def test_a_short_command_does_not_load_numba() -> None:
    imported = run_python("", "--help")
    assert "mixgen.cli" in imported
    assert "numba" not in imported


def test_a_cache_that_cannot_be_used_only_takes_longer(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("a file where numba wants a folder")
    code = "from mixgen.audio.compiled import kernels; print(kernels().weighted_energies)"
    assert run_python(code, NUMBA_CACHE_DIR=str(blocked / "cache")) == ""
