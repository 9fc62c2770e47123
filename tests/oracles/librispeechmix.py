"""What the official LibriSpeechMix script writes for one list, step by step and slowly.

Paper: Kanda, Gaur, Wang, Meng, Chen, Zhou, Yoshioka, "Joint speaker counting, speech recognition,
and speaker identification for overlapped speech of any number of speakers", Interspeech 2020.
Behaviour: NaoyukiKanda/LibriSpeechMix, utils/mix_wavs.py of commit afa6ff7 (unchanged at 869aa26).

A talker begins int(delay * 16000) samples after the mixture: the fraction is dropped, not rounded.
Talkers are added in float64, in the list's order and without any gain, and written as int16.

Known defects: the script writes no stems; nothing keeps the sum below full scale, so libsndfile
clips it there; it calls librosa.util.fix_length in a way that librosa 0.10 refuses.
"""

import json
from pathlib import Path

import numpy as np
import soundfile

_RATE = 16000


def librispeechmix(list_file: Path, librispeech_root: Path, out_folder: Path) -> None:
    """Write the `mixed_wav` of every row of a list below `out_folder`.

    The official run.sh decodes LibriSpeech's FLAC to WAV first; here a missing WAV is read as FLAC.
    """
    for line in list_file.read_text().splitlines():
        row = json.loads(line)
        talkers = []
        for wav, delay_s in zip(row["wavs"], row["delays"], strict=True):
            path = librispeech_root / wav
            samples, _ = soundfile.read(path if path.exists() else path.with_suffix(".flac"))
            talkers.append(np.concatenate((np.zeros(int(delay_s * _RATE)), samples)))
        mixture = np.zeros(max(len(samples) for samples in talkers))
        for samples in talkers:
            mixture[: len(samples)] += samples
        target = out_folder / row["mixed_wav"]
        target.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(target, mixture, _RATE)
