"""SkiM: an LSTM per segment, and memory LSTMs that skip from segment to segment.

Chenda Li, Lei Yang, Weiqin Wang and Yanmin Qian, "SkiM: Skipping Memory LSTM for Low-Latency
Real-Time Continuous Speech Separation", ICASSP 2022 (arXiv 2201.10800).

A learned basis encodes the mixture. Every block reads segments of K frames independently of each
other (segment LSTM); its last hidden and cell states of all segments form two short sequences,
which the memory LSTMs read, and from which the next block starts in each segment.

The causal system streams exactly: `SkimStream` takes blocks of any length and returns what `Skim`
returns for the whole recording. A segment starts from the memory of the segments before it, and
norms read one frame. The other system reads segments that overlap by half, in both directions, with
norms over a segment.

What the paper leaves open follows ESPnet's recipes for WSJ0-2mix, whose weights load:
- Padding (`padding`, see `baselines.layers.basis`); the published causal variants pad nothing in
  front, as ESPnet does. Zeros complete the last segment. ESPnet adds a segment of zeros where none
  is needed, which changes the estimates of the system that is not causal.
- A memory is its input plus norm, projection and dropout of an LSTM, as in a block.
- Level. SI-SDR determines none: estimates are fitted to the mixture, in the causal system at each
  sample to the mixture so far.

For several channels, each basis signal has one filter per channel.

The training here has the recipe's optimiser, segments and batch, and halts by steps or minutes; its
rate falls by 0.7 after each validation without a better one. Xavier initialisation is left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.layers.basis import PADDINGS, LearnedBasis
from baselines.layers.dual_path import overlap_add, segment
from baselines.layers.fitted import FittedSeparator
from baselines.layers.level import CausalFit
from baselines.layers.norms import GlobalNorm
from baselines.model import SMALL_SPEECH, Imported, ModelSpec, Weights, check_arguments, renamed
from baselines.separator import Hyperparameters, require

# Axes: b batch, n_src, N basis signals, k frames, K frames of a segment, s segments, H hidden,
# d directions, width features of a sequence.
States = tuple[Tensor, Tensor]  # hidden and cell states of an LSTM, each (d, b, H)

CHOICES = {"memory": ("hc", "h", "c", "id"), "padding": PADDINGS}
EPSILON = torch.finfo(torch.float32).eps


@dataclass(frozen=True, kw_only=True)
class SkimHyperparameters(Hyperparameters):
    """Sizes of the basis and the network; the defaults are those of the non-causal system."""

    N: int = 64  # basis signals of the encoder
    L: int = 2  # length of a basis signal in samples
    S: int = 1  # stride in samples
    H: int = 128  # hidden units of an LSTM, per direction
    K: int = 250  # frames of a segment
    blocks: int = 6
    memory: str = "hc"  # the states that memory LSTMs read; id: they are passed on unchanged
    dropout: float = 0.1
    causal: bool = False
    overlap: bool = True  # segments overlap by half
    padding: str = "both"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_choices(**CHOICES)
        require(1 <= self.S <= self.L, f"S is {self.S}; it can be 1 to L={self.L}.")
        self.check_least(1, "blocks")
        require(
            self.K >= 1 and (self.K % 2 == 0 or not self.overlap),
            f"K is {self.K}; it must be 1 or more, and even for segments that overlap by half.",
        )
        require(
            not (self.causal and self.overlap),
            "Overlapping segments read later frames, which a causal SkiM cannot; give "
            "overlap=False.",
        )

    @property
    def directions(self) -> int:
        """1 for LSTMs that read forwards, 2 for those that read both ways."""
        return 1 if self.causal else 2


class ResidualLstm(nn.Module):
    """LSTM, dropout, projection and norm, added to the input."""

    def __init__(self, h: SkimHyperparameters, width: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(width, h.H, batch_first=True, bidirectional=not h.causal)
        self.dropout = nn.Dropout(h.dropout)
        self.project = nn.Linear(h.directions * h.H, width)
        self.norm = nn.LayerNorm(width, eps=EPSILON) if h.causal else GlobalNorm(width, EPSILON)

    def forward(self, x: Tensor, states: States | None = None) -> tuple[Tensor, States]:
        """Map x (b, time, width), from initial states or zeros, to its shape and last states."""
        y, states = self.lstm(x, states)  # (b, time, d * H)
        return x + self.norm(self.project(self.dropout(y))), states


class Memory(nn.Module):
    """LSTMs over the states in which the segments end."""

    def __init__(self, h: SkimHyperparameters) -> None:
        super().__init__()
        self.kind = h.memory
        width = h.directions * h.H
        if h.memory in ("hc", "h"):
            self.hidden = ResidualLstm(h, width)
        if h.memory in ("hc", "c"):
            self.cell = ResidualLstm(h, width)

    def forward(
        self, hidden: Tensor, cell: Tensor, before: "MemoryStates"
    ) -> tuple[Tensor, Tensor, "MemoryStates"]:
        """Map states of successive segments (b, s, width), and return the memories' last states.

        `before` holds the memories' states before the first segment.
        """
        if self.kind == "id":
            return hidden, cell, before
        of_hidden, of_cell = before
        if self.kind == "c":
            hidden = torch.zeros_like(hidden)
        else:
            hidden, of_hidden = self.hidden(hidden, of_hidden)
        if self.kind == "h":
            cell = torch.zeros_like(cell)
        else:
            cell, of_cell = self.cell(cell, of_cell)
        return hidden, cell, (of_hidden, of_cell)


MemoryStates = tuple[States | None, States | None]


@dataclass
class Position:
    """How far a stream has come: the states of every block, and frames of the segment so far."""

    blocks: list[States | None]
    memories: list[MemoryStates]
    frames: int = 0


class Separation(nn.Module):
    """Blocks of segment LSTMs with memories between them, and one mask per source."""

    def __init__(self, h: SkimHyperparameters) -> None:
        super().__init__()
        self.h = h
        self.blocks = nn.ModuleList(ResidualLstm(h, h.N) for _ in range(h.blocks))
        self.memories = nn.ModuleList(Memory(h) for _ in range(h.blocks - 1))
        self.prelu = nn.PReLU()
        self.output = nn.Conv1d(h.N, h.n_src * h.N, 1)

    def forward(self, w: Tensor) -> Tensor:
        """Return masks (b, n_src, N, k) for the mixture's weights w (b, N, k)."""
        batch, _, k = w.shape
        x = self._segments(w)  # (b * s, K, N)
        states = None
        for index, block in enumerate(self.blocks):
            x, states = block(x, states)
            if index < len(self.memories):
                states = self._remember(index, states, batch)
        x = x.unflatten(0, (batch, -1))  # (b, s, K, N)
        if self.h.overlap:
            return self._masks(overlap_add(x.permute(0, 3, 2, 1), k))
        return self._masks(x.flatten(1, 2)[:, :k].transpose(1, 2))

    def start(self) -> Position:
        """Return the position before the first frame."""
        return Position([None] * len(self.blocks), [(None, None)] * len(self.memories))

    def advance(self, w: Tensor, position: Position) -> Tensor:
        """Return the masks (b, n_src, N, k) of the next frames (b, N, k); move the position."""
        remaining = w.transpose(1, 2)  # (b, k, N)
        pieces = []
        while remaining.shape[1]:
            if position.frames == self.h.K:
                self._begin_segment(position)
            x, remaining = remaining.tensor_split([self.h.K - position.frames], dim=1)
            position.frames += x.shape[1]
            for index, block in enumerate(self.blocks):
                x, position.blocks[index] = block(x, position.blocks[index])
            pieces.append(x)
        return self._masks(torch.cat(pieces, 1).transpose(1, 2))

    def _segments(self, w: Tensor) -> Tensor:
        """Cut w (b, N, k) into segments (b * s, K, N)."""
        if self.h.overlap:
            return segment(w, self.h.K).permute(0, 3, 2, 1).flatten(0, 1)
        missing = -w.shape[-1] % self.h.K
        return functional.pad(w, (0, missing)).transpose(1, 2).reshape(-1, self.h.K, self.h.N)

    def _remember(self, index: int, states: States, batch: int) -> States:
        """Return the states in which the segments of the next block start, each (d, b * s, H)."""
        hidden, cell = (
            state.transpose(0, 1).reshape(batch, -1, state.shape[0] * self.h.H) for state in states
        )  # (b, s, d * H)
        hidden, cell, _ = self.memories[index](hidden, cell, (None, None))
        if self.h.causal:  # a segment starts from the memory of the segments before it
            hidden, cell = (functional.pad(state[:, :-1], (0, 0, 1, 0)) for state in (hidden, cell))
        return self._as_states(hidden), self._as_states(cell)

    def _as_states(self, sequence: Tensor) -> Tensor:
        """Turn (b, s, d * H) into states (d, b * s, H)."""
        states = sequence.reshape(-1, self.h.directions, self.h.H)  # (b * s, d, H)
        return states.transpose(0, 1).contiguous()

    def _begin_segment(self, position: Position) -> None:
        ended = position.blocks
        position.blocks = [None] * len(ended)
        position.frames = 0
        for index, memory in enumerate(self.memories):
            states = ended[index]
            assert states is not None
            hidden, cell, position.memories[index] = memory(
                *(state.transpose(0, 1) for state in states), position.memories[index]
            )  # one segment: (b, 1, H)
            position.blocks[index + 1] = (self._as_states(hidden), self._as_states(cell))

    def _masks(self, x: Tensor) -> Tensor:
        """Return masks (b, n_src, N, k) of x (b, N, k)."""
        masks: Tensor = self.output(self.prelu(x))  # (b, n_src * N, k)
        masks = masks.unflatten(1, (self.h.n_src, -1))
        return masks.relu()


