"""Multi-decoder DPRNN: one trunk, a decoder for each number of talkers, and a head that counts.

Zhu, Yeh and Hasegawa-Johnson, "Multi-decoder DPRNN: source separation for variable number of
speakers", ICASSP 2021 (arXiv 2011.12022). The sizes are those of the authors' recipe in asteroid.
Every block of the trunk is decoded in training: with r of R blocks passed, the loss adds r / R of

    N * mean SI-SDR loss of the decoder for the true number N + 0.05 * cross entropy of the count.

The trunk's layers are DPRNN's; `mulcat` has two BLSTMs per layer, whose outputs are multiplied and
joined with the input (Nachmani, Adi and Wolf, ICML 2020, arXiv 2003.01531).

What the paper leaves open: padding is DPRNN's; the estimates are fitted to the mixture's level. A
mixture of no talkers has a class of the count and no decoder. An estimate that the count leaves out
is silent, and no level decides on it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.layers.activity import SILENT_DB
from baselines.layers.basis import LearnedBasis
from baselines.layers.dual_path import overlap_add, segment
from baselines.layers.dual_path_separator import sequences
from baselines.layers.level import fit_level
from baselines.layers.masks import as_masks
from baselines.layers.norms import AxesNorm, global_norm
from baselines.losses import EPSILON, si_sdr_loss
from baselines.model import SMALL_SPEECH, ModelSpec
from baselines.models.dprnn import DPRNNHyperparameters, RecurrentPath
from baselines.separator import Hyperparameters, Separator, require

# Axes: b batch, N basis signals, B bottleneck, k frames, K frames of a chunk, S chunks.
COUNT_WEIGHT = 0.05


@dataclass(frozen=True, kw_only=True)
class MultiDecoderHyperparameters(DPRNNHyperparameters):
    """The defaults are those of the recipe in asteroid; counts are from `fewest` to n_src."""

    N: int = 64
    L: int = 8
    B: int = 128
    K: int = 128
    R: int = 8
    encoder: str = "linear"
    mask: str = "sigmoid"
    bias: bool = True
    mulcat: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.source_names is None,
            "The decoders separate sources in any order, and these have names: use another.",
        )

    @property
    def counts(self) -> range:
        """Numbers of sources that the head tells apart."""
        return range(self.n_src if self.fewest is None else self.fewest, self.n_src + 1)


class MulCatPath(nn.Module):
    """The product of two BLSTMs beside their input, a linear layer and a gLN."""

    def __init__(self, h: MultiDecoderHyperparameters, within_chunks: bool) -> None:
        super().__init__()
        self.within_chunks = within_chunks
        self.blstm = nn.LSTM(h.B, h.H, batch_first=within_chunks, bidirectional=True)
        self.gate = nn.LSTM(h.B, h.H, batch_first=within_chunks, bidirectional=True)
        self.linear = nn.Linear(2 * h.H + h.B, h.B)
        self.norm = AxesNorm(h.B, axes=(0, 2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Return x (S, b, K, B) plus what the path adds to it."""
        given = sequences(x, self.within_chunks)
        product = self.blstm(given)[0] * self.gate(given)[0]  # (..., ..., 2 * H)
        added: Tensor = self.norm(self.linear(torch.cat([product, given], -1)).view_as(x))
        return x + added


class Trunk(nn.Module):
    """Norm, bottleneck, chunks, and R blocks of a path within and a path across chunks."""

    def __init__(self, h: MultiDecoderHyperparameters) -> None:
        super().__init__()
        self.h = h
        path: Callable[[MultiDecoderHyperparameters, bool], nn.Module] = (
            MulCatPath if h.mulcat else RecurrentPath
        )
        self.norm = global_norm(h.N)
        self.bottleneck = nn.Conv1d(h.N, h.B, 1, bias=h.bias)
        self.blocks = nn.ModuleList(
            nn.Sequential(*(path(h, within) for within in (True, False))) for _ in range(h.R)
        )

    def forward(self, w: Tensor) -> list[Tensor]:
        """Return the chunks (b, B, K, S) after every block, for weights w (b, N, k)."""
        chunks = segment(self.bottleneck(self.norm(w)), self.h.K, self.h.margin)  # (b, B, K, S)
        x = chunks.permute(3, 0, 2, 1).contiguous()  # (S, b, K, B)
        stages = []
        for block in self.blocks:
            x = block(x)
            stages.append(x.permute(1, 3, 2, 0))
        return stages


