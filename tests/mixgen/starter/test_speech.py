"""The accents and variants of espeak-ng that the plan uses."""

from itertools import combinations

import pytest

from mixgen.starter import speech
from mixgen.starter.plan import ACCENTS, HIGH_VARIANTS, LOW_VARIANTS


@pytest.mark.usefixtures("needs_espeak")
@pytest.mark.parametrize("accent", ACCENTS)
def test_every_accent_accepts_variants(accent: str) -> None:
    assert _sound(accent, "f2") != _sound(accent, "m3") != _sound(accent, "")


@pytest.mark.usefixtures("needs_espeak")
def test_all_variants_and_accents_sound_different() -> None:
    sounds = [_sound("en-us", variant) for variant in (*LOW_VARIANTS, *HIGH_VARIANTS)]
    sounds += [_sound(accent, "f1") for accent in ACCENTS if accent != "en-us"]
    assert all(a != b for a, b in combinations(sounds, 2))


def _sound(accent: str, variant: str) -> bytes:
    voice = f"{accent}+{variant}" if variant else accent
    return speech._run("-v", voice, "--stdout", "--", "No bath in the water")
