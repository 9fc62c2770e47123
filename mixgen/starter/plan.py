"""The plan of the corpus: every voice, utterance, song and noise, drawn before any synthesis."""

import functools
from collections.abc import Iterator
from itertools import islice, product

import numpy as np

from mixgen.starter.items import Noise, Plan, Speaker, Utterance
from mixgen.starter.seeding import generator_for
from mixgen.starter.sentences import write_sentences
from mixgen.starter.setlist import SONGS

SPLITS = ("train", "valid", "test")

SPEAKERS_PER_SPLIT = {"train": 48, "valid": 6, "test": 10}
UTTERANCES_PER_SPEAKER = 10
# "en" is the southern British voice of "en-gb", with which espeak-ng accepts no variants.
ACCENTS = (
    "en",
    "en-us",
    "en-gb-scotland",
    "en-029",
    "en-gb-x-rp",
    "en-gb-x-gbclan",
    "en-gb-x-gbcwmd",
)
LOW_VARIANTS = (
    *("", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8"),
    *("klatt", "klatt2", "klatt3", "klatt4", "croak"),
)
HIGH_VARIANTS = ("f1", "f2", "f3", "f4", "f5")

NOISES_PER_KIND = {"train": 2, "valid": 1, "test": 1}
NOISE_KINDS = {
    "stationary": ("hiss", "rumble", "fan"),
    "babble": ("crowd", "cafe"),
    "impulsive": ("knocks", "clatter", "keyboard"),
    "ambient": ("wind", "rain", "hum", "traffic"),
}


@functools.cache
def full_plan() -> Plan:
    """Return the plan of the whole starter corpus, the same on every machine."""
    return Plan(tuple(_utterances(_speakers())), SONGS, tuple(_noises()))


def _speakers() -> list[Speaker]:
    """Return the speakers, low and high voices in turn, so that every split has both."""
    generator = generator_for("speakers")
    low, high = (_voices(variants, generator) for variants in (LOW_VARIANTS, HIGH_VARIANTS))
    splits = [split for split, count in SPEAKERS_PER_SPLIT.items() for _ in range(count)]
    voices = (voice for pair in zip(low, high, strict=False) for voice in pair)
    return [
        _speaker(f"spk{number:03d}", split, *voice, generator)
        for number, (split, voice) in enumerate(zip(splits, voices, strict=False), start=1)
    ]


def _voices(variants: tuple[str, ...], generator: np.random.Generator) -> Iterator[tuple[str, str]]:
    """Yield every pair of accent and variant once, in a shuffled order."""
    pairs = list(product(ACCENTS, variants))
    return (pairs[index] for index in generator.permutation(len(pairs)))


def _speaker(
    name: str, split: str, accent: str, variant: str, generator: np.random.Generator
) -> Speaker:
    if variant in HIGH_VARIANTS:
        pitches, scales = (10, 75), (0.96, 1.16)
    else:
        pitches, scales = (25, 95), (0.86, 1.06)
    return Speaker(
        name=name,
        split=split,
        accent=accent,
        variant=variant,
        pitch=int(generator.integers(*pitches)),
        words_per_minute=int(generator.integers(135, 190)),
        formant_scale=round(float(generator.uniform(*scales)), 3),
        tilt=round(float(generator.uniform(-0.3, 0.5)), 3),
    )


def _utterances(speakers: list[Speaker]) -> Iterator[Utterance]:
    texts = iter(
        write_sentences(len(speakers) * UTTERANCES_PER_SPEAKER, generator_for("sentences"))
    )
    for speaker in speakers:
        for number, text in enumerate(islice(texts, UTTERANCES_PER_SPEAKER), start=1):
            yield Utterance(speaker, number, text)


def _noises() -> Iterator[Noise]:
    for split, (label, kinds) in product(SPLITS, NOISE_KINDS.items()):
        for kind, number in product(kinds, range(NOISES_PER_KIND[split])):
            yield Noise(split, label, kind, number + 1)
