"""One and rest: its loss against permutation-invariant training, its recursion, and its stop."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from baselines.losses import pairwise_si_sdr_db, si_sdr_loss
from baselines.models.or_pit import ORPIT, one_and_rest_costs
from baselines.registry import build
from baselines.separator import Separator
from mixgen.core.errors import UsageError
from tests.baselines.conftest import TrainOnTones


def costs(references: Tensor, estimates: Tensor, *, silence: bool = False) -> Tensor:
    one, rest = estimates.unbind(1)
    mixture = references.sum(1)
    return one_and_rest_costs(
        references=references, one=one, rest=rest, mixture=mixture, silence=silence
    )


def test_of_two_talkers_the_loss_is_that_of_permutation_invariant_training() -> None:
    references, estimates = torch.randn(4, 2, 1, 900), torch.randn(4, 2, 1, 900)
    estimates[1] += references[1].flip(0)
    ours = costs(references, estimates).min(1).values.mean()
    theirs = si_sdr_loss(references=references, estimates=estimates, named=False)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


def test_the_rest_of_three_talkers_is_the_sum_of_two() -> None:
    references = torch.randn(1, 3, 1, 900)
    estimates = torch.stack([references[0, 1], references[0, 0] + references[0, 2]])[None]
    estimates = estimates + 0.1 * torch.randn_like(estimates)
    found = costs(references, estimates)[0]
    assert int(found.argmin()) == 1
    si_sdr_db = [
        float(pairwise_si_sdr_db(references=s[None, None], estimates=e[None, None]))
        for s, e in zip([references[0, 1], references[0, [0, 2]].sum(0)], estimates[0], strict=True)
    ]
    assert float(found[1]) == pytest.approx(-(si_sdr_db[0] + si_sdr_db[1] / 2) / 2, abs=1e-3)


def test_where_one_talker_is_left_the_rest_should_be_silent() -> None:
    references = torch.zeros(1, 3, 1, 900)
    references[0, 2] = torch.randn(1, 900)
    right = torch.stack([references[0, 2], 0 * references[0, 2]])[None]
    repeated = torch.stack([references[0, 2], references[0, 2]])[None]
    quiet, loud = (costs(references, e, silence=True)[0] for e in (right, repeated))
    assert int(quiet.argmin()) == 2
    assert quiet[:2].isinf().all()
    assert loud[2] - quiet[2] > 9  # half of 20 dB


def test_where_nobody_is_left_both_should_be_silent() -> None:
    nobody, noise = torch.zeros(1, 3, 1, 900), torch.randn(1, 1, 900)

    def cost(one: Tensor, rest: Tensor) -> float:
        found = one_and_rest_costs(
            references=nobody, one=one, rest=rest, mixture=noise, silence=True
        )
        return float(found.min())

    assert cost(0 * noise, 0 * noise) < cost(noise, 0 * noise) - 9
    assert cost(0 * noise, 0 * noise) < cost(0 * noise, noise) - 9
    assert float(costs(nobody, torch.randn(1, 2, 1, 900)).min()) == 0


class Bands(ORPIT):
    """Takes what is below the lowest band with energy from the rest, as a perfect network would."""

    def split(self, mixture: Tensor) -> tuple[Tensor, Tensor]:
        spectrum = torch.fft.rfft(mixture)
        first = (spectrum.abs() > 1e-3 * mixture.shape[-1]).float().argmax(-1, keepdim=True)
        below = torch.arange(spectrum.shape[-1]) < first + 50
        one = torch.fft.irfft(spectrum * below, n=mixture.shape[-1])
        return one, mixture - one


def test_the_recursion_ends_with_the_first_estimate_that_is_not_active() -> None:
    h = build("or_pit:tiny", n_src=4, fewest=0).hyperparameters
    separator = Bands(h).eval()
    time_s = torch.arange(8000) / 8000
    tones = [torch.sin(2 * torch.pi * hz * time_s)[None, None] for hz in (400, 900, 1700)]
    for count in range(4):
        mixture = sum(tones[:count], start=torch.zeros(1, 1, 8000))
        estimates = separator(mixture)
        active = separator.active(mixture, estimates)[0].tolist()
        assert active == [True] * count + [False] * (4 - count)
        for tone, estimate in zip(tones[:count], estimates[0], strict=False):
            torch.testing.assert_close(estimate, tone[0], rtol=0, atol=1e-3)


def test_no_estimate_is_active_behind_one_that_is_not() -> None:
    separator = build("or_pit:tiny", n_src=4, fewest=0)
    mixture = torch.randn(1, 1, 900)
    estimates = torch.tensor([1.0, 0.01, 1.0, 0.5])[None, :, None, None] * mixture[:, None]
    assert separator.active(mixture, estimates)[0].tolist() == [True, False, False, False]
    levels_db = separator.levels_db(mixture, estimates)[0].tolist()
    assert all(after <= before for before, after in pairwise(levels_db))


def test_one_network_serves_any_number_of_talkers() -> None:
    sizes = {sum(p.numel() for p in build("or_pit", n_src=n).parameters()) for n in (1, 2, 5)}
    assert sizes == {5_050_545}


def test_sources_with_names_and_streams_are_refused() -> None:
    with pytest.raises(UsageError, match="these have names"):
        build("or_pit:tiny", source_names=("speech", "noise"))
    streams: Separator = build("or_pit:tiny", fewest=0)
    batch = {"mixture": torch.zeros(1, 1, 90), "references": torch.zeros(1, 1, 2, 1, 90)}
    with pytest.raises(UsageError, match="are on streams"):
        streams.objective(batch)


def test_three_talkers_are_learned(train_on_tones: TrainOnTones) -> None:
    separator = build("or_pit:tiny", n_src=3)
    tones_hz = [torch.tensor([[250.0, 1050.0, 1900.0]])] * 30
    losses = train_on_tones(separator, tones_hz, 1e-2)
    assert losses[-1] < losses[0] - 5
