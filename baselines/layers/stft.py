"""Short-time Fourier analysis and synthesis."""

import torch
from torch import Tensor, nn

from baselines.separator import require

WINDOWS = ("hann", "sqrt_hann")


class Stft(nn.Module):
    """Analysis and synthesis with a periodic window, frames centred on multiples of the hop.

    The signal is padded with zeros, so that a signal of any length from one sample up is
    reconstructed exactly. `window` is "hann" or "sqrt_hann".
    """

    window: Tensor

    def __init__(self, n_fft: int, hop_length: int, window: str = "hann") -> None:
        super().__init__()
        require(window in WINDOWS, f"The window is {window!r}; it can be {' or '.join(WINDOWS)}.")
        require(
            0 < hop_length <= n_fft // 2,
            f"hop_length is {hop_length}; for n_fft={n_fft} it can be 1 to {n_fft // 2}.",
        )
        self.n_fft = n_fft
        self.hop_length = hop_length
        shape = torch.hann_window(n_fft)
        shape = shape.sqrt() if window == "sqrt_hann" else shape
        self.register_buffer("window", shape, persistent=False)

    @property
    def bins(self) -> int:
        """Number of frequency bins."""
        return self.n_fft // 2 + 1

    def analyse(self, signal: Tensor) -> Tensor:
        """Return the complex spectrogram (..., bins, frames) of a signal (..., time)."""
        signal = signal.float() if signal.dtype == torch.bfloat16 else signal
        spectrum = torch.stft(
            signal.reshape(-1, signal.shape[-1]),
            self.n_fft,
            self.hop_length,
            window=self.window.to(signal.dtype),
            pad_mode="constant",
            return_complex=True,
        )
        return spectrum.reshape(*signal.shape[:-1], *spectrum.shape[-2:])

    def synthesise(self, spectrum: Tensor, time: int) -> Tensor:
        """Return the signal (..., time) whose spectrogram is nearest to (..., bins, frames)."""
        signal = torch.istft(
            spectrum.reshape(-1, *spectrum.shape[-2:]),
            self.n_fft,
            self.hop_length,
            window=self.window.to(spectrum.real.dtype),
            length=time,
        )
        return signal.reshape(*spectrum.shape[:-2], time)
