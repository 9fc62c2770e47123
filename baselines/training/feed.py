"""The data of a training run, and the separator that fits it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from baselines.compatibility import build_for, build_for_streams
from baselines.inputs import check_inputs
from baselines.separator import Separator
from baselines.training.config import TrainingConfig
from baselines.training.counting import CountedValidation
from baselines.training.data import MEETINGS, ExampleSource, RecordExamples, RenderedExamples
from baselines.training.mixing import DynamicMixing, allows_dynamic_mixing
from baselines.training.validation import Validation, from_files, from_sources, load_validation
from mixgen.core.errors import InputError, UsageError
from mixgen.core.progress import print_status
from mixgen.corpora.roots import Roots, find_roots, parse_roots
from mixgen.manifest.file import Manifest, read_manifest
from mixgen.sets.rendered import RenderedSet


@dataclass(frozen=True)
class Feed:
    """The data of a run, and the separator that fits it."""

    manifest: Manifest
    examples: ExampleSource
    validation: Validation | CountedValidation | None
    separator: Separator


def load_feed(config: TrainingConfig) -> Feed:
    """Open the data of a configuration, and build the separator that fits it."""
    if config.rendered is not None:
        rendered = RenderedSet(Path(config.rendered))
        manifest = rendered.manifest
        separator = _build(config, manifest)
        load = from_files(rendered)
        examples: ExampleSource = RenderedExamples(
            rendered,
            config.split,
            segment_s=config.segment_s,
            seed=config.seed,
            inputs=separator.inputs,
        )
    else:
        path = Path(str(config.manifest))
        manifest, roots = read_manifest(path), find_roots([path], parse_roots(config.roots))
        load = from_sources(manifest, roots)
        separator = _build(config, manifest)
        examples = _examples_of(config, manifest, roots, separator.inputs)
    validation = load_validation(manifest, load, separator, count=config.valid_items)
    return Feed(manifest, examples, validation, separator)


def _examples_of(
    config: TrainingConfig, manifest: Manifest, roots: Roots, inputs: Sequence[str]
) -> ExampleSource:
    """Return dynamically mixed examples if records and inputs allow it, else those of records."""
    mixtures = manifest.of_split(config.split)
    recorded = [name.replace("_", " ") for name in inputs if name != "enrolment"]
    meetings = manifest.header.task == MEETINGS
    varies = len({len(mixture.targets) for mixture in mixtures}) > 1
    # Enrolments of a batch correspond to references in number.
    if recorded or meetings or (inputs and varies) or not allows_dynamic_mixing(mixtures):
        reason = (
            f"{config.model} gets the {' and '.join(recorded)} of records"
            if recorded
            else "the records are meetings, or differ in more than their number of talkers, or "
            "have several events, rooms, echo or degradations, or are of a published set"
        )
        print_status(
            f"Dynamic mixing is off: {reason}. Each is rendered as recorded, every time it is "
            "used: a rendered set (--set) takes less time."
        )
        return RecordExamples(
            manifest,
            roots,
            config.split,
            segment_s=config.segment_s,
            seed=config.seed,
            inputs=inputs,
        )
    return DynamicMixing(
        mixtures,
        roots,
        segment_s=config.segment_s,
        seed=config.seed,
        inputs=inputs,
        speed_range=(config.slowest, config.fastest),
        gain_spread_db=config.gain_spread_db,
        coherent=config.coherent,
        memory_gb=config.memory_gb,
    )


def _build(config: TrainingConfig, manifest: Manifest) -> Separator:
    mixtures = manifest.of_split(config.split)
    if not any(mixture.targets for mixture in mixtures):
        raise InputError(
            f"No mixture of the split {config.split!r} has a target to learn: give a manifest with "
            "sources of the role target."
        )
    if manifest.header.task == MEETINGS:
        separator = build_for_streams(config.model, mixtures, window_s=config.segment_s)
    else:
        separator = build_for(config.model, mixtures)
    if not separator.trainable:
        raise UsageError(
            f"{config.model} has no parameters to train: use it with `baselines separate`."
        )
    check_inputs(separator, manifest, config.split)
    return separator
