"""The rooms of SMS-WSJ, and their responses where the published ones are missing.

The published ones were computed by a port of Habets' RIR generator of 2014 from the positions in
the database; `mixgen.acoustics.rir_generator` computes the same.
"""

import functools
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import soundfile
from pydantic import ConfigDict, Field, field_validator

from mixgen.acoustics.rir_generator import generated_responses
from mixgen.acoustics.room import Point
from mixgen.core.errors import InputError
from mixgen.core.files import write_bytes
from mixgen.core.paths import inside
from mixgen.core.progress import track
from mixgen.core.records import Record
from mixgen.core.workers import bounded_map, default_workers

RATE = 8000
ENGINE: Literal["rir_generator/1"] = "rir_generator/1"
SIMULATED = (
    "responses by mixgen.acoustics.rir_generator, which differ by -268 dB from those of "
    "rir-generator 0.3.0"
)
_TAPS = 8192

_Row = Annotated[list[float], Field(min_length=1)]


class Room(Record):
    """A room of the JSON file: rows for x, y and z, with one column for each position, in metres.

    `sound_decay_time` is its T60 in seconds.
    """

    model_config = ConfigDict(extra="ignore")

    room_dimensions: list[_Row] = Field(min_length=3, max_length=3)
    source_position: list[_Row] = Field(min_length=3, max_length=3)
    sensor_position: list[_Row] = Field(min_length=3, max_length=3)
    sound_decay_time: float = Field(gt=0, le=10)

    @field_validator("source_position", "sensor_position")
    @classmethod
    def _has_whole_columns(cls, rows: list[list[float]]) -> list[list[float]]:
        if len({len(row) for row in rows}) > 1:
            raise ValueError("x, y and z need as many numbers")
        return rows


def write_responses(folder: Path, rooms: Mapping[str, Room]) -> None:
    """Compute the responses that a folder lacks; `rooms` has the room of each path in it.

    The name of a file ends with the number of its talker, as h_0.wav does.

    Raises:
        InputError: a room has no such talker, or no such reverberation.
        MachineError: a file cannot be written, or a worker was killed.
    """
    missing = {p: room for p, room in rooms.items() if not inside(folder, p).is_file()}
    work = functools.partial(_write, folder=folder)
    done = bounded_map(work, missing.items(), workers=min(default_workers(), len(missing)))
    for _ in track(done, "computing responses", len(missing)):
        pass


def _write(item: tuple[str, Room], folder: Path) -> None:
    path, room = item
    number = Path(path).stem.rpartition("_")[2]
    talkers = _columns(room.source_position)
    if not number.isdecimal() or int(number) >= len(talkers):
        raise InputError(f"The JSON has no source_position of {path}: restore the original file.")
    responses = generated_responses(
        _columns(room.room_dimensions)[0],
        talkers[int(number)],
        _columns(room.sensor_position),
        t60_s=room.sound_decay_time,
        sample_rate=RATE,
        taps=_TAPS,
    )
    stream = io.BytesIO()
    soundfile.write(stream, responses.T, RATE, format="WAV", subtype="DOUBLE")
    write_bytes(folder / path, stream.getvalue(), flush=False)


def _columns(rows: list[list[float]]) -> list[Point]:
    x, y, z = rows
    return list(zip(x, y, z, strict=True))
