"""The promises of every registered separator, checked by the same tests for all of them.

Models with parameters are checked in their tiny size, except where the size matters.
"""

import json

import pytest
import torch

from baselines.inference.long import separate_long
from baselines.registry import build, model_spec, models, names
from baselines.separator import Separator
from mixgen.core.errors import UsageError
from tests.baselines.conftest import GetBuilt, MakeReferences, Separate

TINY = [f"{name}:tiny" for name, model in models().items() if model.tiny]
UNTRAINED = [name for name in names() if model_spec(name).tiny is None]
EVERY_MODEL = [*TINY, *UNTRAINED]


@pytest.mark.parametrize("time", [1, 2, 15, 257, 4801])
@pytest.mark.parametrize("name", EVERY_MODEL)
def test_same_length_out_and_finite(
    separator: Separator, time: int, separate: Separate, references_for: MakeReferences
) -> None:
    references = references_for(separator, time)
    estimates = separate(separator, references.sum(1), references)
    assert estimates.shape == references.shape
    assert torch.isfinite(estimates).all()


@pytest.mark.parametrize("name", names())
def test_every_variant_separates(
    separator: Separator, separate: Separate, references_for: MakeReferences
) -> None:
    references = references_for(separator, 500, batch=1)
    estimates = separate(separator, references.sum(1), references)
    assert estimates.shape == references.shape
    assert torch.isfinite(estimates).all()


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
    loss = separator.training_loss({"mixture": references.sum(1), "references": references})
    assert loss.ndim == 0
    loss.backward()
    gradients = {key: parameter.grad for key, parameter in separator.named_parameters()}
    untouched = {key for key, grad in gradients.items() if grad is None or not grad.any()}
    assert untouched == set(separator.idle_parameters)
    assert all(grad.isfinite().all() for grad in gradients.values() if grad is not None)


@pytest.mark.parametrize("name", [*TINY, *(name for name in names() if name.endswith(":small"))])
def test_segments_with_silent_references_train_without_nan(
    name: str, references_for: MakeReferences
) -> None:
    """The small variants are checked too because some have another loss."""
    separator = build(name).train()
    references = references_for(separator, 4200)
    references[0, 0] = 0
    references[1] = 0
    separator.training_loss({"mixture": references.sum(1), "references": references}).backward()
    gradients = [parameter.grad for parameter in separator.parameters()]
    assert all(grad.isfinite().all() for grad in gradients if grad is not None)


@pytest.mark.parametrize("name", UNTRAINED)
def test_training_a_separator_without_parameters_is_refused(separator: Separator) -> None:
    with pytest.raises(UsageError, match="no parameters to train"):
        separator.training_loss({})


@pytest.mark.parametrize("name", names())
def test_no_estimate_depends_on_more_of_the_future_than_declared(
    separator: Separator, separate: Separate, references_for: MakeReferences
) -> None:
    """Changing the mixture at t changes nothing before t - look_ahead, and does change that."""
    if separator.look_ahead is None:
        assert not separator.causal
        assert separator.latency_s is None
        return
    references = references_for(separator, 700, batch=1)
    mixture = references.sum(1)
    before = separate(separator, mixture, references)
    reach = []
    for t in range(400, 400 + separator.look_ahead + 1):
        altered = mixture.clone()
        altered[..., t] += 1.0
        changed = (separate(separator, altered, references) != before).any(1).any(1)[0]
        reach.append(t - int(changed.nonzero()[0]))
    assert max(reach) == separator.look_ahead
    assert separator.latency_s == separator.look_ahead / separator.sample_rate


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


@pytest.mark.parametrize("name", [name for name in names() if ":" not in name])
def test_paper_configuration_has_the_published_size(separator: Separator, name: str) -> None:
    parameters = sum(parameter.numel() for parameter in separator.parameters())
    assert parameters == (model_spec(name).expected_parameters or 0)


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
    given = references if separator.uses_references else None
    whole = separate(separator, mixture, references)
    assert torch.equal(separate_long(separator, mixture, given, chunk_s=1.0, overlap_s=0.2), whole)


@pytest.mark.parametrize("name", names())
def test_registration_says_where_a_system_comes_from(name: str) -> None:
    model = model_spec(name)
    assert model.title
    assert model.paper
    assert model.reference_licence
    assert model.not_reproduced
    assert model.variants[name].summary
