"""The bulk delay between a far-end signal and its echo, tracked from block to block.

The generalised cross-correlation of Knapp and Carter (IEEE TASSP 24(4), 1976) with its phase
transform, averaged over blocks: cross-spectra add up and are divided by the sum of their
magnitudes, so that a bin counts as much as its phase agrees from block to block. Near-end talk has
no phase in common with the far end, and weighs little.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Signal = NDArray[np.float64]

HOP_S = 0.064
_WINDOW_S = 0.256
_MEMORY_S = 1.0
_LOWEST_HZ = 100.0
# A peak counts that stands this high above the root mean square of all lags.
_LEAST_PEAK = 8.0
# Two blocks in a row have to agree within this, before the delay moves.
_AGREEMENT_S = 0.001
# A filter begins this long before the peak, and follows it once it is further off than `_SLACK_S`.
_HEADROOM_S = 0.006
_SLACK_S = 0.004


@dataclass
class DelayTracker:
    """The delay of an echo in samples, as known after each block.

    Args:
        sample_rate: in Hz.
        longest_s: longest delay that is looked for.
    """

    sample_rate: int
    longest_s: float = 0.5

    def __post_init__(self) -> None:
        self.hop = round(HOP_S * self.sample_rate)
        self.window = round(_WINDOW_S * self.sample_rate)
        self.longest = round(self.longest_s * self.sample_rate)
        self.headroom = round(_HEADROOM_S * self.sample_rate)
        self.n_fft = fft.next_fast_len(2 * self.window + self.longest, real=True)
        self.lowest = round(_LOWEST_HZ / self.sample_rate * self.n_fft)

    def peaks(self, mixture: Signal, far_end: Signal) -> NDArray[np.int64]:
        """Return the lag of the highest peak after each hop, -1 where none is clear.

        Args:
            mixture: shape (time,).
            far_end: shape (time,).
        """
        before = self.window + self.longest
        far_end = np.pad(far_end, (before, 0))
        mixture = np.pad(mixture, (self.window, 0))
        blocks = (len(mixture) - self.window) // self.hop
        kept = np.exp(-HOP_S / _MEMORY_S)
        cross = np.zeros(self.n_fft // 2 + 1, complex)
        magnitude = np.zeros(self.n_fft // 2 + 1)
        peaks = np.full(blocks, -1)
        for block in range(blocks):
            end = (block + 1) * self.hop
            heard = fft.rfft(mixture[end : end + self.window], self.n_fft)
            played = fft.rfft(far_end[end : end + before], self.n_fft)
            product = heard * played.conj()
            product[: self.lowest] = 0
            cross = kept * cross + product
            magnitude = kept * magnitude + np.abs(product)
            peaks[block] = self._peak(cross, magnitude)
        return peaks

    def _peak(self, cross: NDArray[np.complex128], magnitude: Signal) -> int:
        if not magnitude.any():
            return -1
        weighted = cross / np.maximum(magnitude, np.finfo(float).tiny)
        # Lag 0 of the correlation is where both windows end together.
        correlation = np.abs(np.roll(fft.irfft(weighted, self.n_fft), self.longest))
        lags = correlation[: self.longest + 1]
        peak = int(lags.argmax())
        clear = lags[peak] > _LEAST_PEAK * np.sqrt(np.square(correlation).mean())
        return peak if clear else -1

    def delays(self, mixture: Signal, far_end: Signal) -> NDArray[np.int64]:
        """Return the delay for each hop of `hop` samples, known from the samples before it.

        It is a little less than the lag of the direct sound, by the headroom of 6 ms.
        """
        delay, last, found = 0, -1, [0]
        agreement = _AGREEMENT_S * self.sample_rate
        slack = _SLACK_S * self.sample_rate
        for peak in self.peaks(mixture, far_end):
            moved = abs(peak - self.headroom - delay) > slack
            if peak >= 0 and last >= 0 and abs(peak - last) <= agreement and moved:
                delay = max(int(peak) - self.headroom, 0)
            last = peak
            found.append(delay)
        return np.array(found)
