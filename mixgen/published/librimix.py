"""LibriMix: two or more talkers of LibriSpeech, with noise of WHAM!.

Cosentino et al., "LibriMix: An open-source dataset for generalizable speech separation", 2020,
arXiv 2005.11262. The samples are those of its script create_librimix_from_metadata.py.

If the noise is shorter than the longest talker, it is repeated with crossfades;
`talkers_and_noise` has the rest.
"""

from pathlib import Path
from typing import Annotated

import typer

from mixgen.core.errors import InputError
from mixgen.core.progress import print_status
from mixgen.manifest.file import Import
from mixgen.published.importing import Corpus, Imported, list_hashes
from mixgen.published.librimix_noise import make_missing_copies
from mixgen.published.librimix_tables import write_tables
from mixgen.published.options import (
    AllowMissing,
    Fixed,
    Lists,
    Manifest,
    Modes,
    Rates,
    SourceLists,
    chosen,
)
from mixgen.published.published_set import PublishedSet
from mixgen.published.talkers_and_noise import (
    RATE,
    TYPES,
    TalkersAndNoise,
    Types,
    wham_noise_in,
)
from mixgen.published.variants import variants_of
from mixgen.sets.layout import Layout

_SCRIPT = "JorisCos/LibriMix@b898ca3"
_CROSSFADE = 8001  # half of a Hann window of a second, with its middle


def import_librimix(
    metadata: Lists,
    librispeech: Annotated[
        Path, typer.Option("--librispeech", help="Folder of LibriSpeech, with test-clean in it.")
    ],
    out: Manifest,
    wham_noise: Annotated[
        Path | None, typer.Option("--wham-noise", help="Folder of WHAM! noise, with tt in it.")
    ] = None,
    sample_rate: Rates = None,
    mode: Modes = None,
    types: Types = None,
    fixed: Fixed = False,
    sources: SourceLists = None,
    allow_missing: AllowMissing = False,
) -> Imported:
    """Import Libri2Mix, Libri3Mix, and lists of more talkers.

    Without --wham-noise, the type is mix_clean.

    Example: mixgen import librimix --metadata libri2mix_test-clean.csv --librispeech LibriSpeech
    --wham-noise wham_noise --sample-rate 8000 --mode min --type mix_both --out M.jsonl
    """
    types = chosen(types, TYPES if wham_noise else TYPES[:1], "--type")
    noisy = types != ["mix_clean"]
    kind = TalkersAndNoise(
        talkers=Corpus("librispeech", librispeech, "--librispeech", "librispeech", RATE),
        noise=wham_noise_in(wham_noise) if wham_noise and noisy else None,
        variants=variants_of(sample_rate, mode, types, fixed=fixed),
        tree="Libri{}Mix",
        crossfade=_CROSSFADE,
    )
    mixtures = [mixture for path in metadata for mixture in kind.listed(path, _subset(path))]
    if wham_noise is not None and noisy:
        made = make_missing_copies(wham_noise, (mixture.files[-1][1] for mixture in mixtures))
        if made:
            print_status(f"noises: made {made} at other speeds in {wham_noise}.")
    talkers = sorted({len(mixture.files) - noisy for mixture in mixtures})
    header = Import(published="librimix", lists=list_hashes(metadata), script=_SCRIPT)
    plan = kind.plan(header, f"libri{'_'.join(map(str, talkers))}mix")
    return plan.write(mixtures, out, sources=sources or (), allow_missing=allow_missing)


def _subset(path: Path) -> str:
    """Return the folder that LibriMix makes for a list: test for libri2mix_test-clean.csv."""
    start, _, subset = path.stem.partition("mix_")
    if not (start and subset):
        raise InputError(
            f"The name of {path} does not say which subset it is: call it as the official lists "
            "are, such as libri2mix_test-clean.csv."
        )
    return subset.replace("-clean", "")


LIBRIMIX = PublishedSet(
    name="librimix",
    importer=import_librimix,
    layout=Layout(
        name="librimix",
        mixture="{folder}/{type}/{name}",
        source="{folder}/{file}/{name}",
        needs_ratios=True,
    ),
    write_tables=write_tables,
)
