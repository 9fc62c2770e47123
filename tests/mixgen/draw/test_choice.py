"""Choosing files: equally or independently, distinct labels, and stable under growth."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixgen.core.errors import InputError
from mixgen.corpora.sources import SourceRow
from mixgen.draw.choice import (
    BalancedSampler,
    IndependentSampler,
    LabelSampler,
    WithoutReplacement,
)
from mixgen.draw.songs import songs_with


def _row(label: str, number: int = 0, group: str = "g") -> SourceRow:
    name = f"{label}-{number}"
    return SourceRow(
        source_id=f"c/{group}/{name}",
        corpus="c",
        path=f"{group}/{name}.wav",
        kind="speech",
        label=label,
        group=group,
        split="",
        duration_s=1.0,
        sample_rate=8000,
        channels=1,
        peak=0.5,
        loudness_lufs=-20.0,
        sha256="0" * 64,
        licence="",
        text="",
    )


def _rows(labels: int, each: int) -> list[SourceRow]:
    return [_row(f"spk{label}", number) for label in range(labels) for number in range(each)]


sizes = {"labels": st.integers(2, 7), "each": st.integers(1, 5), "count": st.integers(1, 4)}


@settings(max_examples=25, deadline=None)
@given(**sizes, seed=st.text(max_size=3))
def test_equal_use_after_every_whole_number_of_rounds(
    labels: int, each: int, count: int, seed: str
) -> None:
    rows = _rows(labels, each)
    choice = BalancedSampler(rows, seed, distinct_labels=False)
    count = min(count, len(rows))
    used: Counter[str] = Counter()
    for taken in range(1, 6 * len(rows) + 1):
        used.update(row.source_id for row in choice.take(count))
        counts = [used[row.source_id] for row in rows]
        # Inside a mixture that spans two rounds a file may have to wait for the next mixture.
        assert max(counts) - min(counts) <= (1 if taken * count % len(rows) == 0 else 2)


@settings(max_examples=25, deadline=None)
@given(**sizes, seed=st.text(max_size=3))
def test_once_means_no_file_twice(labels: int, each: int, count: int, seed: str) -> None:
    rows = _rows(labels, each)
    choice = WithoutReplacement(rows, seed, distinct_labels=False, user=" for 's'")
    count = min(count, len(rows))
    taken = [row.source_id for _ in range(len(rows) // count) for row in choice.take(count)]
    assert len(set(taken)) == len(taken)
    with pytest.raises(InputError, match=rf"Of {len(rows)} sources for 's', which may come once"):
        choice.take(count)


def test_once_begins_as_equally_does() -> None:
    rows = _rows(5, 4)
    samplers = [
        choose(rows, "seed", distinct_labels=True)
        for choose in (BalancedSampler, WithoutReplacement)
    ]
    assert len({str([sampler.take(2) for _ in range(5)]) for sampler in samplers}) == 1


@settings(max_examples=25, deadline=None)
@given(**sizes, seed=st.text(max_size=3))
def test_equal_use_with_distinct_labels(labels: int, each: int, count: int, seed: str) -> None:
    count = min(count, labels)
    choice = BalancedSampler(_rows(labels, each), seed, distinct_labels=True)
    used: Counter[str] = Counter()
    for _ in range(5 * labels * each):
        taken = choice.take(count)
        assert len({row.label for row in taken}) == count
        used.update(row.source_id for row in taken)
    assert max(used.values()) - min(used.values()) <= 2
    assert len(used) == labels * each


def test_one_label_with_most_of_the_files_does_not_slow_the_choice() -> None:
    rows = _rows(1, 90) + [_row("other", number) for number in range(3)]
    choice = BalancedSampler(rows, "seed", distinct_labels=True)
    for _ in range(400):
        assert len({row.label for row in choice.take(2)}) == 2
    assert len(choice._left) <= 2 * len(rows)


@settings(max_examples=25, deadline=None)
@given(**sizes, seed=st.text(max_size=3), added=st.integers(0, 8))
def test_a_new_file_changes_only_choices_that_hold_it(
    labels: int, each: int, count: int, seed: str, added: int
) -> None:
    rows = _rows(labels, each)
    new = _row(f"spk{added}", 99)
    count = min(count, labels)
    before = IndependentSampler(rows, distinct_labels=True)
    after = IndependentSampler([new, *rows], distinct_labels=True)
    for index in range(20):
        taken = after.take(count, f"{seed}/{index}")
        assert len({row.label for row in taken}) == count
        assert new in taken or taken == before.take(count, f"{seed}/{index}")


def test_independent_choice_reaches_every_file() -> None:
    rows = _rows(4, 5)
    choice = IndependentSampler(rows, distinct_labels=True)
    used = Counter(row.source_id for n in range(2000) for row in choice.take(2, str(n)))
    assert len(used) == len(rows)
    assert max(used.values()) < 6 * 4000 / len(rows)


def test_independent_choice_does_not_depend_on_the_order_of_rows() -> None:
    rows = _rows(4, 5)
    there, back = (IndependentSampler(r, distinct_labels=True) for r in (rows, rows[::-1]))
    assert [there.take(3, str(n)) for n in range(50)] == [back.take(3, str(n)) for n in range(50)]


@pytest.mark.parametrize("distinct", [True, False])
def test_too_few(distinct: bool) -> None:
    rows = _rows(1, 1)
    words = "2 different (labels|files), and the sources have 1: index more"
    with pytest.raises(InputError, match=words):
        BalancedSampler(rows, "", distinct_labels=distinct).take(2)
    with pytest.raises(InputError, match=words):
        IndependentSampler(rows, distinct_labels=distinct).take(2, "")
    with pytest.raises(InputError, match=words):
        LabelSampler(rows, "", distinct_labels=distinct).take(2)


def test_labels_come_equally_however_many_files_each_has() -> None:
    """Of four talkers, the two who had the most files, all short, took 44 of 60 places."""
    rows = [
        _row(f"spk{n}", number) for n, each in enumerate((3, 3, 8, 8)) for number in range(each)
    ]
    by_file, by_label = (
        sampler(rows, "seed", distinct_labels=True) for sampler in (BalancedSampler, LabelSampler)
    )
    files = Counter(row.label for _ in range(30) for row in by_file.take(2))
    assert files["spk2"] + files["spk3"] > 40
    labels = Counter(row.label for _ in range(30) for row in by_label.take(2))
    assert set(labels.values()) == {15}


@settings(max_examples=25, deadline=None)
@given(**sizes, seed=st.text(max_size=3), distinct=st.booleans())
def test_equal_use_of_labels(labels: int, each: int, count: int, seed: str, distinct: bool) -> None:
    rows = [row for n, row in enumerate(_rows(labels, each + 2)) if n % 7]  # not all as many
    count = min(count, labels)
    choice = LabelSampler(rows, seed, distinct_labels=distinct)
    used: Counter[str] = Counter()
    files: Counter[str] = Counter()
    for _ in range(6 * labels):
        taken = choice.take(count)
        assert len({row.source_id for row in taken}) == count
        assert not distinct or len({row.label for row in taken}) == count
        used.update(row.label for row in taken)
        files.update(row.source_id for row in taken)
    assert max(used.values()) - min(used.values()) <= 2
    for label in used:
        counts = [files[row.source_id] for row in rows if row.label == label]
        assert max(counts) - min(counts) <= 2


def test_a_label_may_come_twice_but_no_file() -> None:
    rows = [*_rows(1, 3), _row("other")]
    choice = LabelSampler(rows, "seed", distinct_labels=False)
    for _ in range(20):
        assert len({row.source_id for row in choice.take(4)}) == 4


def test_labels_differ_from_those_of_others() -> None:
    rows = _rows(3, 4)
    choice = LabelSampler(rows, "seed", distinct_labels=True)
    for number in range(30):
        other = rows[number % len(rows)]
        assert other.label not in {row.label for row in choice.take(2, others=[other])}


def test_songs_need_all_stems() -> None:
    whole = [_row(stem, group="one") for stem in ("vocals", "bass")]
    half = [_row("vocals", group="two")]
    assert songs_with(whole + half, ["vocals", "bass"]) == {
        "c/one": {"vocals": [whole[0]], "bass": [whole[1]]}
    }


def test_a_stem_has_all_of_its_files() -> None:
    rows = [_row("guitar", group="one"), _row("bass", group="one"), _row("guitar", group="one")]
    assert songs_with(rows, ["guitar", "bass"]) == {
        "c/one": {"guitar": [rows[0], rows[2]], "bass": [rows[1]]}
    }
