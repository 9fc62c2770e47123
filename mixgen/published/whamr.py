"""WHAMR!: the talkers of WHAM! in a room, and as they would be without its walls.

Maciejewski et al., "WHAMR!: Noisy and reverberant single-channel speech separation", ICASSP 2020,
arXiv 1910.10279. The steps are those of its script create_wham_from_scratch.py; the responses are
computed from the parameters in reverb_params_tt.csv and the like, as pyroomacoustics 0.3.1 did.

Both talkers are padded to the length of the noise at 16 kHz, convolved with the response at the
left microphone, and resampled. One gain gives a talker without reflections the energy that it has
in WHAM!, and the reverberant one gets the same gain. Everything is 64-bit floats, and the files are
32-bit floats.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from mixgen.acoustics.room import Point
from mixgen.acoustics.shoebox import SPEED_OF_SOUND, ShoeBox, direct_taps
from mixgen.core.errors import InputError
from mixgen.corpora.tables import read_table
from mixgen.manifest.file import Import
from mixgen.manifest.mixture import Mixture, Source, file_name
from mixgen.manifest.published import Match, Reverberation, Step
from mixgen.published.importing import (
    Imported,
    ListedMixture,
    SetImport,
    SourceFile,
    list_hashes,
    number,
)
from mixgen.published.options import (
    AllowMissing,
    Lists,
    Manifest,
    Modes,
    Rates,
    SourceLists,
    chosen,
)
from mixgen.published.published_set import PublishedSet
from mixgen.published.variants import Variant, variants_of
from mixgen.published.wham import (
    MIXTURES,
    WhamLists,
    WhamNoise,
    begin_of,
    noise_steps,
    resampled_to,
    talker_steps,
    wham_corpora,
    wham_mixture,
    wham_source,
)
from mixgen.published.wsj0 import WSJ0_RATE, Wsj0
from mixgen.sets.layout import Layout

_SCRIPT = (
    "whamr_scripts of wham.whisper.ai, create_wham_from_scratch.py, with one microphone; responses "
    "by mixgen.acoustics.shoebox, which differ by -300 dB from those of pyroomacoustics 0.3.1"
)
_ANECHOIC, _REVERB = "anechoic", "reverb"
_TYPES = tuple(f"{mixed}_{kind}" for mixed in MIXTURES for kind in (_ANECHOIC, _REVERB))
_COLUMNS = tuple(
    f"{name}_{axis}" for name in ("room", "micL", "micR", "s1", "s2") for axis in "xyz"
)


@dataclass(frozen=True)
class _Room:
    """A row of the parameters; lengths in metres.

    Attributes:
        size_m: of the room.
        t60_s: its reverberation time.
        microphones_m: positions of the left and the right microphone.
        talkers_m: positions of the talkers.
    """

    size_m: Point
    t60_s: float
    microphones_m: tuple[Point, Point]
    talkers_m: tuple[Point, Point]

    @property
    def taps(self) -> int:
        """The number of taps after which responses are cut."""
        return math.ceil(self.t60_s * WSJ0_RATE)

    @property
    def absorption(self) -> float:
        """The absorption by Sabine's formula for energy, which the script takes for amplitude."""
        x, y, z = self.size_m
        volume, area = x * y * z, 2 * (x * y + x * z + y * z)
        return 24 * volume * math.log(10.0) / (SPEED_OF_SOUND * area * self.t60_s)

    @property
    def order(self) -> int:
        """The number of reflections that T60 has time for along the shortest wall."""
        return math.ceil(self.t60_s * SPEED_OF_SOUND / min(self.size_m))

    def reverberation(self, talker: int, kind: str) -> Reverberation:
        """Return the response from a talker, counted from 0, to the left microphone."""
        return Reverberation(
            engine="shoebox/1",
            size_m=self.size_m,
            absorption=self.absorption,
            source_m=self.talkers_m[talker],
            microphone_m=self.microphones_m[0],
            order=self.order if kind == _REVERB else 0,
            taps=self.taps,
        )

    def padding(self, kind: str) -> int:
        """Return by how much the script makes signals longer: by the longest of all responses."""
        taps = self.taps
        if kind == _ANECHOIC:
            pairs = itertools.product(self.talkers_m, self.microphones_m)
            boxes = [ShoeBox(self.size_m, self.absorption, *pair) for pair in pairs]
            taps = min(taps, max(direct_taps(box, WSJ0_RATE) for box in boxes))
        return taps - 1


