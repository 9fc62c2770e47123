"""Time-domain SpeakerBeam: a Conv-TasNet that extracts the talker of another recording.

Marc Delcroix, Tsubasa Ochiai, Katerina Zmolikova, Keisuke Kinoshita, Naohiro Tawara, Tomohiro
Nakatani and Shoko Araki, "Improving speaker discrimination of target speech extraction with
time-domain SpeakerBeam", ICASSP 2020 (arXiv 2001.08378). The adaptation by products: Katerina
Zmolikova et al., "SpeakerBeam: Speaker Aware Neural Network for Target Speaker Extraction in Speech
Mixtures", IEEE JSTSP 13(4), 2019.

An auxiliary network, an encoder and one repeat of a Conv-TasNet of its own, turns an enrolment into
one vector, the mean over its frames. Before block `adapt` of the extraction network, the vector
multiplies the residual path and the sum of the skip connections so far. The sizes are those of the
public recipe: 6,704,194 parameters, of which the auxiliary network has 1,719,697.

One network extracts every target, each as if it were alone; the blocks before the product read a
mixture once for all its targets. The number of targets is that of the enrolments.

What the paper leaves open:
- Length of an enrolment: any. The zeros that fill a batch up to its longest enrolment are cut off.
- Level of an enrolment: the auxiliary network's first norm removes it.
- Level of an estimate: each is fitted to the mixture by itself, because SI-SDR determines none.
- First weights: the factors begin near 1, so that training begins with a Conv-TasNet.
- An enrolment without sound names nobody: its estimate is silent.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from baselines.fake_tensors import has_data
from baselines.layers.basis import LearnedAnalysis
from baselines.layers.level import fit_level, fit_level_causally
from baselines.layers.masks import as_masks
from baselines.losses import si_sdr_loss
from baselines.model import SMALL_SPEECH, ModelSpec
from baselines.models.conv_tasnet import (
    ConvTasNetHyperparameters,
    TemporalConvolutions,
    learned_basis,
    pass_blocks,
)
from baselines.separator import Hyperparameters, Separator, require

# Axes: b batch, n_src targets, N basis signals, B residual path, Sc skip path, k frames.


@dataclass(frozen=True, kw_only=True)
class SpeakerBeamHyperparameters(ConvTasNetHyperparameters):
    """Those of Conv-TasNet; the defaults are the sizes of the public recipe."""

    mask: str = "relu"
    adapt: int = 7  # blocks before the product with the vector of the enrolment

    def __post_init__(self) -> None:
        super().__post_init__()
        blocks = self.R * self.X
        require(
            1 <= self.adapt < blocks,
            f"adapt is {self.adapt}; with {blocks} blocks it can be 1 to {blocks - 1}.",
        )
        require(
            self.mask != "softmax",
            "mask is 'softmax', which shares a mixture among its sources; a target is extracted "
            "alone: give 'relu' or 'sigmoid'.",
        )


class AuxiliaryNetwork(nn.Module):
    """An enrolment in, the factors of the residual and of the skip path out.

    It is never causal: the whole enrolment is known before the mixture begins.
    """

    def __init__(self, h: SpeakerBeamHyperparameters) -> None:
        super().__init__()
        sizes = ConvTasNetHyperparameters(N=h.N, B=h.B, H=h.H, Sc=h.Sc, P=h.P, X=h.X, R=1)
        self.analysis = LearnedAnalysis(
            channels=1, N=h.N, L=h.L, S=h.stride, padding=h.padding, relu=h.encoder == "relu"
        )
        self.convolutions = TemporalConvolutions(sizes, outputs=h.B + h.Sc)
        self.convolutions.output.bias.data.fill_(1.0)  # type: ignore[union-attr]

    def forward(self, enrolments: Tensor) -> Tensor:
        """Return factors (b, B + Sc) of recordings (b, 1, time)."""
        w = self.analysis.encode(enrolments)  # (b, N, k)
        factors: Tensor = self.convolutions(w).mean(-1)
        return factors


class SpeakerBeam(Separator):
    """The paper's system, trained by the SI-SDR of every target."""

    hyperparameters_class = SpeakerBeamHyperparameters
    inputs = ("enrolment",)
    learns_silence = True

    def __init__(self, hyperparameters: SpeakerBeamHyperparameters) -> None:
        super().__init__(hyperparameters)
        h = self.h = hyperparameters
        self.causal = h.causal
        self.look_ahead = h.L - 1 if h.causal else None
        self.silence_tolerance = 0.0 if h.causal else 0.5
        self.basis = learned_basis(h)
        self.extraction = TemporalConvolutions(h, outputs=h.N)
        self.auxiliary = AuxiliaryNetwork(h)
        self.idle_parameters = (
            *self.extraction.idle_parameters("extraction"),
            *self.auxiliary.convolutions.idle_parameters("auxiliary.convolutions"),
        )

    # `inputs` announces the second argument to callers.
    def forward(self, mixture: Tensor, enrolment: Tensor) -> Tensor:  # type: ignore[override]
        """Extract a talker for every enrolment from mixture (b, channels, time).

        Args:
            mixture: shape (b, channels, time).
            enrolment: shape (b, n_src, channels, time_e), with any number of targets and channels;
                shorter ones are followed by zeros.

        Returns:
            Estimates in the order of the enrolments, shape (b, n_src, channels, time).

        Raises:
            UsageError: the mixture or the enrolments have another shape.
        """
        self.check_mixture(mixture)
        shape, batch = tuple(enrolment.shape), len(mixture)
        if shape[:2] == (batch, 0):  # nobody to extract
            return mixture.new_zeros(batch, 0, *mixture.shape[1:])
        require(
            enrolment.ndim == 4 and shape[0] == batch and 0 not in shape,
            f"The enrolments have shape {shape}; {batch} mixtures take ({batch}, n_src, channels, "
            "time) with at least one sample.",
        )
        sounding = enrolment.any(-1).any(-1)[..., None, None]  # (b, n_src, 1, 1)
        estimates = self.network(mixture, enrolment)
        fit = fit_level_causally if self.causal else fit_level
        each = mixture.repeat_interleave(estimates.shape[1], 0)  # (b * n_src, channels, time)
        return sounding * fit(each, estimates.flatten(0, 1)[:, None]).reshape(estimates.shape)

    def network(self, mixture: Tensor, enrolment: Tensor) -> Tensor:
        """Return estimates (b, n_src, channels, time) at the level of the network's output."""
        h, n_src = self.h, enrolment.shape[1]
        factors = self.factors(enrolment)[..., None]  # (b, n_src, B + Sc, 1)
        of_residual, of_skip = factors.split([h.B, h.Sc], 2)
        w = self.basis.encode(mixture)  # (b, N, k)
        blocks = self.extraction.blocks
        x, total = pass_blocks(blocks[: h.adapt], *self.extraction.begin(w))  # (b, B or Sc, k)
        x = (x[:, None] * of_residual).flatten(0, 1)  # (b * n_src, B, k)
        total = (total[:, None] * of_skip).flatten(0, 1)  # (b * n_src, Sc, k)
        _, total = pass_blocks(blocks[h.adapt :], x, total)
        scores = self.extraction.end(total).unflatten(0, (-1, n_src))  # (b, n_src, N, k)
        return self.basis.decode(w[:, None] * as_masks(scores, h.mask), mixture.shape[-1])

    def factors(self, enrolment: Tensor) -> Tensor:
        """Return the factors (b, n_src, B + Sc) of enrolments (b, n_src, channels, time_e)."""
        recordings = enrolment.mean(2).flatten(0, 1)  # (b * n_src, time_e)
        lengths = sounding_lengths(recordings)
        groups = [[i for i, n in enumerate(lengths) if n == length] for length in set(lengths)]
        found = [self.auxiliary(recordings[rows, None, : lengths[rows[0]]]) for rows in groups]
        order = torch.tensor([row for rows in groups for row in rows]).argsort()
        factors: Tensor = torch.cat(found)[order].unflatten(0, enrolment.shape[:2])
        return factors

    def training_loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the negative SI-SDR of a batch in dB, mean over all targets; scalar."""
        return si_sdr_loss(
            references=batch["references"],
            estimates=self.network(batch["mixture"], batch["enrolment"]),
            named=True,
        )


def sounding_lengths(recordings: Tensor) -> list[int]:
    """Return how many samples of recordings (b, time) remain without the zeros at their end.

    A recording without any other sample keeps one.
    """
    if not has_data(recordings):
        return [recordings.shape[1]] * len(recordings)
    numbers = torch.arange(1, recordings.shape[1] + 1, device=recordings.device)
    last = (numbers * (recordings != 0)).amax(1)
    return [max(length, 1) for length in last.tolist()]


SPEAKERBEAM = ModelSpec(
    name="speakerbeam",
    title="TD-SpeakerBeam",
    task="target_speaker",
    paper="Delcroix et al., ICASSP 2020, arXiv 2001.08378",
    reference_licence=(
        "BUTSpeechFIT/speakerbeam (evaluation only), its sizes alone; none of its code was taken"
    ),
    separator=SpeakerBeam,
    not_reproduced="The multi-channel system; the loss that identifies the talker.",
    tiny=lambda: SpeakerBeamHyperparameters(N=32, L=16, B=16, H=32, Sc=16, X=3, R=2, adapt=2),
    training={
        "batch_size": 6,
        "segment_s": 3.0,
        "optimizer": "adam",
        "weight_decay": 0.0,
        "schedule": "plateau",
        "warmup": 0.0,
        "average_decay": 0.0,
    },
)


@SPEAKERBEAM.variant(parameters=6_704_194)
def published() -> Hyperparameters:
    """The sizes of the public recipe, for one talker out of two."""
    return SpeakerBeamHyperparameters()


@SPEAKERBEAM.variant("small", **SMALL_SPEECH)
def small() -> Hyperparameters:
    """For laptops: frames four times as long, and fewer, narrower blocks."""
    return SpeakerBeamHyperparameters(N=256, L=64, B=96, H=192, Sc=96, X=5, R=2, adapt=4)