class Skim(FittedSeparator):
    """The paper's system, trained by permutation-invariant SI-SDR."""

    hyperparameters_class = SkimHyperparameters

    def __init__(self, hyperparameters: SkimHyperparameters) -> None:
        super().__init__(hyperparameters)
        h = self.h = hyperparameters
        # A frame's weights depend on all its L samples, so an estimate depends on L - 1 later ones.
        self.causal = h.causal
        self.look_ahead = h.L - 1 if h.causal else None
        self.silence_tolerance = 0.0 if h.causal else 1.0
        self.basis = LearnedBasis(
            channels=h.channels, N=h.N, L=h.L, S=h.S, padding=h.padding, relu=True
        )
        self.separation = Separation(h)

    def network(self, mixture: Tensor) -> Tensor:
        """Return estimates (b, n_src, channels, time) at the level of the network's output."""
        w = self.basis.encode(mixture)  # (b, N, k)
        d = w[:, None] * self.separation(w)  # (b, n_src, N, k)
        return self.basis.decode(d, mixture.shape[-1])

    def stream(self, batch: int = 1) -> "SkimStream":
        """Return a stream that separates `batch` recordings block by block.

        Raises:
            UsageError: the system is not causal.
        """
        require(self.causal, "Only a causal SkiM separates block by block: skim:causal.")
        return SkimStream(self, batch)


