"""Whether a separator and a set belong together: rate, channels, number and names of sources."""

from collections.abc import Sequence

from baselines.registry import build
from baselines.separator import Separator
from mixgen.core.errors import InputError
from mixgen.manifest.mixture import Mixture


def stem_names(mixtures: Sequence[Mixture]) -> tuple[str, ...] | None:
    """Names of the targets where they say what a source is (vocals, drums), else None.

    A name says so when its source is called after its label in every mixture; s1 and s2 are two of
    anyone.
    """
    targets = mixtures[0].targets
    for mixture in mixtures:
        of = {file.name: source for source in mixture.sources for file in source.files}
        if mixture.targets != targets or any(of[name].name != of[name].label for name in targets):
            return None
    return tuple(targets)


def build_for(name: str, mixtures: Sequence[Mixture]) -> Separator:
    """Build the untrained separator `name` for the mixtures of a set.

    Raises:
        UsageError: the name is unknown, or the separator does not take such a set.
        InputError: the mixtures differ in rate, channels or number of targets.
    """
    first = mixtures[0]
    _check_alike(mixtures)
    return build(
        name,
        n_src=len(first.targets),
        sample_rate=first.sample_rate,
        channels=first.channels,
        source_names=stem_names(mixtures),
    )


def _check_alike(mixtures: Sequence[Mixture]) -> None:
    shapes = {(m.sample_rate, m.channels, len(m.targets)) for m in mixtures}
    if len(shapes) > 1:
        raise InputError(
            "The mixtures differ in sample rate, channels or number of targets: one separator "
            "takes one kind; make a set for each."
        )


def check_fit(separator: Separator, mixtures: Sequence[Mixture]) -> None:
    """Check that the separator can be run on the mixtures of a set.

    Raises:
        InputError: they differ in sample rate, channels, number or names of sources; both values
            are told.
    """
    for mixture in mixtures:
        _compare("sample rate", separator.sample_rate, mixture.sample_rate, mixture.id)
        _compare("number of channels", separator.channels, mixture.channels, mixture.id)
        _compare("number of sources", separator.n_src, len(mixture.targets), mixture.id)
        if separator.source_names is not None:
            ours, theirs = sorted(separator.source_names), sorted(mixture.targets)
            _compare("list of stems", ", ".join(ours), ", ".join(theirs), mixture.id)


def _compare(what: str, ours: object, theirs: object, mixture_id: str) -> None:
    if ours != theirs:
        raise InputError(
            f"The {what} of the separator is {ours}, that of mixture {mixture_id} is {theirs}: "
            "use a separator trained for such a set."
        )
