"""The promises of every registered separator, checked by the same tests for all of them.

Models with parameters are checked in their tiny size, except where the size matters.
"""

import json

import pytest
import torch
from torch import Tensor

from baselines.fake_tensors import without_data
from baselines.inference.describe import SYSTEMS_FILE
from baselines.inference.long import separate_long
from baselines.layers.fitted import FittedSeparator
from baselines.losses import pairwise_si_sdr_db, si_sdr_loss
from baselines.registry import build, model_spec, models, names
from baselines.registry import variant as find_variant
from baselines.separator import Separator
from mixgen.core.errors import UsageError
from tests.baselines.conftest import (
    GetBuilt,
    MakeReferences,
    Separate,
    batch_of,
    inputs_for,
)

TINY = [f"{name}:tiny" for name, model in models().items() if model.tiny]
UNTRAINED = [name for name in names() if model_spec(name).tiny is None]
SMALL = [name for name in names() if name.endswith(":small")]
EVERY_MODEL = [*TINY, *UNTRAINED]
# All samples of a longer look-ahead are tried on tiny models only.
SHORT_LOOK_AHEAD = 64


@pytest.mark.parametrize("time", [1, 2, 15, 257, 4801])
@pytest.mark.parametrize("name", EVERY_MODEL)
def test_same_length_out_and_finite(
    separator: Separator, time: int, separate: Separate, references_for: MakeReferences
) -> None:
    references = references_for(separator, time)
    estimates = separate(separator, references.sum(1), references)
    assert estimates.shape == references.shape
    assert torch.isfinite(estimates).all()


@pytest.mark.parametrize("name", SMALL)
def test_every_small_variant_separates(
    separator: Separator, separate: Separate, references_for: MakeReferences
) -> None:
    references = references_for(separator, 500, batch=1)
    estimates = separate(separator, references.sum(1), references)
    assert estimates.shape == references.shape
    assert torch.isfinite(estimates).all()


def test_every_variant_has_its_published_size() -> None:
    """The table of systems, which a test of the tables builds again, has the counts."""
    rows = json.loads(SYSTEMS_FILE.read_text(encoding="utf-8"))
    assert [row["name"] for row in rows] == names()
    for row in rows:
        published = find_variant(row["name"]).parameters
        assert published in (row["parameters"], None), row["name"]
        assert (row["parameters"] > 0) == (row["name"] not in UNTRAINED)


def test_every_trained_system_declares_a_published_size() -> None:
    """That of its plain variant, or of its first one if it has none."""
    for name, model in models().items():
        first = model.variants.get(name) or next(iter(model.variants.values()))
        assert (first.parameters is not None) == (model.tiny is not None), name


@pytest.mark.parametrize("name", [name for name in models() if models()[name].tiny])
def test_every_trained_system_has_a_small_variant(name: str) -> None:
    assert f"{name}:small" in names()


@pytest.mark.parametrize("name", EVERY_MODEL)
def test_silence_stays_finite(separator: Separator, separate: Separate) -> None:
    references = torch.zeros(1, separator.n_src, separator.channels, 3000)
    assert torch.isfinite(separate(separator, references.sum(1), references)).all()


