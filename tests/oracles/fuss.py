"""What FUSS's scripts write from its lists, step by step and slowly.

Paper: Wisdom, Erdogan, Ellis, Serizel, Turpault, Fonseca, Salamon, Seetharaman, Hershey, "What's
all the FUSS about free universal sound separation data?", ICASSP 2021.
Behaviour: google-research/sound-separation, datasets/fuss, as run_reverb_and_mix.sh calls it:
reverberate_and_mix.py of commit d4ba6f1, then check_and_correct_example in utils.py of c1fdde5.
The published ssdata_reverb (2020-04) is older than d4ba6f1 (2020-12, issue 8): it comes from commit
37c2617, which kept the middle of the convolution, `align="same"` here, so that every source comes
half a response early.

Reverberant: channel 0 of the source and of 10 times its response are convolved in float64, cut to
the longest source of the mixture, and written as int16. Then all files are brought to 10 s, and the
mixture is written anew as the sum of the written sources wherever it differs from that by more than
1e-5 + 1e-4 |x| in a sample, which the floor of libsndfile's int16 brings about with two sources or
more.
Dry: the published files are Scaper's; they go through the same last step and nothing else.

Known defects: as above; and where the sum exceeds full scale it clips, so those stems do not sum.
"""

from pathlib import Path
from typing import Any

import numpy as np
import soundfile

Signal = np.ndarray[Any, Any]

_RATE = 16000
_LENGTH = 160000
_RIR_SCALE = 10.0


def fuss_reverberant(
    mix_info: Path, ssdata: Path, rir_root: Path, out_folder: Path, *, align: str = "causal"
) -> None:
    """Write the mixtures and sources of a `mix_info.txt` below `out_folder`.

    A line reads `mix = source * response + source * response ...`. `align` is `causal`,
    `align_sources` (the largest sample of a response moves to time 0) or `same`.
    """
    for line in mix_info.read_text().splitlines():
        mix, operands = line.split(" = ")
        pairs = [operand.split(" * ") for operand in operands.split(" + ")]
        dry = [_first_channel(ssdata / source) for source, _ in pairs]
        longest = max(len(samples) for samples in dry)
        images = []
        for (source, rir), samples in zip(pairs, dry, strict=True):
            padded = np.pad(samples, (0, longest - len(samples)))
            response = _RIR_SCALE * _first_channel(rir_root / rir)
            images.append(_reverberated(padded, response, align))
            _write(out_folder / source, images[-1])
        _write(out_folder / mix, np.sum(np.stack(images), axis=0))
        _copy_annotations(ssdata / mix, out_folder / mix, [rir for _, rir in pairs])
        _correct([out_folder / mix, *(out_folder / source for source, _ in pairs)])


def fuss_dry(example_list: Path, ssdata: Path, out_folder: Path) -> None:
    """Write the files of a `<split>_example_list.txt` as the last step leaves them."""
    for line in example_list.read_text().splitlines():
        paths = line.split("\t")
        for path in paths:
            (out_folder / path).parent.mkdir(parents=True, exist_ok=True)
            (out_folder / path).write_bytes((ssdata / path).read_bytes())
        _correct([out_folder / path for path in paths])


def _first_channel(path: Path) -> Signal:
    samples: Signal = soundfile.read(path, always_2d=True)[0]
    return samples[:, 0]


def _reverberated(samples: Signal, response: Signal, align: str) -> Signal:
    if align == "same":
        return np.convolve(samples, response, "same")
    advance = int(np.argmax(np.abs(response))) if align == "align_sources" else 0
    return np.convolve(samples, response)[advance : advance + len(samples)]


def _copy_annotations(dry: Path, reverberant: Path, rirs: list[str]) -> None:
    """Copy the .jams and the .txt of a mixture; the latter goes on with the responses used."""
    if dry.with_suffix(".jams").exists():
        reverberant.with_suffix(".jams").write_bytes(dry.with_suffix(".jams").read_bytes())
    if dry.with_suffix(".txt").exists():
        events = dry.with_suffix(".txt").read_text()
        used = "\nroom impulse responses used:\n" + "\n".join(rirs)
        reverberant.with_suffix(".txt").write_text(events + used)


def _correct(paths: list[Path]) -> None:
    """Bring files to 10 s, and the first one to the sum of the others where it is not that."""
    for path in paths:
        samples = _first_channel(path)
        if len(samples) != _LENGTH:
            _write(path, np.pad(samples, (0, max(0, _LENGTH - len(samples))))[:_LENGTH])
    mixture, *sources = (_first_channel(path) for path in paths)
    total = np.zeros(_LENGTH)
    for samples in sources:
        total += samples
    if not np.allclose(mixture, total, rtol=1e-4, atol=1e-5):
        _write(paths[0], total)


def _write(path: Path, samples: Signal) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, _RATE, subtype="PCM_16")
