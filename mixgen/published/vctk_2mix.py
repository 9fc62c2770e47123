"""VCTK-2mix: two talkers of VCTK, with noise of WHAM!.

Cosentino et al., "LibriMix: An open-source dataset for generalizable speech separation", 2020,
arXiv 2005.11262, in which it is a second test set. The samples are those of its script
create_VCTKmix_from_metadata.py, which is LibriMix's before that learnt to repeat a noise: a noise
that ends before the talkers ends a mixture of the mode min, also one without noise, and is padded
in one of the mode max. `talkers_and_noise` has the rest.
"""

from pathlib import Path
from typing import Annotated

import typer

from mixgen.core.errors import InputError
from mixgen.manifest.file import Import
from mixgen.published.importing import Corpus, Imported, list_hashes
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

_SCRIPT = "JorisCos/VCTK-2Mix@41fc4f7"
_START = "VCTK2mix_"


def import_vctk2mix(
    metadata: Lists,
    vctk: Annotated[
        Path, typer.Option("--vctk", help="Folder of VCTK, with wav16_cut of the script in it.")
    ],
    wham_noise: Annotated[
        Path, typer.Option("--wham-noise", help="Folder of WHAM! noise, with tt in it.")
    ],
    out: Manifest,
    sample_rate: Rates = None,
    mode: Modes = None,
    types: Types = None,
    fixed: Fixed = False,
    sources: SourceLists = None,
    allow_missing: AllowMissing = False,
) -> Imported:
    """Import VCTK-2mix.

    Example: mixgen import vctk2mix --metadata VCTK2mix_VCTK_md.csv --vctk VCTK-Corpus --wham-noise
    wham_noise --sample-rate 8000 --mode min --type mix_both --out M.jsonl
    """
    kind = TalkersAndNoise(
        talkers=Corpus("vctk", vctk, "--vctk", "vctk", RATE),
        noise=wham_noise_in(wham_noise),
        variants=variants_of(sample_rate, mode, chosen(types, TYPES, "--type"), fixed=fixed),
        tree="VCTK{}Mix",
        split="test",
    )
    mixtures = [mixture for path in metadata for mixture in kind.listed(path, _subset(path))]
    header = Import(published="vctk2mix", lists=list_hashes(metadata), script=_SCRIPT)
    plan = kind.plan(header, "vctk_2mix")
    return plan.write(mixtures, out, sources=sources or (), allow_missing=allow_missing)


def _subset(path: Path) -> str:
    """Return the folder that the script makes for a list: VCTK_md for VCTK2mix_VCTK_md.csv."""
    if not path.stem.startswith(_START) or path.stem.endswith("_info"):
        raise InputError(
            f"The name of {path} is not that of the official list, VCTK2mix_VCTK_md.csv: rename it."
        )
    return path.stem.removeprefix(_START)


VCTK2MIX = PublishedSet(
    name="vctk2mix",
    importer=import_vctk2mix,
    layout=Layout(
        name="vctk2mix",
        mixture="{folder}/{type}/{name}",
        source="{folder}/{file}/{name}",
        needs_ratios=True,
    ),
    write_tables=write_tables,
)