class Decoder(nn.Module):
    """Masks and a synthesis for one number of sources."""

    def __init__(self, h: MultiDecoderHyperparameters, n_src: int) -> None:
        super().__init__()
        self.h, self.n_src = h, n_src
        self.prelu = nn.PReLU()
        self.output = nn.Conv2d(h.B, n_src * h.B, 1)
        self.value = nn.Conv1d(h.B, h.B, 1)
        self.gate = nn.Conv1d(h.B, h.B, 1)
        self.mask = nn.Conv1d(h.B, h.N, 1, bias=False)
        self.synthesis = nn.ConvTranspose1d(h.N, h.channels, h.L, h.S, bias=False)

    def forward(self, chunks: Tensor, w: Tensor) -> Tensor:
        """Return weights (b, n_src, N, k) of the sources.

        Args:
            chunks: of a block, shape (b, B, K, S).
            w: of the mixture, shape (b, N, k).
        """
        y = self.output(self.prelu(chunks)).unflatten(1, (self.n_src, self.h.B)).flatten(0, 1)
        y = overlap_add(y, w.shape[-1], self.h.margin)  # (b * n_src, B, k)
        y = self.mask(self.value(y).tanh() * self.gate(y).sigmoid())
        scores: Tensor = y.unflatten(0, (-1, self.n_src))  # (b, n_src, N, k)
        return w[:, None] * as_masks(scores, self.h.mask)


