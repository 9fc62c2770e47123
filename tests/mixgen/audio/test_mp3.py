"""MP3 streams without a count of frames are read to their end, and as with one."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mixgen.audio.mp3 import with_frame_count
from mixgen.audio.read import audio_info, read_audio
from mixgen.core.errors import InputError
from mixgen.corpora.index import index_corpus
from mixgen.corpora.layout import get_layout

DECODER_DELAY = 529  # samples that a decoder of Layer III leaves out at the start
ID3V2 = b"ID3\x04\0\0\0\0\x0f\x7f" + b"t" * (15 * 128 + 127)
ID3V1 = b"TAG" + b"x" * 125


def _encoded(rate: int, channels: int, mode: str) -> tuple[bytes, bytes]:
    """Return an MP3 file of five seconds, and the same without the frame of its tag."""
    walk = np.cumsum(np.random.default_rng(rate).standard_normal((5 * rate, channels)), axis=0)
    walk[rate : 2 * rate] = 0.0  # frames of few bits, where the rate is variable
    stream = io.BytesIO()
    signal = 0.5 * walk / np.abs(walk).max()
    soundfile.write(stream, signal, rate, format="MP3", bitrate_mode=mode)
    content = stream.getvalue()
    place = content.index(b"Xing") if b"Xing" in content[:200] else content.index(b"Info")
    return content, content[content.index(content[:2], place) :]


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8000, 11025, 16000, 24000, 44100, 48000])
@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
def test_a_stream_without_a_tag_is_the_one_with_it(
    tmp_path: Path, rate: int, channels: int, mode: str
) -> None:
    tagged, bare = _encoded(rate, channels, mode)
    expected = soundfile.read(io.BytesIO(tagged), always_2d=True)[0].T
    path = tmp_path / "a.mp3"
    path.write_bytes(bare)
    assert soundfile.info(path).frames < expected.shape[1]  # libmpg123 guesses
    samples, _ = read_audio(path)
    per_frame = 1152 if rate >= 32000 else 576
    assert (samples.shape[1] + DECODER_DELAY) % per_frame == 0
    assert audio_info(path).frames == samples.shape[1] >= expected.shape[1]
    # A tag says as well how much the encoder put before the sound: 576 samples.
    np.testing.assert_allclose(samples[:, 576:][:, : expected.shape[1]], expected, atol=1e-6)


@pytest.mark.parametrize("kind", ["MP3", "MP3 without a tag", "OGG"])
@pytest.mark.parametrize("rate", [24000, 48000])
def test_a_part_of_a_file_equals_that_part_of_the_whole(
    tmp_path: Path, kind: str, rate: int
) -> None:
    """After a seek, libmpg123 decodes other samples, by up to 0.4 of full scale in this file."""
    path = tmp_path / "a"
    if kind == "OGG":
        noise = np.random.default_rng(0).uniform(-0.5, 0.5, 5 * rate)
        soundfile.write(path, noise, rate, format="OGG", subtype="OPUS")
    else:
        path.write_bytes(_encoded(rate, 2, "CONSTANT")[kind == "MP3 without a tag"])
    whole, _ = read_audio(path)
    for start in (1, 700, 2 * rate - 100, 2 * rate, 2 * rate + 800, 3 * rate):
        part, _ = read_audio(path, start=start, frames=500)
        np.testing.assert_array_equal(part, whole[:, start : start + 500])


def test_other_tags_around_a_stream_do_not_count(tmp_path: Path) -> None:
    _, bare = _encoded(44100, 2, "CONSTANT")
    path = tmp_path / "a.mp3"
    path.write_bytes(bare)
    expected, _ = read_audio(path)
    for content in (ID3V2 + bare, ID3V2 + ID3V2 + bare, bare + ID3V1):
        path.write_bytes(content)
        np.testing.assert_array_equal(read_audio(path)[0], expected)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content, at: content[: at + 7] + b"\0" + content[at + 8 :],  # without the count
        lambda content, at: content[:at] + bytes(4) + content[at + 4 :],  # no tag: a silent frame
        lambda content, at: content[:at].ljust(36, b"\0") + b"VBRI" + content[40:],
    ],
)
def test_a_tag_that_has_no_count_for_libmpg123(tmp_path: Path, spoil) -> None:  # type: ignore[no-untyped-def]
    tagged, bare = _encoded(44100, 2, "VARIABLE")
    path = tmp_path / "a.mp3"
    path.write_bytes(bare)
    expected, _ = read_audio(path)
    path.write_bytes(spoil(tagged, tagged.index(b"Xing")))
    samples, _ = read_audio(path)
    more = samples.shape[1] - expected.shape[1]
    assert more in (0, 1152)
    np.testing.assert_allclose(samples[:, more:][:, 1152:], expected[:, 1152:], atol=1e-6)


def test_files_that_need_no_count_are_left_alone() -> None:
    tagged, bare = _encoded(16000, 1, "CONSTANT")
    assert with_frame_count(tagged) is None
    assert with_frame_count(with_frame_count(bare) or b"") is None
    for content in (b"", b"\xff", b"words", b"\xff\xfb" * 50, bytes(5000), ID3V2, b"ID3"):
        assert with_frame_count(content) is None


def test_junk_between_frames_is_left_out() -> None:
    _, bare = _encoded(16000, 1, "CONSTANT")
    counted = with_frame_count(bare)
    frame = bare.index(bare[:3], 3)
    noisy = with_frame_count(bare[:frame] + b"\xff\xf3junk\xff" + bare[frame:])
    assert counted is not None
    assert noisy is not None
    place = counted.index(b"Xing") + 8
    assert noisy[place : place + 4] == counted[place : place + 4]


def test_a_cut_file_with_a_count_is_refused_and_one_without_counts_what_decodes(
    tmp_path: Path,
) -> None:
    tagged, bare = _encoded(44100, 1, "CONSTANT")
    path = tmp_path / "a.mp3"
    path.write_bytes(tagged[: len(tagged) // 2])
    with pytest.raises(InputError, match="is cut short"):
        read_audio(path)
    path.write_bytes(bare[: len(bare) // 2])
    assert read_audio(path)[0].shape[1] == audio_info(path).frames > 0


def test_clips_without_a_tag_are_indexed(tmp_path: Path) -> None:
    for rate in (16000, 44100):
        (tmp_path / f"{rate}.mp3").write_bytes(_encoded(rate, 1, "CONSTANT")[1])
    index = index_corpus(get_layout("folder"), tmp_path, corpus="c")
    assert index.refused == []
    assert all(5.0 <= row.duration_s < 5.1 for row in index.rows)
