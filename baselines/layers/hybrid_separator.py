"""The base of Hybrid Demucs and of its successor: both branches, and the sum of their estimates.

Axes: b batch, n_src, C channels, f frequencies, k frames, time.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.layers.demucs import (
    SMALLEST_DEVIATION,
    mean_and_deviation,
    rescale_convolutions,
)
from baselines.layers.hybrid import (
    Decoder,
    Embedding,
    Encoder,
    HybridHyperparameters,
    Level,
    Reader,
    Splitter,
)
from baselines.model import Weights, check_arguments, renamed
from baselines.separator import Separator, require

INITIAL_DEVIATION = 0.1


class HybridSeparator(Separator):
    """Both branches, and the sum of their estimates, trained by the L1 loss of the waveforms.

    Subclasses write `middle`, which is between the encoders and the decoders.
    """

    window: Tensor
    silence_tolerance = 0.5

    def __init__(self, hyperparameters: HybridHyperparameters) -> None:
        super().__init__(hyperparameters)
        h = self.h = hyperparameters
        levels = self.levels = h.levels()
        self.register_buffer("window", torch.hann_window(h.n_fft), persistent=False)
        self.spectral_encoder, self.spectral_decoder = nn.ModuleList(), nn.ModuleList()
        self.temporal_encoder, self.temporal_decoder = nn.ModuleList(), nn.ModuleList()
        made = h.n_src * h.channels
        self._add(levels[0], 2 * h.channels, 2 * made, h.channels, made, last=True)
        for above, level in pairwise(levels):
            self._add(level, above.width, above.width, above.width, above.width, last=False)
        self.embedding = Embedding(h.n_fft // 2 // h.S, h.C)
        rescale_convolutions(self, INITIAL_DEVIATION)

    def _add(
        self, level: Level, given: int, made: int, given_t: int, made_t: int, *, last: bool
    ) -> None:
        """Add a level to all encoders and, in front of the deeper ones, to all decoders."""
        h, spectral = self.h, level.spectral
        self.spectral_encoder.append(Encoder(h, given, level, spectral=spectral))
        self.spectral_decoder.insert(0, Decoder(h, level, made, spectral=spectral, last=last))
        if level.merges:
            self.temporal_encoder.append(Reader(given_t, level, spectral=False))
            self.temporal_decoder.insert(0, Splitter(level, made_t, spectral=False, last=last))
        elif spectral:
            self.temporal_encoder.append(Encoder(h, given_t, level, spectral=False))
            self.temporal_decoder.insert(0, Decoder(h, level, made_t, spectral=False, last=last))

    def middle(self, x: Tensor, waves: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the decoders start from, in the shape of what is given.

        Args:
            x: the deepest spectral level, (b, C, f, k), or (b, C, k) below the merge.
            waves: the deepest temporal level, (b, C, k).
        """
        raise NotImplementedError

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate mixture (batch, channels, time) into (batch, n_src, channels, time)."""
        self.check_mixture(mixture)
        spectrum = self.analyse(mixture)  # (b, channels, bins, k)
        x = torch.view_as_real(spectrum).permute(0, 1, 4, 2, 3).flatten(1, 2)
        mean, deviation = mean_and_deviation(x, (1, 2, 3))
        mean_t, deviation_t = mean_and_deviation(mixture, (1, 2))
        x, waves = self.unet(
            (x - mean) / (deviation + SMALLEST_DEVIATION),
            (mixture - mean_t) / (deviation_t + SMALLEST_DEVIATION),
        )
        x = torch.addcmul(mean, x, deviation).unflatten(1, (self.n_src, self.channels, 2))
        waves = torch.addcmul(mean_t, waves, deviation_t)
        waves = waves.unflatten(1, (self.n_src, self.channels))
        separated: Tensor = waves + self.synthesise(x, mixture.shape[-1])
        return separated

    def analyse(self, signal: Tensor) -> Tensor:
        """Return the complex spectrogram (b, channels, n_fft / 2, time / hop), rounded up.

        The signal is reflected at its ends, after zeros if it is too short; the bin of half the
        sample rate is left out.
        """
        n_fft, hop, time = self.h.n_fft, self.h.hop, signal.shape[-1]
        front = hop // 2 * 3
        end = front + -time % hop
        zeros = max(end + 1 - time, 0)
        padded = functional.pad(signal, (0, zeros))
        padded = functional.pad(padded, (front, end - zeros), mode="reflect").flatten(0, 1)
        window = self.window.to(signal.dtype)
        spectrum = torch.stft(
            padded, n_fft, hop, window=window, center=False, normalized=True, return_complex=True
        )
        kept: Tensor = spectrum[:, :-1].unflatten(0, signal.shape[:2])
        return kept

    def synthesise(self, x: Tensor, time: int) -> Tensor:
        """Return the signals (..., time) of spectrograms (..., 2, n_fft / 2, k).

        Real and imaginary parts come first. Four frames overlap at every sample, and their windows
        divide by the sum of the four squares.
        """
        n_fft, hop, frames = self.h.n_fft, self.h.hop, x.shape[-1]
        window = self.window.to(x.dtype).unflatten(0, (4, hop))
        window = (window / window.square().sum(0)).flatten()
        spectrum = torch.view_as_complex(x.transpose(-3, -1).contiguous())  # (..., k, n_fft / 2)
        pieces = torch.fft.irfft(spectrum, n_fft, norm="ortho") * window
        signal = pieces.new_zeros(*pieces.shape[:-2], frames + 3, hop)
        for number, quarter in enumerate(pieces.split(hop, dim=-1)):
            signal[..., number : number + frames, :] += quarter
        front = hop // 2 * 3
        kept: Tensor = signal.flatten(-2)[..., front : front + time]
        return kept

    def unet(self, x: Tensor, waves: Tensor) -> tuple[Tensor, Tensor]:
        """Return both outputs for the spectrogram (b, 2 channels, f, k) and the waveform."""
        skips: list[Tensor] = []
        skips_t: list[Tensor] = []
        lengths: list[tuple[int, int]] = []
        for number, (level, encode) in enumerate(
            zip(self.levels, self.spectral_encoder, strict=True)
        ):
            lengths.append((x.shape[-1], waves.shape[-1]))
            if level.spectral:
                waves = self.temporal_encoder[number](waves)
                x = encode(x, waves if level.merges else None)
                if not level.merges:
                    skips_t.append(waves)
            else:
                x = encode(x.flatten(2))  # (b, C, k), whether or not it has a frequency
            x = self.embedding(x) if number == 0 else x
            skips.append(x)
        return self._decode(self.middle(x, waves), skips, skips_t, lengths)

    def _decode(
        self,
        start: tuple[Tensor, Tensor],
        skips: list[Tensor],
        skips_t: list[Tensor],
        lengths: list[tuple[int, int]],
    ) -> tuple[Tensor, Tensor]:
        """Decode from the deepest level to the first."""
        x, waves = start
        temporal = iter(self.temporal_decoder)
        for level, decode in zip(reversed(self.levels), self.spectral_decoder, strict=True):
            frames, time = lengths.pop()
            x, y = decode(x, skips.pop(), frames)
            if level.merges:
                waves = next(temporal)(y, time)
            elif level.spectral:
                waves, _ = next(temporal)(waves, skips_t.pop(), time)
        return x, waves

    def training_loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the mean absolute difference of estimates and references; scalar."""
        return functional.l1_loss(self(batch["mixture"]), batch["references"])


