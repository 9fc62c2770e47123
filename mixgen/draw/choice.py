"""Samplers: which of the candidate files a mixture uses.

- `BalancedSampler` uses every file once before it uses any file again;
- `LabelSampler` uses every label once before any comes again, and so the files of each label;
- `WithoutReplacement` uses every file once;
- `IndependentSampler` draws with replacement from each mixture's seed.

None gives one mixture two files of one label where labels must differ. All cost the same per
mixture, however many files there are.
"""

import bisect
import hashlib
import itertools
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Sequence

import numpy as np

from mixgen.core.errors import InputError
from mixgen.corpora.sources import SourceRow

Usable = Callable[[SourceRow], bool]

_RING_POINTS = 16
_MOST_ROUNDS_WAITING = 2


class BalancedSampler:
    """Gives out files in rounds: each is used once before any is used again.

    A file waits for the next round only where labels must differ and no file of another label is
    left. The order is one fixed sequence for a seed, so mixtures have to ask in their order.
    """

    def __init__(
        self, rows: Sequence[SourceRow], seed: str, *, distinct_labels: bool, user: str = ""
    ) -> None:
        self._rows = list(rows)
        self._seed = seed
        self._distinct = distinct_labels
        self._supply = _Supply(rows, distinct_labels, user)
        self._round = 0
        self._left: deque[SourceRow] = deque()

    def take(
        self,
        count: int,
        _seed: str = "",
        others: Sequence[SourceRow] = (),
        *,
        usable: Usable = lambda _: True,
    ) -> list[SourceRow]:
        """Return the next `count` files, of different labels (also from `others`) where required.

        Files that are not `usable` now wait, as those do whose label is taken.

        Raises:
            InputError: there are fewer labels (or files) than `count`.
        """
        self._supply.check(count, others)
        taken: list[SourceRow] = []
        passed: list[SourceRow] = []
        while len(taken) < count:
            if not self._left:
                self._begin_round(passed)
            row = self._left.popleft()
            fits = usable(row) and _fits(row, [*others, *taken], self._distinct)
            (taken if fits else passed).append(row)
        # What did not fit waits at the front, so that it is used before any file comes again.
        self._left.extendleft(reversed(passed))
        return taken

    def _begin_round(self, waiting: Sequence[SourceRow]) -> None:
        """Shuffle all files; one that has waited for two rounds, for a frequent label, sits out."""
        rounds = Counter(row.source_id for row in waiting)
        digest = hashlib.sha256(f"{self._seed}/{self._round}".encode()).digest()
        # The old generator, because numpy promises never to change its numbers.
        random = np.random.RandomState(np.frombuffer(digest, "<u4"))
        shuffled = (self._rows[i] for i in random.permutation(len(self._rows)))
        self._left.extend(row for row in shuffled if rounds[row.source_id] < _MOST_ROUNDS_WAITING)
        self._round += 1


class WithoutReplacement(BalancedSampler):
    """Gives out one round: no file comes twice."""

    def _begin_round(self, waiting: Sequence[SourceRow]) -> None:
        if self._round:
            raise InputError(
                f"Of {len(self._rows)} sources{self._supply.user}, which may come once, not enough "
                "are left: make fewer mixtures, or let them come again (`use: equally`)."
            )
        super()._begin_round(waiting)


class IndependentSampler:
    """Draws files with replacement from the mixture's seed.

    Files sit on a ring at hashes of their identity, and a draw takes the next one. A file that is
    added to the corpus therefore changes only the mixtures that use it.
    """

    def __init__(
        self, rows: Sequence[SourceRow], _seed: str = "", *, distinct_labels: bool, user: str = ""
    ) -> None:
        self._distinct = distinct_labels
        self._supply = _Supply(rows, distinct_labels, user)
        points = [
            (ring_hash(f"{row.source_id}#{n}"), row) for row in rows for n in range(_RING_POINTS)
        ]
        points.sort(key=lambda point: (point[0], point[1].source_id))
        self._positions = [position for position, _ in points]
        self._owners = [row for _, row in points]

    def take(
        self,
        count: int,
        seed: str,
        others: Sequence[SourceRow] = (),
        *,
        usable: Usable = lambda _: True,
    ) -> list[SourceRow]:
        """Return `count` usable files for the mixture with this seed, unlike `others` in label.

        Raises:
            InputError: there are fewer labels (or files) than `count`.
        """
        self._supply.check(count, others)
        taken: list[SourceRow] = []
        for number in range(count):
            position = ring_hash(f"{seed}/{number}")
            taken.append(self._next(position, [*others, *taken], usable))
        return taken

    def _next(self, position: int, taken: Sequence[SourceRow], usable: Usable) -> SourceRow:
        """Return the first file on the ring, from `position` on, that goes with `taken`."""
        start = bisect.bisect_left(self._positions, position)
        around = itertools.chain(range(start, len(self._owners)), range(start))
        return next(
            self._owners[index]
            for index in around
            if usable(self._owners[index]) and _fits(self._owners[index], taken, self._distinct)
        )