class MultiDecoderDPRNN(Separator):
    """The paper's system."""

    hyperparameters_class = MultiDecoderHyperparameters
    silence_tolerance = 0.5

    def __init__(self, hyperparameters: MultiDecoderHyperparameters) -> None:
        super().__init__(hyperparameters)
        h = self.h = hyperparameters
        self.basis = LearnedBasis(
            channels=h.channels, N=h.N, L=h.L, S=h.S, padding=h.padding, relu=h.encoder == "relu"
        )
        del self.basis.decoder  # each decoder has its own synthesis
        self.trunk = Trunk(h)
        self.decoders = nn.ModuleDict({str(n): Decoder(h, n) for n in h.counts if n})
        if len(h.counts) > 1:
            self.widen = nn.Conv2d(h.B, h.N, 1)
            self.classes = nn.Conv2d(h.N, len(h.counts), 1)

    def scores(self, chunks: Tensor) -> Tensor:
        """Return a score for each possible number of sources, (b, counts)."""
        if len(self.h.counts) == 1:
            return chunks.new_zeros(len(chunks), 1)
        pooled = self.widen(chunks).mean((-1, -2), keepdim=True).relu()
        classes: Tensor = self.classes(pooled).flatten(1)
        return classes

    def decode(self, chunks: Tensor, w: Tensor, count: int, time: int) -> Tensor:
        """Return the estimates (b, count, channels, time) of one decoder."""
        decoder = self.decoders[str(count)]
        assert isinstance(decoder, Decoder)
        return self.basis.decode(decoder(chunks, w), time, decoder.synthesis)

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate mixture (b, channels, time) into (b, n_src, channels, time)."""
        self.check_mixture(mixture)
        w = self.basis.encode(mixture)  # (b, N, k)
        chunks = self.trunk(w)[-1]
        counts = self.counts_of(chunks)
        estimates = mixture.new_zeros(len(mixture), self.n_src, *mixture.shape[1:])
        for count in set(counts) - {0}:
            of = [item for item, number in enumerate(counts) if number == count]
            found = self.decode(chunks[of], w[of], count, mixture.shape[-1])
            estimates[of, :count] = fit_level(mixture[of], found)
        return estimates

    def counts_of(self, chunks: Tensor) -> list[int]:
        """Return the number of sources of each mixture: `count` if it is given, else the head's."""
        if self.count is not None:
            return [min(max(self.count, self.h.counts[0]), self.n_src)] * len(chunks)
        if len(self.h.counts) == 1:
            return [self.n_src] * len(chunks)
        return [self.h.counts[0] + index for index in self.scores(chunks).argmax(1).tolist()]

    def levels_db(self, mixture: Tensor, estimates: Tensor) -> Tensor:
        """Return the mixture's level for what the count includes, and that of silence."""
        found = super().levels_db(mixture, estimates) > SILENT_DB
        return torch.where(found, 0.0, SILENT_DB)

    def objective(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the sum of the losses of all blocks; scalar."""
        mixture, references = batch["mixture"], batch["references"]
        require(
            references.ndim == 4,
            "The head counts sources, and those of meetings are on streams: use another system.",
        )
        w = self.basis.encode(mixture)
        sounding = references.square().sum((-1, -2)) > EPSILON  # (b, references)
        counts = sounding.sum(1).clamp(min=self.h.counts[0])
        total = mixture.new_zeros(())
        for number, chunks in enumerate(self.trunk(w), start=1):
            scores = self.scores(chunks).float()
            loss = COUNT_WEIGHT * functional.cross_entropy(scores, counts - self.h.counts[0])
            for count in counts.unique().tolist():
                if count:
                    of = counts == count
                    found = self.decode(chunks[of], w[of], count, mixture.shape[-1])
                    own = _first(references[of], sounding[of], count)
                    share = float(of.float().mean())
                    loss = loss + share * count * si_sdr_loss(
                        references=own, estimates=found, named=False
                    )
            total = total + number / self.h.R * loss
        return total

    training_loss = objective  # whether or not the number of sources varies


def _first(references: Tensor, sounding: Tensor, count: int) -> Tensor:
    """Return `count` references, (b, count, channels, time), those that sound before silent ones.

    `sounding` (b, n_src) tells which are which; silent references complete fewer than `count`.
    """
    missing = max(count - references.shape[1], 0)
    padded = functional.pad(references, (0, 0, 0, 0, 0, missing))
    silent = functional.pad(~sounding, (0, missing), value=True)
    order = silent.int().argsort(dim=1, stable=True)
    return padded.take_along_dim(order[:, :count, None, None], dim=1)


MULTI_DECODER_DPRNN = ModelSpec(
    name="multi_decoder_dprnn",
    title="Multi-decoder DPRNN",
    task="speech_separation",
    paper="Zhu, Yeh and Hasegawa-Johnson, ICASSP 2021, arXiv 2011.12022",
    reference_licence="the recipe in asteroid (MIT), read for sizes and losses",
    separator=MultiDecoderDPRNN,
    not_reproduced="The WSJ0-mix scores and counts (the corpus is not free).",
    tiny=lambda: MultiDecoderHyperparameters(N=32, L=16, B=16, H=16, K=16, R=2),
    training={
        "optimizer": "adam",
        "weight_decay": 0.0,
        "batch_size": 2,
        "segment_s": 4.0,
        "schedule": "plateau",
        "average_decay": 0.0,
    },
)


@MULTI_DECODER_DPRNN.variant(parameters=5_173_064)
def paper() -> Hyperparameters:
    """The recipe in asteroid: two to five talkers."""
    return MultiDecoderHyperparameters(n_src=5, fewest=2)


@MULTI_DECODER_DPRNN.variant("mulcat", parameters=9_662_280)
def mulcat() -> Hyperparameters:
    """With multiplied BLSTMs: two to five talkers."""
    return MultiDecoderHyperparameters(n_src=5, fewest=2, mulcat=True)


@MULTI_DECODER_DPRNN.variant("small", **SMALL_SPEECH)
def small() -> Hyperparameters:
    """For laptops: longer basis signals, and fewer, narrower blocks."""
    return MultiDecoderHyperparameters(N=128, L=64, B=64, H=64, K=40, R=3)