_BRANCH_IN_DEMUCS = {
    r"\.dconv\.layers\.(\d+)\.0\.": r".branch.layers.\1.squeeze.",
    r"\.dconv\.layers\.(\d+)\.1\.": r".branch.layers.\1.squeeze_norm.",
    r"\.dconv\.layers\.(\d+)\.3\.l": r".branch.layers.\1.blstm.l",
    r"\.dconv\.layers\.(\d+)\.4\.query_decay\.": r".branch.layers.\1.attention.decay.",
    r"\.dconv\.layers\.(\d+)\.4\.proj\.": r".branch.layers.\1.attention.output.",
    r"\.dconv\.layers\.(\d+)\.4\.([cqk])": r".branch.layers.\1.attention.\2",
    r"\.dconv\.layers\.(\d+)\.[35]\.": r".branch.layers.\1.expand.",
    r"\.dconv\.layers\.(\d+)\.[68]\.scale$": r".branch.layers.\1.gain",
    r"\.dconv\.layers\.(\d+)\.[46]\.": r".branch.layers.\1.expand_norm.",
}
_NAMES_IN_DEMUCS = {
    **_BRANCH_IN_DEMUCS,
    r"^(t?encoder\.\d+)\.norm2\.": r"\1.rewrite_norm.",
    r"^(t?decoder\.\d+)\.norm1\.": r"\1.rewrite_norm.",
    r"^(t?(?:en|de)coder\.\d+)\.norm[12]\.": r"\1.norm.",
    r"\.conv_tr\.": ".conv.",
    r"^(en|de)coder\.": r"spectral_\1coder.",
    r"^t(en|de)coder\.": r"temporal_\1coder.",
    r"^freq_emb\.embedding\.": "embedding.",
}


def weights_from_demucs(weights: Weights) -> Weights:
    """Rename the weights of the levels of demucs' `HDemucs` or `HTDemucs`."""
    return renamed(weights, _NAMES_IN_DEMUCS)


_NEEDED_IN_DEMUCS = {
    "cac": True,
    "rewrite": True,
    "time_stride": 2,
    "multi_freqs": None,
    "context_enc": 0,
    "freq_emb": 0.2,
    "emb_scale": 10,
    "norm_groups": 4,
    "channels_time": None,
}


def fields_from_demucs(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of `HybridHyperparameters` for the arguments of a peer's constructor.

    Raises:
        UsageError: an argument describes a network that this module does not have.
    """
    check_arguments(arguments, _NEEDED_IN_DEMUCS)
    S = arguments.get("stride", 4)
    require(arguments.get("kernel_size", 8) == 2 * S, f"kernel_size must be {2 * S}, twice stride.")
    modes = {1: False, 3: True}
    mode = arguments.get("dconv_mode", 1)
    require(mode in modes, f"dconv_mode is {mode}; it can be 1 or 3.")
    ours = {
        "sample_rate": "samplerate",
        "channels": "audio_channels",
        "C": "channels",
        "growth": "growth",
        "depth": "depth",
        "n_fft": "nfft",
        "norm_from": "norm_starts",
        "branch_layers": "dconv_depth",
        "compress": "dconv_comp",
    }
    return {
        "n_src": len(arguments["sources"]),
        "source_names": tuple(arguments["sources"]),
        "S": S,
        "context": 2 * arguments.get("context", 1) + 1,
        "decoder_branches": modes[mode],
        **{field: arguments[name] for field, name in ours.items() if name in arguments},
    }