def import_whamr(
    metadata: Lists,
    reverb_params: Annotated[
        list[Path],
        typer.Option(
            "--reverb-params", help="The reverb_params_tt.csv of each subset; repeatable."
        ),
    ],
    wham_noise: WhamNoise,
    wsj0: Wsj0,
    out: Manifest,
    sample_rate: Rates = None,
    mode: Modes = None,
    types: Annotated[
        list[str] | None,
        typer.Option(
            "--type",
            help="mix_clean, mix_both or mix_single, each with _anechoic or _reverb; repeatable "
            "(default: all).",
        ),
    ] = None,
    sources: SourceLists = None,
    allow_missing: AllowMissing = False,
) -> Imported:
    """Import WHAMR!, whose reverberant mixtures have anechoic targets.

    Example: mixgen import whamr --metadata mix_2_spk_filenames_tt.csv --reverb-params
    reverb_params_tt.csv --wham-noise wham_noise --wsj0 corpora --sample-rate 8000 --mode min
    --type mix_both_reverb --out M.jsonl
    """
    types = chosen(types, _TYPES, "--type")
    variants = variants_of(sample_rate, mode, types)
    lists = WhamLists.read(metadata, wham_noise, variants)
    rooms = {name: room for path in reverb_params for name, room in _rooms(path)}
    for mixture in lists.mixtures:
        if mixture.name not in rooms:
            raise InputError(
                f"{mixture.where}: --reverb-params has no room of {mixture.name}: give the "
                f"reverb_params_{mixture.subset}.csv of the WHAMR! scripts."
            )
    is_single = all("single" in kind for kind in types)
    plan = SetImport(
        header=Import(
            published="whamr", lists=lists.hashes | list_hashes(reverb_params), script=_SCRIPT
        ),
        name=f"whamr_{variants[0].suffix}" if len(variants) == 1 else "whamr",
        task="speech_enhancement" if is_single else "speech_separation",
        sample_format="wav_float",
        corpora=wham_corpora(wsj0, wham_noise),
        variants=[(variant.rate, variant.mode, variant.type) for variant in variants],
        records=lambda mixture, files: [
            _record(mixture, files, variant, lists, rooms[mixture.name]) for variant in variants
        ],
        problem=lists.problem,
    )
    return plan.write(lists.mixtures, out, sources=sources or (), allow_missing=allow_missing)


def _rooms(path: Path) -> Iterator[tuple[str, _Room]]:
    """Yield the rooms of a list of parameters by the names of their mixtures."""
    given = [column for column in _COLUMNS if column not in ("micL_z", "micR_z")]
    for index, row in enumerate(read_table(path, ("utterance_id", *given, "mic_z", "T60")), 2):
        where = f"{path} line {index}"
        cells = row | {"micL_z": row["mic_z"], "micR_z": row["mic_z"]}
        values = [number(cells[column], where) for column in _COLUMNS]
        size, left, right, first, second = (
            (values[i], values[i + 1], values[i + 2]) for i in range(0, len(values), 3)
        )
        room = _Room(size, number(row["T60"], where), (left, right), (first, second))
        inside = (left, right, first, second)
        if not 0 < room.t60_s <= 10 or any(
            not 0 < x < length for point in inside for x, length in zip(point, size, strict=True)
        ):
            raise InputError(
                f"{where} has a T60 of {room.t60_s:g} s, or somebody outside of the room: restore "
                "the original list."
            )
        yield row["utterance_id"], room


def _record(
    mixture: ListedMixture,
    files: Sequence[SourceFile],
    variant: Variant,
    lists: WhamLists,
    room: _Room,
) -> Mixture:
    """Return the record of a variant; the last file is the noise."""
    rate, mode, start = variant.rate, variant.mode, lists.start(mixture)
    mixed, _, kind = variant.type.rpartition("_")
    gains = lists.gains(mixture, rate, mode)
    noise = files[-1]
    sources = {"noise": wham_source("noise", noise, noise_steps(rate, gains.noise, start, mode))}
    for index, (file, gain) in enumerate(zip(files[:-1], gains.talkers, strict=True)):
        leveled = talker_steps(rate, gain, gains.speech)
        heard = {
            each: _steps_in_room(room, index, each, noise.frames, rate)
            for each in (_ANECHOIC, _REVERB)
        }
        to = {_ANECHOIC: (), _REVERB: tuple(heard[_ANECHOIC])}
        # Its level without reflections is that in WHAM!.
        level_db = file.event(leveled).snr
        talkers = {
            each: wham_source(
                f"s{index + 1}",
                file,
                [*steps, Step(match=Match(of=tuple(leveled), to=to[each]))],
                begin_of(start, rate, mode),
                level_db,
            )
            for each, steps in heard.items()
        }
        talker = talkers[kind]
        if kind == _REVERB:
            talker = talker.model_copy(update={"dry": talkers[_ANECHOIC].events})
        sources[talker.name] = talker
    order = MIXTURES[mixed]
    used = [sources[name] for name in sorted(order, key=("s1", "s2", "noise").index)]
    record = wham_mixture(mixture, files, rate, mode, variant.type, used, order=order)
    return _with_official_names(record, used, kind)


def _steps_in_room(room: _Room, talker: int, kind: str, frames: int, rate: int) -> list[Step]:
    """Return what is done to a talker before its level."""
    padded = frames + room.padding(kind)
    return [
        Step(channel=0),
        Step(round_bits=16),
        Step(pad=frames),
        Step(reverberate=room.reverberation(talker, kind)),
        Step(pad=padded + padded % 2),
        *resampled_to(rate),
    ]


def _with_official_names(record: Mixture, sources: Sequence[Source], kind: str) -> Mixture:
    """Return a record with the names that files of talkers have in the official tree."""
    talkers = [source.name for source in sources if source.role == "target"]
    files = {name: f"{name}_{kind}" for name in talkers}
    targets = talkers
    if kind == _REVERB:
        targets = [file_name(name, "dry") for name in talkers]
        files |= {file_name(name, "dry"): f"{name}_{_ANECHOIC}" for name in talkers}
    published = record.published and record.published.model_copy(update={"files": files})
    return record.model_copy(update={"published": published, "targets": targets})


WHAMR = PublishedSet(
    name="whamr",
    importer=import_whamr,
    layout=Layout(name="whamr", mixture="{folder}/{type}/{name}", source="{folder}/{file}/{name}"),
)
