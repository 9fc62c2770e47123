"""Batched metrics beside the metrics of single pairs, with finite and right gradients."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fast_bss_eval
import numpy as np
import pytest
import torch
from scipy import signal
from torch import Tensor

from baselines.layers.permutation import assigned_cost
from baselines.losses import si_sdr_loss
from evalsuite import batched
from evalsuite.metrics import evaluate, meeting
from evalsuite.metrics.museval_v4 import frame_sdr
from evalsuite.metrics.si_sdr import LIMIT_DB
from mixgen.audio.read import read_audio
from mixgen.core.errors import InputError
from tests.evalsuite.metrics.conftest import Array

RATE = 8000
SHAPE = (2, 3, 2, 2 * RATE + 100)  # batch, n_src, channels, time

# Columns of one pair, and the batched function of the same name.
COLUMNS: dict[str, tuple[str, Callable[..., Tensor]]] = {
    "si_sdr": ("si_sdr", batched.si_sdr),
    "si_sdr_nozm": ("si_sdr_nozm", batched.si_sdr_nozm),
    "snr": ("snr", batched.snr),
    "sd_sdr": ("sd_sdr", batched.sd_sdr),
    "sdr_bss512": ("bss512", batched.sdr_bss512),
}
FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    **{column: function for column, (_, function) in COLUMNS.items()},
    "sdr_v4": lambda **signals: batched.sdr_v4(sample_rate=RATE, **signals),
    "sa_sdr": batched.sa_sdr,
}
GAINS = (0.5, 0.03, 1e-3)


def noise(seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(SHAPE) + 0.1


def band(_: pytest.FixtureRequest) -> Array:
    """Telephone band: the matrices of delayed references are near singular."""
    telephone = signal.butter(8, [300, 3400], "bandpass", fs=RATE, output="sos")
    return np.asarray(0.1 * signal.sosfilt(telephone, noise()))


def speech(request: pytest.FixtureRequest) -> Array:
    real_data: Path = request.getfixturevalue("real_data")
    folder = real_data / "speech" / "librispeech-resemblyzer" / "test-other"
    parts = [read_audio(file)[0][0] for file in sorted(folder.glob("*/*.flac"))[::5]]
    long = [part[: SHAPE[-1]] for part in parts if len(part) >= SHAPE[-1]]
    return np.stack(long[: 2 * 3 * 2]).reshape(SHAPE)


MATERIAL: dict[str, Callable[[pytest.FixtureRequest], Array]] = {
    "noise": lambda _: noise(),
    "band": band,
    "speech": speech,
}


def leaky(references: Array, gain: float) -> Array:
    """Estimates of the references with leakage of others, and late leakage of themselves."""
    leakage = np.roll(references, 1, axis=1) + 0.3 * np.roll(references, 3, axis=-1)
    return 0.8 * references + gain * leakage


def tensors(*arrays: Array, grad: bool = False) -> list[Tensor]:
    return [torch.from_numpy(array.copy()).requires_grad_(grad) for array in arrays]


@pytest.mark.parametrize("gain", GAINS)
@pytest.mark.parametrize("material", MATERIAL)
def test_values_are_those_of_single_pairs(
    material: str, gain: float, request: pytest.FixtureRequest
) -> None:
    references = MATERIAL[material](request)
    estimates = leaky(references, gain)
    s, e = tensors(references, estimates)
    found = {column: f(references=s, estimates=e) for column, (_, f) in COLUMNS.items()}
    frames = batched.sdr_v4(references=s, estimates=e, sample_rate=RATE)
    aggregated = batched.sa_sdr(references=s, estimates=e.flip(1))
    assert frames.shape == (2, 3, 2)
    for b, (ours, theirs) in enumerate(zip(references, estimates, strict=True)):
        scores = evaluate(
            references=ours,
            estimates=list(theirs),
            sample_rate=RATE,
            names=["a", "b", "c"],
            metrics=[metric for metric, _ in COLUMNS.values()],
        )
        for column, values in found.items():
            expected = [row.values[column] for row in scores.references]
            assert values[b].tolist() == pytest.approx(expected, abs=1e-9)
        for i, (reference, estimate) in enumerate(zip(ours, theirs, strict=True)):
            expected = frame_sdr(reference=reference, estimate=estimate, sample_rate=RATE)
            assert frames[b, i].tolist() == pytest.approx(expected.tolist(), abs=1e-9)
        total = meeting.sa_sdr(references=list(ours), estimates=list(theirs))
        assert aggregated[b].item() == pytest.approx(total, abs=1e-9)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_signals_without_channels_are_those_with_one(name: str) -> None:
    references = noise()[:, :, 0]
    s, e = tensors(references, leaky(references, 0.5))
    mono = FUNCTIONS[name](references=s, estimates=e, mono=True)
    expected = FUNCTIONS[name](references=s[:, :, None], estimates=e[:, :, None])
    assert torch.equal(mono, expected)


def test_pairs_broadcast() -> None:
    """One call compares all pairs, of which the best permutation is found."""
    s, e = tensors(noise(), leaky(noise(), 0.5)[:, ::-1])
    for function in (batched.si_sdr, batched.snr, batched.sd_sdr, batched.sdr_bss512):
        pairs = function(references=s[:, :, None], estimates=e[:, None])
        assert pairs.shape == (2, 3, 3)
        expected = function(references=s, estimates=e.flip(1))
        best = -assigned_cost(-pairs, named=False)
        torch.testing.assert_close(best, expected, rtol=0, atol=1e-9)


def test_sa_sdr_counts_missing_and_surplus_estimates_as_the_metric_does() -> None:
    references, estimates = noise(), leaky(noise(), 0.5)[:, ::-1]
    s, e = tensors(references, estimates)
    for n_ref, n_est in ((3, 2), (2, 3), (3, 1), (1, 3)):
        found = batched.sa_sdr(references=s[:, :n_ref], estimates=e[:, :n_est])
        expected = [
            meeting.sa_sdr(references=list(ours[:n_ref]), estimates=list(theirs[:n_est]))
            for ours, theirs in zip(references, estimates, strict=True)
        ]
        assert found.tolist() == pytest.approx(expected, abs=1e-9)


def test_sa_sdr_of_named_sources_and_of_one_mixture() -> None:
    s, e = tensors(noise(), leaky(noise(), 0.5))
    crossed = batched.sa_sdr(references=s, estimates=e.flip(1), named=True)
    assert (crossed < batched.sa_sdr(references=s, estimates=e, named=True) - 3).all()
    one = batched.sa_sdr(references=s[0], estimates=e[0])
    assert one.shape == ()
    assert one == batched.sa_sdr(references=s, estimates=e)[0]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_are_right(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of both signals, compared with differences; the filter is shorter to save time."""
    monkeypatch.setattr(batched, "TAPS", 4)
    generator = torch.Generator().manual_seed(0)
    s, e = torch.randn(2, 1, 2, 2, 24, dtype=torch.float64, generator=generator)
    e = (s + 0.5 * e).requires_grad_()
    s.requires_grad_()

    def score(references: Tensor, estimates: Tensor) -> Tensor:
        function = FUNCTIONS[name]
        if name == "sdr_v4":
            return batched.sdr_v4(references=references, estimates=estimates, sample_rate=12)
        return function(references=references, estimates=estimates)

    assert torch.autograd.gradcheck(score, (s, e))


