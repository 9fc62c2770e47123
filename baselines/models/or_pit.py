"""One and rest: a network that splits one talker from a mixture, and is applied to the rest again.

Takahashi, Parthasaarathy, Goswami and Mitsufuji, "Recursive speech separation for unknown number of
speakers", Interspeech 2019 (arXiv 1904.03065). The network is Conv-TasNet with two outputs, y1 for
any talker and y2 for the sum of the others. With l the negative SI-SDR and N talkers, the loss is

    min over i of  l(s_i, y1) + 1 / (N - 1) * l(sum of s_j with j != i, y2),

here divided by two, so that it equals permutation-invariant training at N = 2.

What the paper leaves open, and what differs:
- To which rests training applies the network. Here they are the network's estimates, through which
  no gradient passes, one for each talker that is left.
- When to stop. The paper trains a classifier of the rest. Here, where the number of talkers
  varies, both outputs are trained by FUSS's loss, towards silence where nobody is left, and the
  first estimate that is not above the level in the checkpoint ends the recursion.
- Levels. Without FUSS's loss the estimates are fitted to the mixture.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from baselines.layers.fitted import FittedSeparator
from baselines.losses import EPSILON, fuss_costs, in_full_precision, pairwise_si_sdr_db
from baselines.model import SMALL_SPEECH, ModelSpec
from baselines.models.conv_tasnet import ConvTasNet, ConvTasNetHyperparameters
from baselines.separator import Hyperparameters, require

# Axes: b batch, n_src talkers, channels, time.


@dataclass(frozen=True, kw_only=True)
class ORPITHyperparameters(ConvTasNetHyperparameters):
    """The sizes of Conv-TasNet; n_src is how many estimates the recursion gives at most."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(not self.causal, "A causal network would look further ahead in each recursion.")
        require(
            self.source_names is None,
            "One and rest separates sources in any order, and these have names: use another.",
        )


class ORPIT(FittedSeparator):
    """The paper's recursion over one network with two outputs."""

    hyperparameters_class = ORPITHyperparameters
    silence_tolerance = 0.5

    def __init__(self, hyperparameters: ORPITHyperparameters) -> None:
        super().__init__(hyperparameters)
        self.pair = ConvTasNet(replace(hyperparameters, n_src=2, fewest=None, stream_window_s=None))
        self.idle_parameters = tuple(f"pair.{name}" for name in self.pair.idle_parameters)

    def split(self, mixture: Tensor) -> tuple[Tensor, Tensor]:
        """Return one talker of mixture (b, channels, time), and the rest of it."""
        one, rest = self.pair.network(mixture).unbind(1)
        return one, rest

    def network(self, mixture: Tensor) -> Tensor:
        """Return estimates (b, n_src, channels, time); the last one is the rest of all splits."""
        estimates, rest = [], mixture
        for _ in range(max(self.n_src - 1, 1)):
            one, rest = self.split(rest)
            estimates.append(one)
        return torch.stack([*estimates, rest], dim=1)[:, : self.n_src]

    def levels_db(self, mixture: Tensor, estimates: Tensor) -> Tensor:
        """Return the levels in dB by which the recursion stops: the lowest of all splits so far."""
        return super().levels_db(mixture, estimates).cummin(1).values

    def objective(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the mean loss of all splits; scalar."""
        mixture, references = batch["mixture"], batch["references"]
        require(
            references.ndim == 4,
            "One and rest learns from sources, and those of meetings are on streams: use another.",
        )
        missing = self.n_src - references.shape[1]
        left = functional.pad(references, (0, 0, 0, 0, 0, missing))
        rest, losses = mixture, []
        for _ in range(max(self.n_src - 1, 1)):
            one, rest = self.split(rest)
            costs = one_and_rest_costs(
                references=left, one=one, rest=rest, mixture=mixture, silence=self.counts_vary
            )
            losses.append(costs.min(1).values.mean())
            chosen = functional.one_hot(costs.argmin(1), self.n_src).bool()
            rest, left = rest.detach(), left.masked_fill(chosen[:, :, None, None], 0.0)
        return torch.stack(losses).mean()

    training_loss = objective  # whether or not the number of sources varies


@in_full_precision
def one_and_rest_costs(
    *, references: Tensor, one: Tensor, rest: Tensor, mixture: Tensor, silence: bool
) -> Tensor:
    """Return what it costs in dB to take each source as the one, (b, n_src).

    A source that is silent costs infinity, unless all are.

    Args:
        references: of the sources that are left, shape (b, n_src, channels, time).
        one: estimate of one of them, shape (b, channels, time).
        rest: estimate of the sum of all others, shape (b, channels, time).
        mixture: from which silence is measured, shape (b, channels, time).
        silence: whether what should be silent costs something, by FUSS's loss.
    """
    others = references.sum(1, keepdim=True) - references
    count = _sounding(references).sum(1, keepdim=True)  # (b, 1)
    others = others * (count > 1)[:, :, None, None]  # exactly silent, not a rounding error
    cost = _fuss_costs if silence else _si_sdr_costs
    first, second = cost(references, one, mixture), cost(others, rest, mixture)
    total = first + second / (count - 1).clamp(min=1)
    parts = 2 if silence else 1 + (count > 1).int()
    return torch.where(_sounding(references) | (count == 0), total / parts, torch.inf)


def _sounding(references: Tensor) -> Tensor:
    return references.square().sum((-1, -2)) > EPSILON


def _si_sdr_costs(references: Tensor, estimate: Tensor, _mixture: Tensor) -> Tensor:
    """Return the negative SI-SDR (b, n_src) of one estimate; 0 for references that are silent."""
    si_sdr_db = pairwise_si_sdr_db(references=references, estimates=estimate[:, None])[..., 0]
    return torch.where(_sounding(references), -si_sdr_db, 0.0)


def _fuss_costs(references: Tensor, estimate: Tensor, mixture: Tensor) -> Tensor:
    """Return FUSS's loss (b, n_src) of one estimate (b, channels, time) against each reference."""
    error = (references - estimate[:, None]).square().sum((-1, -2))
    return fuss_costs(error, references=references, mixture=mixture)


OR_PIT = ModelSpec(
    name="or_pit",
    title="One and rest (OR-PIT)",
    task="speech_separation",
    paper="Takahashi et al., Interspeech 2019, arXiv 1904.03065",
    reference_licence="none read: there is no public code",
    separator=ORPIT,
    not_reproduced="The classifier that stops the recursion; the WSJ0-mix scores.",
    tiny=lambda: ORPITHyperparameters(N=32, L=16, B=16, H=32, X=3, R=1),
    training={"batch_size": 4, "segment_s": 4.0, "schedule": "plateau", "average_decay": 0.0},
)


@OR_PIT.variant(parameters=5_050_545)
def paper() -> Hyperparameters:
    """Conv-TasNet's best non-causal network, for up to three talkers."""
    return ORPITHyperparameters(n_src=3)


@OR_PIT.variant("small", **SMALL_SPEECH)
def small() -> Hyperparameters:
    """For laptops: the small Conv-TasNet."""
    return ORPITHyperparameters(N=256, L=64, B=96, H=192, X=5, R=2)
