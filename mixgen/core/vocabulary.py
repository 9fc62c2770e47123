"""The words that every stage uses; importing them costs nothing."""

from typing import Literal

Kind = Literal["speech", "music", "noise", "rir"]
Role = Literal["target", "interferer", "noise", "background", "far_end"]
FormatName = Literal["flac16", "flac24", "wav16", "wav24", "wav_float"]