def test_the_gradient_of_bss512_is_that_of_fast_bss_eval() -> None:
    """Which differentiates the solution of the normal equations."""
    s, e = tensors(noise()[..., :4000], leaky(noise(), 0.5)[..., :4000], grad=True)
    batched.sdr_bss512(references=s, estimates=e).sum().backward()
    theirs_s, theirs_e = (x.detach()[..., 0, :].clone().requires_grad_() for x in (s, e))
    loss = fast_bss_eval.sdr_loss(theirs_e, theirs_s, clamp_db=None, load_diag=None)
    # The mean over two channels halves each gradient.
    (-loss.sum() / 2).backward()
    for ours, theirs in ((s, theirs_s), (e, theirs_e)):
        assert ours.grad is not None
        scale = theirs.grad.abs().max()
        torch.testing.assert_close(
            ours.grad[..., 0, :] / scale, theirs.grad / scale, rtol=0, atol=1e-9
        )


DEGENERATE: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "silent reference": (torch.zeros_like, lambda s: s.clone()),
    "silent estimate": (lambda s: s, torch.zeros_like),
    "both silent": (torch.zeros_like, torch.zeros_like),
    "constant reference": (torch.ones_like, lambda s: s.clone()),
    "constant estimate": (lambda s: s, torch.ones_like),
    "perfect": (lambda s: s, lambda s: s.clone()),
    "scaled": (lambda s: s, lambda s: 3 * s),
    "faint": (lambda s: 1e-30 * s, lambda s: 1e-30 * (s + s.flip(1))),
    "loud": (lambda s: 1e30 * s, lambda s: 1e30 * (s + s.flip(1))),
    "one silent": (lambda s: s * torch.tensor([1.0, 0, 1])[:, None, None], lambda s: s + s.flip(1)),
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("case", DEGENERATE)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_are_finite(name: str, case: str, dtype: torch.dtype) -> None:
    reference, estimate = DEGENERATE[case]
    s = torch.from_numpy(noise()[..., : RATE // 4]).to(dtype)
    s, e = (make(s).to(dtype).clone().requires_grad_() for make in (reference, estimate))
    scores = FUNCTIONS[name](references=s, estimates=e)
    assert scores.dtype == dtype
    assert not scores.isinf().any()
    scores.nanmean().backward()
    assert s.grad is not None
    assert e.grad is not None
    assert s.grad.isfinite().all()
    assert e.grad.isfinite().all()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_where_there_is_no_ratio(name: str) -> None:
    s = torch.from_numpy(noise()[..., :RATE])
    function, zero = FUNCTIONS[name], torch.zeros((*SHAPE[:3], RATE), dtype=torch.float64)
    limit = 150.0 if name == "sdr_bss512" else LIMIT_DB
    silence = 0.0 if name in ("snr", "sdr_v4", "sa_sdr") else -limit
    assert (function(references=s, estimates=s) == limit).all()
    assert function(references=zero, estimates=s).isnan().all()
    assert function(references=zero, estimates=zero).isnan().all()
    silent = function(references=s, estimates=zero)
    torch.testing.assert_close(silent, torch.full_like(silent, silence), rtol=0, atol=1e-12)
    assert function(references=s, estimates=s * torch.nan).isnan().all()
    assert function(references=s * torch.nan, estimates=s).isnan().all()


def test_a_nan_in_more_sources_than_are_permuted_exhaustively_gives_nan() -> None:
    s = torch.randn(2, 5, 1, 100)
    e = s.clone()
    e[0, 3, 0, 7] = torch.nan
    found = batched.sa_sdr(references=s, estimates=e)
    assert found.isnan().tolist() == [True, False]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_float32_is_near(name: str) -> None:
    """At scores below 60 dB."""
    s, e = tensors(noise(), leaky(noise(), 0.01))
    exact = FUNCTIONS[name](references=s, estimates=e)
    assert exact.max() < 60
    single = FUNCTIONS[name](references=s.float(), estimates=e.float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), exact, rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(name: str, dtype: torch.dtype) -> None:
    s, e = (x.to(dtype) for x in tensors(noise(), leaky(noise(), 0.5)))
    expected = FUNCTIONS[name](references=s.float(), estimates=e.float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = FUNCTIONS[name](references=s, estimates=e)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


def test_references_of_few_tones_have_the_value_of_the_metric() -> None:
    """Their matrices have no Cholesky factor without a load; only the metric refines filters."""
    time_s = np.arange(RATE) / RATE
    tone = np.sin(2 * np.pi * 440 * time_s) * np.sin(np.pi * time_s) ** 2
    estimate = tone + 0.1 * np.random.default_rng(0).standard_normal(RATE)
    pair = {"references": tone[None, None], "estimates": estimate[None, None]}
    expected = evaluate(**pair, sample_rate=RATE, metrics=["bss512"])
    assert expected.notes == {"bss512_solver": "loaded cholesky"}
    found = batched.sdr_bss512(**{k: torch.from_numpy(v) for k, v in pair.items()})
    assert found.item() == pytest.approx(expected.references[0].values["sdr_bss512"], abs=1e-2)


BAD: dict[str, tuple[Any, Any, str]] = {
    "integers": (torch.ones(2, 1, 600, dtype=torch.int64), torch.ones(2, 1, 600), "torch.int64"),
    "arrays": (np.ones((2, 1, 600)), np.ones((2, 1, 600)), "convert them"),
    "lengths": (torch.ones(2, 1, 600), torch.ones(2, 1, 599), "the same channels and time"),
    "channels": (torch.ones(2, 1, 600), torch.ones(2, 2, 600), "the same channels and time"),
    "sources": (torch.ones(2, 3, 1, 600), torch.ones(3, 3, 1, 600), "axes that broadcast"),
    "axes": (torch.ones(600), torch.ones(600), "channels, time"),
    "empty": (torch.ones(2, 1, 0), torch.ones(2, 1, 0), "cut or reshape"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_bad_input_is_one_sentence(name: str, case: str) -> None:
    references, estimates, what = BAD[case]
    with pytest.raises(InputError, match=what) as error:
        FUNCTIONS[name](references=references, estimates=estimates)
    assert "\n" not in str(error.value)


def test_signals_shorter_than_the_filter_are_refused() -> None:
    s = torch.ones(2, 1, 511)
    with pytest.raises(InputError, match="511 samples, and the filter of sdr_bss512 has 512"):
        batched.sdr_bss512(references=s, estimates=s)


def test_the_training_loss_of_the_documentation(request: pytest.FixtureRequest) -> None:
    """It is the loss of `baselines`, without the constant that keeps that finite."""
    page = (request.config.rootpath / "docs" / "metrics.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"## As a training loss.*?```python\n(.*?)```", page, re.DOTALL)
    s, e = tensors(noise(), leaky(noise(), 0.5)[:, ::-1])
    names = {"references": s, "estimates": e.requires_grad_()}
    exec(example, names)
    assert e.grad is not None
    assert e.grad.abs().max() > 0
    expected = si_sdr_loss(references=s, estimates=e, named=False)
    assert names["loss"].item() == pytest.approx(expected.item(), abs=1e-9)


def test_nothing_else_imports_torch() -> None:
    code = "import sys, evalsuite.metrics as m; m.table(); print('torch' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (answer.stdout, answer.stderr) == ("False\n", "")


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_evaluate_takes_tensors(grad: bool, dtype: torch.dtype) -> None:
    references = noise()[0][..., :RATE]
    pair = tensors(references, leaky(noise(), 0.5)[0][..., :RATE])
    s, e = (x.to(dtype).requires_grad_(grad) for x in pair)
    plain = {"references": s.detach().double().numpy(), "estimates": e.detach().double().numpy()}
    metrics = ["si_sdr", "sa_sdr", "der"]
    expected = evaluate(
        references=plain["references"],
        estimates=list(plain["estimates"]),
        mixture=plain["references"].sum(axis=0),
        sample_rate=RATE,
        metrics=metrics,
    )
    for estimates in (e, list(e), [*e[:2], e[2].detach().double().numpy()]):
        for given in (s, list(s)):
            found = evaluate(
                references=given,
                estimates=estimates,
                mixture=s.double().sum(0),
                sample_rate=RATE,
                metrics=metrics,
            )
            assert found == expected
