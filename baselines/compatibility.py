"""Whether a separator fits a set: sample rate, channels, number and names of sources."""

from collections.abc import Sequence

from baselines.registry import build
from baselines.separator import Separator
from mixgen.core.errors import InputError
from mixgen.manifest.mixture import Mixture


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

    A separator without parameters may get mixtures of different numbers of targets, and returns as
    many estimates as the mixture with most of them has.

    Raises:
        UsageError: the name is unknown, or the separator cannot be built for the set.
        InputError: the mixtures differ in sample rate or channels, or those to train on in their
            number of targets.
    """
    first = mixtures[0]
    counts = {len(mixture.targets) for mixture in mixtures}
    if len({(m.sample_rate, m.channels) for m in mixtures}) > 1:
        raise InputError(
            "The mixtures differ in sample rate or channels, and one separator takes only one "
            "kind: make a set for each."
        )
    separator = build(
        name,
        n_src=max(*counts, 1),
        sample_rate=first.sample_rate,
        channels=first.channels,
        source_names=stem_names(mixtures),
    )
    if len(counts) > 1 and separator.trainable and not separator.learns_silence:
        raise InputError(
            f"The mixtures have {min(counts)} to {max(counts)} targets, and {name} learns from "
            "mixtures of one number: make a set for each."
        )
    return separator


def check_compatible(separator: Separator, mixtures: Sequence[Mixture]) -> None:
    """Check that the separator can separate the mixtures of a set.

    Where the mixtures differ in their number of targets, or have none, the separator has to return
    as many estimates as the mixture with most of them has, or more. One that is told what to
    estimate returns that, whatever it was built for.

    Raises:
        InputError: they differ in sample rate, channels, number or names of sources; the message
            has both values.
    """
    counts = {len(mixture.targets) for mixture in mixtures}
    may_be_fewer = len(counts) > 1 or counts == {0}
    enough = separator.estimates_targets or (may_be_fewer and separator.n_src >= max(counts))
    for mixture in mixtures:
        _compare("sample rate", separator.sample_rate, mixture.sample_rate, mixture.id)
        _compare("number of channels", separator.channels, mixture.channels, mixture.id)
        if not enough:
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