class SkimStream:
    """Separates blocks of a recording, of any lengths; together the estimates are those of `Skim`.

    An estimate is returned once the mixture has L - 1 samples more, at most.
    """

    def __init__(self, separator: Skim, batch: int) -> None:
        h = separator.h
        parameter = next(separator.parameters())
        self.separator = separator.eval()
        self.position = separator.separation.start()
        self.fit = CausalFit()
        self.samples = 0  # of the recording so far
        self.padding, _ = separator.basis.framing(0)  # zeros before it, of no estimate
        # Padded mixture from the first sample of the next frame.
        self.unread = parameter.new_zeros(batch, h.channels, self.padding)
        # Mixture from the first sample without an estimate.
        self.unfitted = parameter.new_zeros(batch, h.channels, 0)
        # Sums of basis signals to which the next frame adds.
        self.unfinished = parameter.new_zeros(batch, h.n_src, h.channels, h.L - h.S)

    @torch.no_grad()
    def push(self, block: Tensor) -> Tensor:
        """Take a block (b, channels, time) and return the estimates that it completes.

        They continue those of the calls before: (b, n_src, channels, time), which may be empty.
        """
        self.samples += block.shape[-1]
        self.unfitted = torch.cat([self.unfitted, block], -1)
        return self._fitted(self._decoded(block))

    @torch.no_grad()
    def flush(self) -> Tensor:
        """End the recording and return the last estimates (b, n_src, channels, time)."""
        _, after = self.separator.basis.framing(self.samples)
        zeros = self.unfitted.new_zeros(*self.unfitted.shape[:2], after)
        decoded = torch.cat([self._decoded(zeros), self.unfinished], -1)
        return self._fitted(decoded[..., : self.unfitted.shape[-1]])

    def _decoded(self, block: Tensor) -> Tensor:
        """Return the network's output of which no later frame is a part."""
        h, basis = self.separator.h, self.separator.basis
        self.unread = torch.cat([self.unread, block], -1)
        frames = max(0, (self.unread.shape[-1] - h.L) // h.S + 1)
        if not frames:
            return self.unfinished[..., :0]
        w = basis.encoder(self.unread[..., : (frames - 1) * h.S + h.L]).relu()  # (b, N, frames)
        self.unread = self.unread[..., frames * h.S :]
        d = w[:, None] * self.separator.separation.advance(w, self.position)
        decoded: Tensor = basis.decoder(d.flatten(0, 1)).unflatten(0, d.shape[:2])
        decoded[..., : h.L - h.S] += self.unfinished
        finished, self.unfinished = decoded.tensor_split([frames * h.S], -1)
        padding = min(self.padding, frames * h.S)
        self.padding -= padding
        return finished[..., padding:]

    def _fitted(self, decoded: Tensor) -> Tensor:
        """Return the decoded samples at the level of the mixture."""
        mixture, self.unfitted = self.unfitted.tensor_split([decoded.shape[-1]], -1)
        return decoded if self.separator.counts_vary else self.fit(mixture, decoded)


SKIM = ModelSpec(
    name="skim",
    title="SkiM",
    task="speech_separation",
    paper="Li, Yang, Wang and Qian, ICASSP 2022, arXiv 2201.10800",
    reference_licence="ESPnet (Apache-2.0), compared on copied weights",
    separator=Skim,
    not_reproduced=(
        "The WSJ0-2mix score (the corpus is not free); blocks without memory, which ESPnet gives "
        "the states in which the same segment ends."
    ),
    tiny=lambda: SkimHyperparameters(
        N=24, L=16, S=8, H=24, K=25, blocks=2, dropout=0.0, causal=True, overlap=False
    ),
    training={
        "batch_size": 8,
        "segment_s": 2.0,
        "optimizer": "adam",
        "weight_decay": 0.0,
        "schedule": "plateau",
        "decay": 0.7,
        "patience": 1,
        "average_decay": 0.0,
    },
)


@SKIM.variant(parameters=5_915_649)
def offline() -> Hyperparameters:
    """The system that is not causal: overlapping segments, LSTMs in both directions."""
    return SkimHyperparameters()


@SKIM.variant("causal", parameters=2_143_489)
def causal() -> Hyperparameters:
    """The causal system, which streams with 1 sample of look-ahead."""
    return SkimHyperparameters(causal=True, overlap=False, padding="end")


@SKIM.variant("low_latency", parameters=7_877_505)
def low_latency() -> Hyperparameters:
    """The wider causal system, with frames of 1 ms and segments of 25 ms."""
    return SkimHyperparameters(
        N=128,
        L=8,
        S=4,
        H=384,
        K=50,
        blocks=3,
        dropout=0.0,
        causal=True,
        overlap=False,
        padding="end",
    )


@SKIM.variant("small", **SMALL_SPEECH | {"batch_size": 8})
def small() -> Hyperparameters:
    """For laptops: a causal system of few, long frames."""
    return SkimHyperparameters(
        N=256, L=64, S=32, H=128, K=25, blocks=4, dropout=0.0, causal=True, overlap=False
    )


@SKIM.imports("espnet", "SkiMSeparator")
def from_espnet(weights: Weights, arguments: Mapping[str, Any]) -> Imported:
    """Convert ESPnet's `conv` encoder and decoder with its `skim` separator.

    The arguments are those of all three constructors; ESPnet interleaves the masks of the sources.
    """
    check_arguments(arguments, {"nonlinear": "relu", "predict_noise": False})
    names = {
        r"^encoder\.conv1d\.": "basis.encoder.",
        r"^decoder\.convtrans1d\.": "basis.decoder.",
        r"^separator\.skim\.seg_lstms\.": "separation.blocks.",
        r"^separator\.skim\.mem_lstms\.": "separation.memories.",
        r"^separator\.skim\.output_fc\.0\.": "separation.prelu.",
        r"^separator\.skim\.output_fc\.1\.": "separation.output.",
        r"\.h_net\.": ".hidden.",
        r"\.c_net\.": ".cell.",
        r"\.h_norm\.": ".hidden.norm.",
        r"\.c_norm\.": ".cell.norm.",
        r"\.(?:rnn|lstm)\.": ".lstm.",
        r"\.proj\.": ".project.",
        r"\.gamma$": ".weight",
        r"\.beta$": ".bias",
    }
    ours = renamed(weights, names)
    n_src = arguments.get("num_spk", 2)
    for name, value in ours.items():
        if name.endswith((".norm.weight", ".norm.bias")):
            ours[name] = value.flatten()
        if name.startswith("separation.output."):
            ours[name] = value.unflatten(0, (-1, n_src)).transpose(0, 1).flatten(0, 1)
    hyperparameters = SkimHyperparameters(
        n_src=n_src,
        N=arguments["channel"],
        L=arguments["kernel_size"],
        S=arguments["stride"],
        H=arguments.get("unit", 512),
        K=arguments.get("segment_size", 20),
        blocks=arguments.get("layer", 3),
        memory=arguments.get("mem_type", "hc"),
        dropout=arguments.get("dropout", 0.0),
        causal=arguments.get("causal", True),
        overlap=arguments.get("seg_overlap", False),
        padding="end",
    )
    return hyperparameters, ours
