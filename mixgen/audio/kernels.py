"""Loops over samples, compiled by numba. `mixgen.audio.compiled.kernels` returns this module.

Nothing is compiled with `fastmath`: every operation is done in the order that is written here, so
results do not depend on the instructions that a processor has. Sums over samples are of integers,
which have no rounding errors, except for loudness, which is rounded before it becomes a gain, and
for adaptive filters, which no rendered file passes through.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

from mixgen.audio.formats import MOST_STEPS

_Kernel = TypeVar("_Kernel", bound=Callable[..., Any])
_State = tuple[float, float, float, float]
_Floats = NDArray[np.float64]
_Steps = NDArray[np.int32]

_AT_REST: _State = (0.0, 0.0, 0.0, 0.0)


def _compiled(*signatures: str) -> Callable[[_Kernel], _Kernel]:
    """Compile a function for these types now, or load it from numba's cache.

    The cache is the folder `__pycache__` beside this file, or one of the user where that cannot be
    written. Where neither can, or the cache is damaged, every process compiles the function.
    """

    def compile_now(function: _Kernel) -> _Kernel:
        types = list(signatures) or None
        try:
            return cast(_Kernel, numba.njit(types, cache=True, nogil=True)(function))
        except Exception:  # of any kind: numba unpickles what it finds in its cache
            return cast(_Kernel, numba.njit(types, nogil=True)(function))

    return compile_now


@_compiled()
def _weight(sample: float, state: _State, c: tuple[float, ...]) -> tuple[float, _State]:
    """Send a sample through both stages of a filter in transposed direct form II."""
    first = c[0] * sample + state[0]
    second = c[5] * first + state[2]
    return second, (
        c[1] * sample - c[3] * first + state[1],
        c[2] * sample - c[4] * first,
        c[6] * first - c[8] * second + state[3],
        c[7] * first - c[9] * second,
    )


@_compiled()
def _weigh_on(
    samples: _Floats,
    c: tuple[float, ...],
    edges: NDArray[np.int64],
    segments: tuple[int, int],
    begun: tuple[int, float, _State],
    energies: _Floats,
) -> None:
    """Fill in the energies of the segments from the first up to the second of `segments`.

    `begun` is how far the first of them is: its next sample, its energy so far, and the state.
    """
    position, energy, state = begun
    for segment in range(segments[0], segments[1]):
        for index in range(position, edges[segment + 1]):
            weighted, state = _weight(samples[index], state, c)
            energy += weighted * weighted
        position = edges[segment + 1]
        energies[segment] = energy
        energy = 0.0


@_compiled()
def _next_segment(
    edges: NDArray[np.int64], position: int, segment: int, energy: float, energies: _Floats
) -> tuple[int, float]:
    """Return the segment of a position and its energy so far; note the one that ends there."""
    if position < edges[segment + 1]:
        return segment, energy
    energies[segment] = energy
    return segment + 1, 0.0


@_compiled("float64[::1](float64[::1], UniTuple(float64, 10), int64[::1], int64)")
def weighted_energies(
    samples: _Floats, c: tuple[float, ...], edges: NDArray[np.int64], warm_up: int
) -> _Floats:
    """Return the energies of filtered samples (time,) between neighbouring edges.

    Four stretches of the signal go through the filter side by side, because one alone waits for
    its own last sample all the time. Those but the first begin `warm_up` samples early, at rest.

    Args:
        samples: shape (time,).
        c: b0, b1, b2, a1, a2 of the first stage of the filter, and of the second.
        edges: of the segments, in samples, from 0 on.
        warm_up: samples after which nothing is left of a state of the filter.
    """
    segments = len(edges) - 1
    energies = np.zeros(segments)
    s0, (s1, s2, s3) = 0, np.searchsorted(edges, np.arange(1, 4) * edges[-1] // 4)
    if edges[s1] < warm_up:
        _weigh_on(samples, c, edges, (0, segments), (0, 0.0, _AT_REST), energies)
        return energies
    stop0, stop1, stop2 = s1, s2, s3
    p0, p1, p2, p3 = edges[s0], edges[s1], edges[s2], edges[s3]
    e0 = e1 = e2 = e3 = 0.0
    z0 = z1 = z2 = z3 = _AT_REST
    for index in range(-warm_up, 0):
        _, z1 = _weight(samples[p1 + index], z1, c)
        _, z2 = _weight(samples[p2 + index], z2, c)
        _, z3 = _weight(samples[p3 + index], z3, c)
    while s0 < stop0 and s1 < stop1 and s2 < stop2 and s3 < segments:
        left0, left1 = edges[s0 + 1] - p0, edges[s1 + 1] - p1
        left2, left3 = edges[s2 + 1] - p2, edges[s3 + 1] - p3
        run = min(left0, left1, left2, left3)
        for index in range(run):
            w0, z0 = _weight(samples[p0 + index], z0, c)
            w1, z1 = _weight(samples[p1 + index], z1, c)
            w2, z2 = _weight(samples[p2 + index], z2, c)
            w3, z3 = _weight(samples[p3 + index], z3, c)
            e0, e1, e2, e3 = e0 + w0 * w0, e1 + w1 * w1, e2 + w2 * w2, e3 + w3 * w3
        p0, p1, p2, p3 = p0 + run, p1 + run, p2 + run, p3 + run
        s0, e0 = _next_segment(edges, p0, s0, e0, energies)
        s1, e1 = _next_segment(edges, p1, s1, e1, energies)
        s2, e2 = _next_segment(edges, p2, s2, e2, energies)
        s3, e3 = _next_segment(edges, p3, s3, e3, energies)
    _weigh_on(samples, c, edges, (s0, stop0), (p0, e0, z0), energies)
    _weigh_on(samples, c, edges, (s1, stop1), (p1, e1, z1), energies)
    _weigh_on(samples, c, edges, (s2, stop2), (p2, e2, z2), energies)
    _weigh_on(samples, c, edges, (s3, segments), (p3, e3, z3), energies)
    return energies


@_compiled("void(float64[::1], float64, float64, int32[::1])")
def round_to_steps(samples: _Floats, gain: float, steps_per_unit: float, steps: _Steps) -> None:
    """Round samples (values,) times a gain to whole steps; as `mixgen.audio.formats.to_grid`."""
    for index in range(len(samples)):
        value = samples[index] * gain * steps_per_unit
        steps[index] = np.int32(np.rint(min(max(value, -MOST_STEPS), MOST_STEPS)))


@_compiled("void(int32[::1], int32[::1], int64, int64[::1], int64[::1])")
def add_energies(
    steps: _Steps, total: _Steps, width: int, own: NDArray[np.int64], others: NDArray[np.int64]
) -> None:
    """Add the energy of `steps` in each frame of `width` to `own`, and of the rest to `others`."""
    for frame in range(len(own)):
        # LLVM vectorises a loop over a slice, and not one over a part of an array.
        mine = steps[frame * width : (frame + 1) * width]
        all_of_it = total[frame * width : (frame + 1) * width]
        energy = energy_of_others = np.int64(0)
        for index in range(len(mine)):
            step = np.int64(mine[index])
            rest = np.int64(all_of_it[index]) - step
            energy += step * step
            energy_of_others += rest * rest
        own[frame] += energy
        others[frame] += energy_of_others


@_compiled("void(uint32[::1], uint32[::1])")
def pack_upper_bytes(words: NDArray[np.uint32], packed: NDArray[np.uint32]) -> None:
    """Write the upper three bytes of every four little-endian words into three words."""
    for group in range(len(packed) // 3):
        a, b = words[4 * group], words[4 * group + 1]
        c, d = words[4 * group + 2], words[4 * group + 3]
        packed[3 * group] = (a >> np.uint32(8)) | (b >> np.uint32(8) << np.uint32(24))
        packed[3 * group + 1] = (b >> np.uint32(16)) | (c >> np.uint32(8) << np.uint32(16))
        packed[3 * group + 2] = (c >> np.uint32(24)) | (d >> np.uint32(8) << np.uint32(8))


@_compiled("void(float32[::1], int16[::1])", "void(float64[::1], int16[::1])")
def round_down_to_16_bits(samples: NDArray[np.floating], steps: NDArray[np.int16]) -> None:
    """Round samples (values,) as `mixgen.audio.formats.rounded_steps` does with `down`."""
    for index in range(len(samples)):
        fine = np.rint(np.float64(min(max(samples[index], -1.0), 1.0)) * 2.0**31)
        steps[index] = np.int16(np.int64(min(fine, 2.0**31 - 1.0)) >> 16)


@_compiled("void(float32[::1], int16[::1])", "void(float64[::1], int16[::1])")
def round_to_16_bits(samples: NDArray[np.floating], steps: NDArray[np.int16]) -> None:
    """Round samples (values,) as `mixgen.audio.formats.rounded_steps` does without `down`."""
    for index in range(len(samples)):
        step = np.rint(np.float64(samples[index]) * 2.0**15)
        steps[index] = np.int16(min(max(step, -(2.0**15)), 2.0**15 - 1.0))


_OUTPUTS = 1024  # that stay in the nearest cache while all taps are added to them


@_compiled(
    "void(float32[:, ::1], float32[::1], float32[::1])",
    "void(float64[:, ::1], float64[::1], float64[::1])",
)
def decimate(
    phases: NDArray[np.floating], taps: NDArray[np.floating], outputs: NDArray[np.floating]
) -> None:
    """Filter a signal and keep one output in `len(phases)`; see `mixgen.audio.polyphase`.

    Every output is the sum of the products with all taps in their order, as in a simple loop.

    Args:
        phases: every n-th sample of the signal from the first on, from the second on, and so on.
        taps: of the filter, in the order of the samples that they are multiplied with.
        outputs: shape (time,), all 0; filled in.
    """
    for start in range(0, len(outputs), _OUTPUTS):
        some = outputs[start : start + _OUTPUTS]
        for index in range(len(taps)):
            tap = taps[index]
            first = start + index // len(phases)
            samples = phases[index % len(phases), first : first + len(some)]
            for place in range(len(some)):
                some[place] += samples[place] * tap


@_compiled("void(float64[::1], float64[::1], float64[::1], int64, float64[::1], float64[::1])")
def normalised_lms(
    regressors: _Floats,
    desired: _Floats,
    steps: _Floats,
    hop: int,
    weights: _Floats,
    errors: _Floats,
) -> None:
    """Adapt a filter sample by sample; see `baselines.models.nlms.nlms`.

    Four sums side by side add up a product, so the last bits differ from those of another order.

    Args:
        regressors: of which that at time n begins at n * hop.
        desired: shape (time,).
        steps: that the gradient of each sample is multiplied with, shape (time,).
        hop: samples from one regressor to the next.
        weights: shape (taps,); altered.
        errors: shape (time,); filled in.
    """
    taps = len(weights)
    whole = taps - taps % 4
    for n in range(len(desired)):
        regressor = regressors[n * hop : n * hop + taps]
        s0 = s1 = s2 = s3 = 0.0
        for i in range(0, whole, 4):
            s0 += weights[i] * regressor[i]
            s1 += weights[i + 1] * regressor[i + 1]
            s2 += weights[i + 2] * regressor[i + 2]
            s3 += weights[i + 3] * regressor[i + 3]
        for i in range(whole, taps):
            s0 += weights[i] * regressor[i]
        errors[n] = desired[n] - ((s0 + s1) + (s2 + s3))
        gain = steps[n] * errors[n]
        for i in range(taps):
            weights[i] += gain * regressor[i]
