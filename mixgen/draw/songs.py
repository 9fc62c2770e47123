"""Which songs the music stems of a mixture come from: one, one for each, or songs that match."""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence

from mixgen.audio.activity import Activity
from mixgen.core.errors import InputError
from mixgen.corpora.song_tags import SongTags, tags_of
from mixgen.corpora.sources import SourceRow
from mixgen.draw.choice import SAMPLERS, ring_hash
from mixgen.recipe.schema import Recipe
from mixgen.recipe.song_match import match_song
from mixgen.recipe.source_group import SourceGroup

_SHOWN = 3

Song = dict[str, list[SourceRow]]  # stem -> its files, of which there may be several


def songs_with(rows: Sequence[SourceRow], stems: Sequence[str]) -> dict[str, Song]:
    """Return, by song, the files of `stems`, for the songs that have them all."""
    songs: dict[str, Song] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row.label in stems:
            songs[_song_of(row)][row.label].append(row)
    return {name: parts for name, parts in sorted(songs.items()) if len(parts) == len(stems)}


def _song_of(row: SourceRow) -> str:
    return f"{row.corpus}/{row.group}"


class SongSampler:
    """Gives the stems of every mixture of a split their files.

    `notices` are sentences on songs that are skipped.

    Raises:
        InputError: no song has all stems, with sound in them where the recipe asks for salient
            excerpts, and with tags where songs have to match.
    """

    def __init__(
        self,
        recipe: Recipe,
        stems: Sequence[SourceGroup],
        rows: Sequence[SourceRow],
        seed: str,
        split: str,
    ) -> None:
        self._stems = stems
        self._rule = recipe.songs
        self.notices: list[str] = []
        whole = self._whole(rows, split)
        self._songs = self._usable(recipe, whole, split)
        self._partners: dict[tuple[str, str], list[str]] = {}
        self._tags = {name: _tags(song) for name, song in self._songs.items()}
        leads = [song[stems[0].stem][0] for song in self._songs.values()]
        user = f" for the songs of split {split!r}"
        self._sampler = SAMPLERS[recipe.songs.use](leads, seed, distinct_labels=False, user=user)

    def _whole(self, rows: Sequence[SourceRow], split: str) -> dict[str, Song]:
        """Return the songs of a split that have all stems."""
        stems = [group.stem for group in self._stems]
        whole = songs_with(rows, stems)
        of_song: dict[str, set[str]] = defaultdict(set)
        for row in rows:
            of_song[_song_of(row)].add(row.label)
        lacking = [
            f"{song} lacks {' and '.join(stem for stem in stems if stem not in has)}"
            for song, has in sorted(of_song.items())
            if song not in whole
        ]
        if not whole:
            raise InputError(
                f"No song of split {split!r} has all of the stems {', '.join(stems)} "
                f"({_some(lacking)}): index more, or leave stems out."
            )
        self._skip(lacking, len(of_song), split)
        return whole

    def _skip(self, reasons: Sequence[str], songs: int, split: str) -> None:
        if reasons:
            self.notices.append(
                f"Skipped {len(reasons)} of {songs} song(s) of split {split!r}: {_some(reasons)}."
            )

    def _usable(self, recipe: Recipe, songs: dict[str, Song], split: str) -> dict[str, Song]:
        """Return the songs that have the sound and the tags that a recipe asks for."""
        names = ", ".join(group.stem for group in self._stems)
        sounding = {
            name: song for name, song in songs.items() if _sounds(recipe, self._stems, song)
        }
        if not sounding:
            raise InputError(
                f"No song has an excerpt in which all of {names} sound as long as `salient` asks "
                "for: ask for less, or for shorter mixtures."
            )
        quiet = [f"{name} has no salient excerpt" for name in songs if name not in sounding]
        self._skip(quiet, len(songs), split)
        if recipe.songs.match is None or recipe.songs.coherent == 1:
            return sounding
        tagged = {name: song for name, song in sounding.items() if _tags(song).tempo_bpm}
        if not tagged:
            raise InputError(
                "The songs have no tempo to match: list tempo_bpm and key of each in tags.csv in "
                "the root of the corpus, and index it again."
            )
        untagged = [f"{name} has no tempo" for name in sounding if name not in tagged]
        self._skip(untagged, len(songs), split)
        return tagged

    def take(self, seed: str, *, coherent: bool) -> dict[str, list[list[SourceRow]]]:
        """Return the files of every stem by its group, for the mixture with this seed."""
        if coherent or self._rule.match is None:
            # With fewer songs than stems, the songs are used in turn.
            wanted = 1 if coherent else min(len(self._stems), len(self._songs))
            names = [_song_of(lead) for lead in self._sampler.take(wanted, seed)]
            songs = list(itertools.islice(itertools.cycle(names), len(self._stems)))
        else:
            (lead,) = self._sampler.take(1, seed)
            songs = self._matching(_song_of(lead), seed)
        return {
            group.name: [self._songs[song][group.stem]]
            for group, song in zip(self._stems, songs, strict=True)
        }

    def _matching(self, lead: str, seed: str) -> list[str]:
        """Return a song for every stem: `lead`, and songs that match it for the others.

        They differ as long as there are enough; where none matches, `lead` gives the stem, too.
        """
        songs = [lead]
        for group in self._stems[1:]:
            matching = self._partners_of(lead, group.name)
            fresh = [song for song in matching if song not in songs] or matching
            songs.append(min(fresh, key=lambda song: ring_hash(f"{seed}/{song}"), default=lead))
        return songs

    def _partners_of(self, lead: str, group: str) -> list[str]:
        """Return the songs whose stem for a group matches the song `lead`."""
        if (lead, group) not in self._partners:
            rule, leading = self._rule.match, self._tags[lead]
            self._partners[lead, group] = [
                name
                for name, tags in self._tags.items()
                if rule and name != lead and match_song(rule, group, tags, leading) is not None
            ]
        return self._partners[lead, group]