class LabelSampler:
    """Gives out labels in rounds, and the files of each label in rounds.

    Talkers thus come equally often, however many files each has.
    """

    def __init__(
        self, rows: Sequence[SourceRow], seed: str, *, distinct_labels: bool, user: str = ""
    ) -> None:
        self._distinct = distinct_labels
        self._supply = _Supply(rows, distinct_labels, user)
        self._files = by_owner(rows)
        firsts = [files[0] for files in self._files.values()]
        self._labels = BalancedSampler(firsts, seed, distinct_labels=distinct_labels, user=user)
        self._of_label = {
            owner: BalancedSampler(files, f"{seed}/{owner}", distinct_labels=False)
            for owner, files in self._files.items()
        }

    def take(
        self, count: int, _seed: str = "", others: Sequence[SourceRow] = ()
    ) -> list[SourceRow]:
        """Return files of the next `count` labels, different (also from `others`) where required.

        Raises:
            InputError: there are fewer labels (or files) than `count`.
        """
        self._supply.check(count, others)
        wanted: Counter[str] = Counter()
        labels: list[SourceRow] = []
        for _ in range(count):
            # Where a label may come twice, a file may not.
            (label,) = self._labels.take(
                1,
                others=[*others, *labels] if self._distinct else (),
                usable=lambda row: wanted[row.owner] < len(self._files[row.owner]),
            )
            wanted[label.owner] += 1
            labels.append(label)
        files = {owner: self._of_label[owner].take(number) for owner, number in wanted.items()}
        return [files[label.owner].pop(0) for label in labels]


FileSampler = BalancedSampler | IndependentSampler

SAMPLERS: dict[str, type[FileSampler]] = {
    "equally": BalancedSampler,
    "once": WithoutReplacement,
    "independently": IndependentSampler,
}


class TalkerSampler:
    """Draws talkers, and utterances of each, both by the same kind of sampler.

    It also serves rooms and the responses in them. Of every talker's files, `spare` are never used
    in one mixture.
    """

    def __init__(
        self,
        rows: Sequence[SourceRow],
        seed: str,
        sampler: type[FileSampler],
        *,
        spare: int = 0,
        user: str = "",
    ) -> None:
        self._spare = spare
        self._files = by_owner(rows)
        firsts = [files[0] for files in self._files.values()]
        self._talkers = sampler(firsts, seed, distinct_labels=True, user=user)
        self._utterances = {
            owner: sampler(files, f"{seed}/{files[0].label}", distinct_labels=False, user=user)
            for owner, files in self._files.items()
        }

    def most_files(self) -> int:
        """Return the largest number of files of one talker."""
        return max(map(len, self._files.values()))

    def take(
        self,
        utterances: Sequence[int],
        seed: str,
        others: Sequence[SourceRow] = (),
        *,
        least_files: int = 0,
    ) -> list[list[SourceRow]]:
        """Return files of different talkers, for each as many as `utterances` asks for.

        A talker with fewer files gives all of them; one with fewer than `least_files`, which must
        be at most `most_files()`, waits for another mixture.

        Raises:
            InputError: there are fewer talkers than `utterances` has numbers.
        """
        talkers = self._talkers.take(
            len(utterances),
            seed,
            others,
            usable=lambda row: len(self._files[row.owner]) >= least_files,
        )
        return [
            self._utterances[talker.owner].take(
                min(wanted, len(self._files[talker.owner]) - self._spare), f"{seed}/{talker.label}"
            )
            for talker, wanted in zip(talkers, utterances, strict=True)
        ]


class EnrolmentSampler:
    """Draws, for a talker of a mixture, another utterance of this talker.

    Every utterance is equally likely, and one that is added to the corpus changes only the mixtures
    that use it.
    """

    def __init__(self, rows: Sequence[SourceRow]) -> None:
        self._files = by_owner(rows)

    def take(self, talker: str, in_mixture: Collection[str], seed: str) -> SourceRow:
        """Return an utterance by a talker (an `owner`) that is none of `in_mixture` (source_ids).

        Raises:
            InputError: the talker has no other.
        """
        others = [row for row in self._files[talker] if row.source_id not in in_mixture]
        if not others:
            raise InputError(
                f"{talker!r} has no utterance left to enrol with: index more of each talker, or "
                "use fewer in a mixture."
            )
        return min(others, key=lambda row: ring_hash(f"{seed}/{row.source_id}"))


def by_owner(rows: Iterable[SourceRow]) -> dict[str, list[SourceRow]]:
    """Return the files of every talker, or of every room."""
    files: dict[str, list[SourceRow]] = defaultdict(list)
    for row in rows:
        files[row.owner].append(row)
    return files


def ring_hash(text: str) -> int:
    """Return a number from 0 to 2^64 that looks random and depends on `text` alone."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def _identity(row: SourceRow, distinct_labels: bool) -> str:
    """Return what must not come twice in a mixture: the label, or the file."""
    return row.label if distinct_labels else row.source_id


def _fits(row: SourceRow, taken: Sequence[SourceRow], distinct_labels: bool) -> bool:
    identity = _identity(row, distinct_labels)
    return all(identity != _identity(other, distinct_labels) for other in taken)


class _Supply:
    """The labels (or files) of a sampler, to refuse mixtures that need more of them.

    `user` says who needs them, as in " for 's' in split 'test'".
    """

    def __init__(self, rows: Sequence[SourceRow], distinct_labels: bool, user: str) -> None:
        self._distinct = distinct_labels
        self._supply = frozenset(_identity(row, distinct_labels) for row in rows)
        self.user = user

    def check(self, count: int, others: Sequence[SourceRow]) -> None:
        """Raise InputError if fewer than `count` are left without those of `others`."""
        # The few others are looked up among the many, so that it costs the same in any corpus.
        used = self._supply.intersection(_identity(row, self._distinct) for row in others)
        left = len(self._supply) - len(used)
        if left < count:
            what = "labels" if self._distinct else "files"
            raise InputError(
                f"A mixture needs {count} different {what}{self.user}, and the sources have "
                f"{left}{' more' if used else ''}: index more, take them from more splits "
                "(`--splits`), or use fewer sources."
            )