@pytest.mark.parametrize("name", EVERY_MODEL)
def test_mixtures_of_a_batch_are_independent(
    separator: Separator, separate: Separate, references_for: MakeReferences
) -> None:
    references = references_for(separator, 3000)
    together = separate(separator, references.sum(1), references)
    alone = separate(separator, references[1:].sum(1), references[1:])
    torch.testing.assert_close(together[1:], alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", EVERY_MODEL)
def test_evaluation_is_deterministic(
    separator: Separator, separate: Separate, references_for: MakeReferences
) -> None:
    references = references_for(separator, 3000)
    first = separate(separator, references.sum(1), references)
    assert torch.equal(first, separate(separator, references.sum(1), references))


@pytest.mark.parametrize("name", TINY)
def test_every_parameter_is_trained(name: str, references_for: MakeReferences) -> None:
    separator = build(name).train()
    references = references_for(separator, 4200)
    loss = separator.training_loss(batch_of(separator, references))
    assert loss.ndim == 0
    loss.backward()
    gradients = {key: parameter.grad for key, parameter in separator.named_parameters()}
    untouched = {key for key, grad in gradients.items() if grad is None or not grad.any()}
    assert untouched == set(separator.idle_parameters)
    assert all(grad.isfinite().all() for grad in gradients.values() if grad is not None)


@pytest.mark.parametrize("name", [*TINY, *SMALL])
def test_segments_with_silent_references_train_without_nan(
    name: str, references_for: MakeReferences
) -> None:
    """The small variants are checked too because some have another loss."""
    separator = build(name).train()
    references = references_for(separator, 4200)
    references[0, 0] = 0
    references[1] = 0
    separator.training_loss(batch_of(separator, references)).backward()
    gradients = [parameter.grad for parameter in separator.parameters()]
    assert all(grad.isfinite().all() for grad in gradients if grad is not None)


def _may_be_silent(separator: Separator) -> bool:
    """Whether it takes mixtures of varying counts, and needs nothing beside them."""
    named = separator.source_names is not None
    return not (named or separator.inputs or separator.assigns_whole_bins)


@pytest.mark.parametrize("name", [name for name in TINY if _may_be_silent(build(name))])
def test_sets_of_varying_counts_train_without_nan(
    name: str, references_for: MakeReferences
) -> None:
    """No, one and two sources of up to three; the gradient reaches the estimates of all."""
    separator = build(name, n_src=3, fewest=0)
    references = references_for(separator, 4200, batch=3)[:, :2]
    references[0] = 0
    references[1, 1] = 0
    noise = 0.01 * torch.randn(references[:, 0].shape)
    batch = {"mixture": references.sum(1) + noise, "references": references}
    separator.objective(batch).backward()
    gradients = [p.grad for p in separator.parameters() if p.grad is not None]
    assert gradients
    assert all(grad.isfinite().all() for grad in gradients)
    separator.eval()
    with torch.no_grad():
        estimates = separator(batch["mixture"])
    assert separator.active(batch["mixture"], estimates).shape == (3, 3)


@pytest.mark.parametrize("name", UNTRAINED)
def test_training_a_separator_without_parameters_is_refused(separator: Separator) -> None:
    with pytest.raises(UsageError, match="no parameters to train"):
        separator.training_loss({})


LIMITED = [
    name
    for name in [*EVERY_MODEL, *names()]
    if (spec := model_spec(name)).separator.look_ahead is not None or spec.tiny is not None
]


@pytest.mark.parametrize("name", LIMITED)
def test_no_estimate_depends_on_more_of_the_future_than_declared(
    name: str, separate: Separate, references_for: MakeReferences, built: GetBuilt
) -> None:
    """Changing the mixture at t changes nothing before t - look_ahead, and does change that.

    Of systems that are not causal, the tiny size stands for all.
    """
    with without_data():
        fake = build(name)
    assert fake.look_ahead is not None or not fake.causal
    if fake.look_ahead is None or not (fake.causal or name in EVERY_MODEL):
        return
    separator, look_ahead = built(name), fake.look_ahead
    references = references_for(separator, 700 + look_ahead, batch=1)
    mixture = references.sum(1)
    before = separate(separator, mixture, references)
    every = look_ahead <= SHORT_LOOK_AHEAD or name in TINY
    last = 400 + look_ahead
    reach = []
    for t in range(400, last + 1) if every else (400, last // 2, last):
        altered = mixture.clone()
        altered[..., t] += 1.0
        changed = (separate(separator, altered, references) != before).any(1).any(1)[0]
        reach.append(t - int(changed.nonzero()[0]))
    assert max(reach) == look_ahead if every else max(reach) <= look_ahead
    assert separator.latency_s == look_ahead / separator.sample_rate


@pytest.mark.parametrize("name", [name for name in TINY if build(name).receptive_field is not None])
def test_the_receptive_field_is_what_is_declared(
    separator: Separator, separate: Separate, references_for: MakeReferences
) -> None:
    field, look_ahead = separator.receptive_field, separator.look_ahead
    assert field is not None
    assert look_ahead is not None
    references = references_for(separator, 3 * field + 100, batch=1)
    mixture = references.sum(1)
    before = separate(separator, mixture, references)
    altered = mixture.clone()
    t = mixture.shape[-1] // 2
    altered[..., t] += 1.0
    changed = (separate(separator, altered, references) != before).any(1).any(1)[0].nonzero()
    assert int(changed[0]) >= t - look_ahead
    assert int(changed[-1]) <= t - look_ahead + field - 1


@pytest.mark.parametrize("name", TINY)
def test_silence_after_the_mixture_changes_no_more_than_declared(
    separator: Separator, separate: Separate, references_for: MakeReferences
) -> None:
    references = references_for(separator, 4000, batch=1)
    longer = torch.nn.functional.pad(references, (0, 2000))
    alone = separate(separator, references.sum(1), references)
    followed = separate(separator, longer.sum(1), longer)[..., :4000]
    change = float((followed - alone).abs().max() / alone.abs().max())
    assert change <= max(separator.silence_tolerance, 1e-5)


@pytest.mark.parametrize("name", TINY)
def test_other_precisions_agree(
    name: str, references_for: MakeReferences, separate: Separate
) -> None:
    """Double within 0.1 % of the peak, autocast to bfloat16 within 10 % of the energy.

    Where bins are assigned as a whole, an estimate can jump: there the losses agree within 5 %.
    """
    separator = build(name).eval()
    references = references_for(separator, 3000)
    batch = batch_of(separator, references)
    estimates = separate(separator, batch["mixture"], references)
    loss = separator.training_loss(batch)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = separate(separator, batch["mixture"], references)
        rounded_loss = separator.training_loss(batch)
        rounded_loss.backward()
    if separator.assigns_whole_bins:
        assert abs(rounded_loss - loss) <= 0.05 * abs(loss)
    else:
        assert (rounded - estimates).square().sum() <= 0.1 * estimates.square().sum()
    double = separate(separator.double(), batch["mixture"].double(), references.double())
    assert (double - estimates).abs().max() <= 1e-3 * estimates.abs().max()


def _steps(separator: Separator, references: Tensor, count: int, rate: float = 1e-2) -> None:
    """Train on one batch for some steps."""
    separator.train()
    optimizer = torch.optim.Adam(separator.parameters(), rate)
    batch = batch_of(separator, references)
    for _ in range(count):
        optimizer.zero_grad()
        separator.training_loss(batch).backward()
        optimizer.step()
    separator.eval()


def _tones(separator: Separator, time: int = 2000) -> Tensor:
    """One tone per source with a slow beat, far apart: (1, n_src, channels, time)."""
    time_s = torch.arange(time) / 8000
    tones = [
        0.2
        * torch.sin(2 * torch.pi * (250 + 800 * n) * time_s + n)
        * (1.5 + torch.sin(40 * time_s))
        for n in range(separator.n_src)
    ]
    return torch.stack(tones)[None, :, None].repeat(1, 1, separator.channels, 1)


@pytest.mark.parametrize("name", TINY)
def test_the_same_seed_trains_to_the_same_weights(name: str) -> None:
    ends = []
    for _ in range(2):
        torch.manual_seed(3)
        separator = build(name)
        _steps(separator, _tones(separator), count=2)
        ends.append(separator.state_dict())
    assert all(torch.equal(value, ends[1][key]) for key, value in ends[0].items())


@pytest.mark.parametrize("name", TINY)
def test_estimates_have_the_level_of_the_sources(name: str, separate: Separate) -> None:
    """After 50 steps from output weights that are ten times too large.

    Where a loss is blind to level and offset, the fit to the mixture has to find them. The SNR may
    be 1 dB below that of the best gain per estimate where the SI-SDR is 6 dB or more, 3.1 dB below
    elsewhere, and more where the level is right within 0.5 dB all the same.
    """
    torch.manual_seed(2)
    separator = build(name)
    weights = [parameter for parameter in separator.parameters() if parameter.ndim > 1]
    weights[-1].data *= 10
    references = _tones(separator)
    _steps(separator, references, count=50)
    estimates = separate(separator, references.sum(1), references)
    peak = references.sum(1).abs().max()
    assert estimates.abs().max() <= 1.5 * peak
    if isinstance(separator, FittedSeparator):  # other losses see an offset, and unlearn it
        assert (estimates.mean(-1).abs() <= 0.05 * references.sum(1).std()).all()
    if separator.source_names is None:
        si_sdr_db = pairwise_si_sdr_db(references=references, estimates=estimates)
        estimates = estimates[:, si_sdr_db[0].argmax(1)]
    gain = (references * estimates).sum((-1, -2)) / estimates.square().sum((-1, -2))
    snr_db = _snr_db(references, estimates)
    best_db = _snr_db(references, gain[..., None, None] * estimates)
    is_near_best = snr_db >= best_db - torch.where(best_db >= 6, 1.0, 3.1)
    is_level_right = (gain > 10 ** (-0.5 / 20)) & (gain < 10 ** (0.5 / 20))
    assert (is_near_best | is_level_right).all(), (snr_db, best_db)


def _snr_db(references: Tensor, estimates: Tensor) -> Tensor:
    error = (references - estimates).square().sum((-1, -2))
    return 10 * torch.log10(references.square().sum((-1, -2)) / error)


@pytest.mark.parametrize("name", TINY)
def test_one_batch_is_learned_by_heart(name: str, separate: Separate) -> None:
    """More than 15 dB of improvement, whatever the loss."""
    torch.manual_seed(2)
    separator = build(name)
    references = _tones(separator)
    mixture = references.sum(1)
    named = separator.source_names is not None
    start_db = -si_sdr_loss(
        references=references, estimates=mixture[:, None].expand_as(references), named=named
    )
    for _ in range(12):
        _steps(separator, references, count=25)
        estimates = separate(separator, mixture, references)
        gained_db = -si_sdr_loss(references=references, estimates=estimates, named=named) - start_db
        if gained_db > 15:
            return
    pytest.fail(f"{name} gained {gained_db:.1f} dB only")


@pytest.mark.parametrize("name", EVERY_MODEL)
def test_configuration_rebuilds_the_model(
    separator: Separator, separate: Separate, references_for: MakeReferences
) -> None:
    config = json.loads(json.dumps(separator.config))
    rebuilt = type(separator).from_config(config).eval()
    rebuilt.load_state_dict(separator.state_dict())
    assert rebuilt.config == separator.config
    assert rebuilt.source_names == separator.source_names
    references = references_for(separator, 3000)
    mixture = references.sum(1)
    expected = separate(separator, mixture, references)
    assert torch.equal(separate(rebuilt, mixture, references), expected)


@pytest.mark.parametrize("name", EVERY_MODEL)
def test_unknown_hyperparameters_are_refused(separator: Separator) -> None:
    with pytest.raises(UsageError, match="has no hyperparameter wings"):
        type(separator).from_config({"wings": 2})


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("name", EVERY_MODEL)
def test_fits_the_number_of_sources_and_channels_of_a_set(
    name: str,
    channels: int,
    separate: Separate,
    references_for: MakeReferences,
    built: GetBuilt,
) -> None:
    named = built(name).source_names is not None
    fit = {"source_names": ("speech", "music", "noise")} if named else {"n_src": 3}
    separator = build(name, channels=channels, sample_rate=16000, **fit).eval()
    references = references_for(separator, 700, batch=1)
    assert references.shape[1:3] == (3, channels)
    assert separator.sample_rate == 16000
    assert separate(separator, references.sum(1), references).shape == references.shape


@pytest.mark.parametrize("name", EVERY_MODEL)
def test_wrong_channels_are_refused_in_one_sentence(
    separator: Separator, separate: Separate
) -> None:
    references = torch.zeros(1, separator.n_src, separator.channels + 1, 100)
    with pytest.raises(UsageError, match="this model takes"):
        separate(separator, references.sum(1), references)


@pytest.mark.parametrize("name", EVERY_MODEL)
def test_a_short_recording_is_separated_whole(
    separator: Separator, separate: Separate, references_for: MakeReferences
) -> None:
    references = references_for(separator, 3001, batch=1)
    mixture = references.sum(1)
    whole = separate(separator, mixture, references)
    assert torch.equal(separate_long(separator, mixture, inputs_for(separator, references)), whole)


@pytest.mark.parametrize("name", names())
def test_registration_says_where_a_system_comes_from(name: str) -> None:
    model = model_spec(name)
    assert model.title
    assert model.paper
    assert model.reference_licence
    assert model.not_reproduced
    assert model.variants[name].summary
