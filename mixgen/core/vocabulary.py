"""The words that every stage uses; importing them costs nothing."""

from typing import Literal

Kind = Literal["speech", "music", "noise", "rir"]
Role = Literal["target", "interferer", "noise", "background", "far_end"]
FormatName = Literal["flac16", "flac24", "wav16", "wav24", "wav_float"]
PathStyle = Literal["absolute", "relative"]

Task = Literal[
    "speech_separation",
    "speech_enhancement",
    "dereverberation",
    "target_speaker",
    "meetings",
    "echo_cancellation",
    "music_separation",
    "cinematic_separation",
    "universal_separation",
]
"""What a set is for: a recipe states it, the manifest keeps it, and it decides on the metrics."""

SPEECH_TASKS: frozenset[Task] = frozenset(
    {
        "speech_separation",
        "speech_enhancement",
        "dereverberation",
        "target_speaker",
        "meetings",
        "echo_cancellation",
    }
)
STEM_TASKS: frozenset[Task] = frozenset({"music_separation", "cinematic_separation"})
SOUND_TASKS: frozenset[Task] = frozenset({"universal_separation"})
ALL_TASKS = SPEECH_TASKS | STEM_TASKS | SOUND_TASKS
