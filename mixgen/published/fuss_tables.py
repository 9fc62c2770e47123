"""The example lists of FUSS, which its loaders read: `ssdata/train_example_list.txt` and so on."""

from pathlib import Path

from mixgen.core.files import read_lines, write_text
from mixgen.manifest.mixture import MIXTURE, published_of
from mixgen.sets.rendered import RenderedSet, RowsInOrder


def write_tables(rendered: RenderedSet, scratch: Path) -> None:
    """Write the lists of all mixtures of a set; other mixtures in them are kept, and come last.

    Args:
        rendered: the set.
        scratch: folder of the same file system for lists that are not finished.

    Raises:
        InputError: the records of the set cannot be read.
        MachineError: a list cannot be written.
    """
    lists: dict[str, dict[str, str]] = {}
    recorded = RowsInOrder(rendered.record)
    for mixture in rendered.manifest_file:
        rows = {row.name: row for row in recorded.of(mixture.id)}
        if rows.keys() != set(mixture.file_names):
            continue
        published = published_of(mixture)
        names = (MIXTURE, *(source.name for source in mixture.sources))
        files = [rows[name].path.removeprefix(f"{published.folder}/") for name in names]
        subset = published.name.partition("/")[0]
        lines = lists.setdefault(f"{published.folder}/{subset}_example_list.txt", {})
        lines[files[0]] = "\t".join(files)
    for path, lines in lists.items():
        full = rendered.root / path
        earlier = read_lines(full) if full.is_file() else iter(())
        kept = [line for line in earlier if line.partition("\t")[0] not in lines]
        write_text(full, "".join(f"{line}\n" for line in [*lines.values(), *kept]), scratch=scratch)
