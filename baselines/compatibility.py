"""Whether a separator fits a set: sample rate, channels, number and names of sources."""

from collections.abc import Sequence

from baselines.registry import build, model_spec
from baselines.separator import Separator
from mixgen.core.errors import InputError
from mixgen.manifest.mixture import Mixture

STREAMS = 2
"""Estimates for meetings, where few moments have more talkers at a time."""


def stem_names(mixtures: Sequence[Mixture]) -> tuple[str, ...] | None:
    """Return the names of the targets if they are stems (vocals, drums), else None.

    Targets are stems if the name of each is its label in every mixture. Names like s1 and s2 do not
    identify a source: any talker can be s1.
    """
    targets = mixtures[0].targets
    if not targets:
        return None
    for mixture in mixtures:
        source_of = mixture.source_of
        if mixture.targets != targets:
            return None
        if any(source_of[name].name != source_of[name].label for name in targets):
            return None
    return tuple(targets)


def build_for(name: str, mixtures: Sequence[Mixture]) -> Separator:
    """Build the untrained separator `name` for the mixtures of a set.

    For mixtures of different numbers of targets it returns as many estimates as the mixture with
    most of them has. If it has parameters, it learns which of them hold a source.

    Raises:
        UsageError: the name is unknown, or the separator cannot be built for the set.
        InputError: the mixtures differ in sample rate or channels, or in their number of targets
            and the separator cannot learn that.
    """
    rate, channels = _rate_and_channels(mixtures)
    counts = {len(mixture.targets) for mixture in mixtures}
    spec = model_spec(name)
    learns_count = spec.tiny is not None and not spec.separator.learns_silence
    separator = build(
        name,
        n_src=max(*counts, 1),
        source_names=stem_names(mixtures),
        fewest=min(counts) if len(counts) > 1 and learns_count else None,
        sample_rate=rate,
        channels=channels,
    )
    _require_silence(name, separator)
    return separator


def build_for_streams(name: str, mixtures: Sequence[Mixture], *, window_s: float) -> Separator:
    """Build the untrained separator `name` for meetings of any number of talkers.

    It returns two streams, on which the talkers in a window of `window_s` seconds take turns.

    Raises:
        UsageError, InputError: as `build_for`.
    """
    rate, channels = _rate_and_channels(mixtures)
    separator = build(
        name,
        n_src=STREAMS,
        sample_rate=rate,
        channels=channels,
        fewest=0,
        stream_window_s=window_s,
    )
    _require_silence(name, separator)
    return separator


def _rate_and_channels(mixtures: Sequence[Mixture]) -> tuple[int, int]:
    if len({(m.sample_rate, m.channels) for m in mixtures}) > 1:
        raise InputError(
            "The mixtures differ in sample rate or channels, and one separator takes only one "
            "kind: make a set for each."
        )
    return mixtures[0].sample_rate, mixtures[0].channels


def _require_silence(name: str, separator: Separator) -> None:
    """Raise InputError if estimates have to be silent at times, and those of the system cannot."""
    if separator.counts_vary and separator.assigns_whole_bins:
        raise InputError(
            f"{name} gives every bin to one of its estimates, so that none of them can be silent, "
            "and the number of targets varies: use another separator, or make a set for each "
            "number."
        )


def check_compatible(separator: Separator, mixtures: Sequence[Mixture]) -> None:
    """Check that the separator can separate the mixtures of a set.

    One that finds the number of sources takes mixtures of any number: those beyond its estimates
    are missed. One that gets enrolments returns an estimate for each, whatever it was built for.
    Others, where the mixtures differ in their number of targets or have none, have to return as
    many estimates as the mixture with most of them has, or more.

    Raises:
        InputError: they differ in sample rate, channels, number or names of sources; the message
            has both values.
    """
    counts = {len(mixture.targets) for mixture in mixtures}
    may_be_fewer = len(counts) > 1 or counts == {0}
    any_number = (
        separator.counts_vary
        or separator.estimates_targets
        or (may_be_fewer and separator.n_src >= max(counts))
    )
    for mixture in mixtures:
        _compare("sample rate", separator.sample_rate, mixture.sample_rate, mixture.id)
        _compare("number of channels", separator.channels, mixture.channels, mixture.id)
        if not any_number:
            _compare("number of sources", separator.n_src, len(mixture.targets), mixture.id)
        if separator.source_names is not None:
            ours, theirs = sorted(separator.source_names), sorted(mixture.targets)
            _compare("list of stems", ", ".join(ours), ", ".join(theirs), mixture.id)


def _compare(what: str, ours: object, theirs: object, mixture_id: str) -> None:
    if ours != theirs:
        raise InputError(
            f"The {what} of the separator is {ours}, that of mixture {mixture_id} is {theirs}: "
            "use a separator that was trained on mixtures of this kind."
        )