def _tags(song: Song) -> SongTags:
    """Return the tags of a song, which are in the text of its first file."""
    return tags_of(next(iter(song.values()))[0].text)


def _some(reasons: Sequence[str]) -> str:
    """Return the first few of many reasons."""
    more = [f"{len(reasons) - _SHOWN} more"] if len(reasons) > _SHOWN else []
    return ", ".join([*reasons[:_SHOWN], *more])


def _sounds(recipe: Recipe, stems: Sequence[SourceGroup], song: Song) -> bool:
    """Return whether a song has the excerpts that a recipe asks for."""
    files = [(song[group.stem], group.salient) for group in stems]
    together = [files] if recipe.songs.coherent > 0 else [[stem] for stem in files]
    seconds = recipe.duration.seconds or 0.0
    return all(common_starts(some, seconds) != [] for some in together)


def salient_starts(files: Sequence[SourceRow], least_share: float, seconds: float) -> list[float]:
    """Return the starts of excerpts in which a file of a stem sounds for at least `least_share`.

    Raises:
        InputError: the list of sources does not say when there is sound in a file.
    """
    starts: set[float] = set()
    for row in files:
        if not row.active:
            raise InputError(
                f"`salient` needs to know when there is sound in {row.source_id!r}, which its "
                "sources.csv does not have: index its corpus again."
            )
        starts.update(Activity(row.active, row.duration_s).starts(seconds, least_share))
    return sorted(starts)


def common_starts(
    stems: Iterable[tuple[Sequence[SourceRow], float | None]], seconds: float
) -> list[float] | None:
    """Return the starts at which every stem sounds for its share; None if no stem has a share.

    Raises:
        InputError: as `salient_starts`.
    """
    found = [
        set(salient_starts(files, share, seconds)) for files, share in stems if share is not None
    ]
    return sorted(set.intersection(*found)) if found else None
