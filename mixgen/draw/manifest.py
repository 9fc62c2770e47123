"""Draw a manifest: recipe and sources in, a file of fully decided records out."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path

from mixgen.core.progress import track
from mixgen.core.versions import created_by
from mixgen.corpora.roots import write_roots
from mixgen.corpora.sources import SourceRow, open_sources, sources_sha256
from mixgen.draw.mixtures import MixtureDrawer, draw_mixtures, print_notices, with_slow_warning
from mixgen.draw.ranges import draw_ranges
from mixgen.manifest.file import Header, ManifestFile, RecipeChanges, open_manifest, write_manifest
from mixgen.manifest.uses import with_licence_warning
from mixgen.recipe.changes import changed, recipe_changes
from mixgen.recipe.read import open_recipe
from mixgen.recipe.schema import Recipe


def draw_manifest(
    recipe: str | Path | Recipe,
    sources: Iterable[str | Path | SourceRow],
    out: str | Path,
    *,
    roots: Mapping[str, Path | str] | None = None,
    seed: int | None = None,
    splits: Sequence[str] | None = None,
    mixtures: int | Mapping[str, int] | None = None,
    source_splits: Mapping[str, Sequence[str]] | None = None,
    executor: Executor | None = None,
) -> ManifestFile:
    """Decide every mixture of a recipe and write the manifest.

    Args:
        recipe: a recipe.yaml, the name of a shipped set, or a recipe that was read.
        sources: sources.csv files to draw from, or their rows.
        out: the manifest.jsonl to write.
        roots: folder of each corpus, where `roots.json` beside the sources does not have it.
        seed: another seed than the recipe's.
        splits: only these; all by default.
        mixtures: another number of mixtures than the recipe's, for every split or by split.
        source_splits: for splits of the recipe, the splits of the corpora to take sources from.
        executor: draws on other machines instead; see `mixgen.core.cluster`.

    Raises:
        UsageError: `mixtures` or `source_splits` names a split that the recipe does not have.
        InputError: a file cannot be read, the sources cannot fill the recipe, or a corpus root is
            not known.
        MachineError: the manifest cannot be written.
    """
    out, given, files = Path(out), open_recipe(recipe), list(sources)
    changes = recipe_changes(given, mixtures, source_splits)
    plan = changed(given, changes)
    rows, known_roots = open_sources(files, roots)
    total = sum(r.mixtures for name, r in plan.splits.items() if name in (splits or plan.splits))
    header = draw_header(plan, rows, seed, mixtures=total, changes=changes)
    if executor is None:
        drawn = draw_mixtures(plan, rows, known_roots, seed=seed, splits=splits)
    else:
        make_drawer = functools.partial(MixtureDrawer, seed=seed)
        for split in dict.fromkeys(splits or plan.splits):
            print_notices(make_drawer(plan, rows, known_roots, split))
        elsewhere = draw_ranges(make_drawer, plan, files, known_roots, executor, splits=splits)
        drawn = with_slow_warning(elsewhere)
    write_manifest(out, header, with_licence_warning(track(drawn, "drawing", total)))
    write_roots(out.parent, known_roots)
    return open_manifest(out)


def draw_header(
    recipe: Recipe,
    rows: Sequence[SourceRow],
    seed: int | None = None,
    *,
    mixtures: int | None = None,
    changes: RecipeChanges | None = None,
) -> Header:
    """Return the header of a manifest of so many `mixtures` from a recipe with these `changes`."""
    return Header(
        name=recipe.name,
        task=recipe.task,
        format=recipe.format,
        recipe_sha256=recipe.sha256,
        sources_sha256=sources_sha256(rows),
        seed=recipe.seed if seed is None else seed,
        mixtures=mixtures,
        changes=changes or RecipeChanges(),
        created_by=created_by(),
        layouts={row.corpus: row.layout for row in rows if row.layout},
    )
