"""Plan a score of folders that other programs wrote, without a manifest."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from evalsuite.metrics import select
from evalsuite.scoring.estimates import carry_names
from evalsuite.scoring.inputs import files_sha256
from evalsuite.scoring.plan import Plan
from evalsuite.scoring.records import EstimatesRun
from evalsuite.scoring.scene import Scene
from mixgen.audio.read import audio_info
from mixgen.core.errors import InputError, UsageError
from mixgen.core.files import canonical_json, sha256_bytes
from mixgen.sets.trees import MIXTURE_NAMES, STEMS, Tree, read_mixtures, read_tree


@dataclass(frozen=True, kw_only=True)
class Pairing:
    """Which estimates are scored against which references.

    Attributes:
        plan: of the score.
        summary: one sentence on what is paired with what.
        unmatched: one sentence for each file or mixture without a counterpart.
    """

    plan: Plan
    summary: str
    unmatched: list[str] = field(default_factory=list)


def pair_folders(
    references: Path,
    estimates: Path,
    *,
    mixtures: Path | None = None,
    name: str | None = None,
    task: str | None = None,
    layout: str | None = None,
    sources: Sequence[str] | None = None,
    metrics: Sequence[str] | None = None,
) -> Pairing:
    """Pair the files of folders by their names, and plan their score.

    Estimates that have the names of stems, and of the references, are scored against these; all
    others by the best permutation.

    Args:
        references: folder of `ID/SOURCE`, `SOURCE/ID` or `ID_SOURCE` files.
        estimates: folder in any of these layouts.
        mixtures: folder of `ID` or `ID/mixture` files; by default the mixtures among the
            references, if there are any.
        name: of the system; by default that of the folder of estimates.
        task: of the set; by default music separation for the stems of songs, else speech
            separation.
        layout: of the references; found out by default.
        sources: names of the references to score; by default all but mixtures.
        metrics: names of metrics; by default those of the task.

    Raises:
        InputError: a folder holds no audio, its layout is not clear, or nothing fits together.
        UsageError: a source, layout, task or metric does not exist.
    """
    known = {path.stem for path in mixtures.iterdir()} if mixtures and mixtures.is_dir() else set()
    tree = read_tree(references, layout=layout, ids=known)
    chosen = _choose_sources(tree, sources)
    targets = {i: {s: files[s] for s in chosen if s in files} for i, files in tree.files.items()}
    targets = {i: files for i, files in targets.items() if files}
    found = read_tree(estimates, ids=targets.keys())
    if not targets.keys() & found.files.keys():
        raise InputError(
            f"No estimate fits a reference: {references} has mixtures such as {min(targets)}, "
            f"{estimates} such as {min(found.files)}."
        )
    named = carry_names(found.sources, chosen)
    names = chosen if named else found.sources
    mixture_of = find_mixtures(tree, mixtures, targets.keys())
    scenes = [
        _scene(i, targets[i], found.files.get(i, {}), mixture_of.get(i), named=named)
        for i in sorted(targets)
    ]
    task = task or ("music_separation" if STEMS & set(chosen) else "speech_separation")
    counts_vary = len({len(files) for files in targets.values()}) > 1
    rate = scenes[0].sample_rate
    set_hash = set_sha256(targets, mixture_of)
    plan = Plan(
        set_name=references.resolve().name,
        set_sha256=set_hash,
        manifest_sha256=set_hash,
        task=task,
        split=None,
        scenes=scenes,
        estimates=EstimatesRun(
            schema="estimates/1",
            model=name or estimates.resolve().name,
            manifest_sha256=set_hash,
            named=named,
            estimates=list(names),
            sample_rate=rate,
        ),
        estimates_record_sha256=sha256_bytes(canonical_json([named, *names]).encode()),
        metrics=select(task=task, sample_rate=rate, metrics=metrics, counts_vary=counts_vary),
        cache=None,
    )
    summary = (
        f"{len(targets.keys() & found.files.keys())} mixtures: references {', '.join(chosen)} "
        f"({tree.layout}) with estimates {', '.join(names)} ({found.layout}), "
        f"{'by name' if named else 'by the best permutation'}, "
        f"{'with' if mixture_of else 'without'} mixtures"
    )
    unmatched = list(_unmatched(tree, found, targets, names))
    return Pairing(plan=plan, summary=summary, unmatched=unmatched)


def _choose_sources(tree: Tree, sources: Sequence[str] | None) -> list[str]:
    known = [source for source in tree.sources if source not in MIXTURE_NAMES]
    for source in sources or ():
        if source not in tree.sources:
            raise UsageError(
                f"{tree.folder} has no source {source!r}; there are {', '.join(tree.sources)}."
            )
    chosen = list(sources or known)
    if not chosen:
        raise InputError(f"{tree.folder} holds mixtures alone: give the folder of references.")
    return chosen


def find_mixtures(tree: Tree, folder: Path | None, ids: Iterable[str]) -> Mapping[str, Path]:
    """Return the mixtures of a folder, or those among the references; empty without any.

    Raises:
        InputError: the folder lacks a mixture, or there are several among the references.
    """
    if folder is not None:
        return read_mixtures(folder, set(ids))
    kinds = sorted(MIXTURE_NAMES & set(tree.sources))
    if len(kinds) > 1:
        raise InputError(
            f"{tree.folder} has several mixtures ({', '.join(kinds)}): give one of their folders "
            "with --mixtures."
        )
    return {i: tree.files[i][kind] for kind in kinds for i in ids if kind in tree.files[i]}


def _scene(
    mixture_id: str,
    references: Mapping[str, Path],
    estimates: Mapping[str, Path],
    mixture: Path | None,
    *,
    named: bool,
) -> Scene:
    info = audio_info(next(iter(references.values())))
    names = references if named else sorted(estimates)
    return Scene(
        id=mixture_id,
        references=references,
        estimates={name: estimates.get(name) for name in names},
        mixture=mixture,
        sample_rate=info.sample_rate,
        duration_s=info.duration_s,
    )


def set_sha256(references: Mapping[str, Mapping[str, Path]], mixtures: Mapping[str, Path]) -> str:
    """Return the hash of a set without a manifest: two folders of estimates rank together.

    Args:
        references: mixture id to name to file.
        mixtures: mixture id to file, where there is one.
    """
    names = [[i, *references[i]] for i in sorted(references)]
    paths = [
        path for i in sorted(references) for path in (mixtures.get(i), *references[i].values())
    ]
    return sha256_bytes(canonical_json([names, files_sha256(paths)]).encode())


def _unmatched(
    tree: Tree, found: Tree, targets: Mapping[str, object], names: Sequence[str]
) -> Iterable[str]:
    """Yield a sentence for each file or mixture that has no counterpart."""
    for path in (*tree.others, *found.others):
        yield f"{path} fits no layout"
    for mixture_id in sorted(targets.keys() - found.files.keys()):
        yield f"{mixture_id} has no estimate, and counts as failed"
    for mixture_id in sorted(found.files.keys() - targets.keys()):
        yield f"{mixture_id} has estimates and no reference"
    for mixture_id in sorted(targets.keys() & found.files.keys()):
        for source in sorted(found.files[mixture_id].keys() - set(names)):
            yield f"{found.files[mixture_id][source]} has no reference"
