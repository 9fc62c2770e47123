"""Render a published set into the tree that its own script makes, with its tables."""

from pathlib import Path
from typing import Any

from mixgen.core.errors import InputError
from mixgen.core.files import scratch_folder
from mixgen.core.locks import file_lock
from mixgen.core.registry import choose
from mixgen.manifest.file import open_manifest
from mixgen.published.published_set import published_sets
from mixgen.render.set import LOCK_FILE, SCRATCH_FOLDER, Outcome, render_set
from mixgen.sets.layout import NATIVE
from mixgen.sets.rendered import RECORDS_FOLDER, RENDERED_FILE, RenderedSet


def render_in_layout(
    manifest: str | Path, out: str | Path, layout: str = NATIVE.name, **options: Any
) -> Outcome:
    """Write the set of a manifest in a layout: `native`, or that of a published set by its name.

    Args:
        manifest: a manifest.jsonl.
        out: folder of the rendered set, or of a tree that other sets may be in.
        layout: name of the layout.
        options: those of `mixgen.render.set.render_set`.

    Raises:
        UsageError: there is no such layout.
        InputError: the layout is not that of the manifest's set; or as `render_set`.
        MachineError: as `render_set`.
    """
    if layout == NATIVE.name:
        return render_set(manifest, out, **options)
    trees = {name: entry for name, entry in published_sets().items() if entry.layout}
    chosen = choose({NATIVE.name: None, **trees}, layout, "layout")
    imported = open_manifest(Path(manifest)).header.imported
    if chosen is None or imported is None or imported.published != chosen.name:
        own = f"{imported.published} or " if imported and imported.published in trees else ""
        raise InputError(f"{manifest} has no layout {layout!r}: give --layout {own}native.")
    outcome = render_set(manifest, out, layout=chosen.layout, **options)
    if chosen.write_tables is not None and (outcome.records / RENDERED_FILE).exists():
        with (
            file_lock(Path(out) / RECORDS_FOLDER / LOCK_FILE),
            scratch_folder(outcome.records / SCRATCH_FOLDER) as scratch,
        ):
            chosen.write_tables(RenderedSet(outcome.records), scratch)
    return outcome
