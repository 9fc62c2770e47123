"""MP3 streams that do not say how long they are.

The tag "Xing" or "Info" in the first frame of an MP3 file has its number of frames. Without it,
libmpg123, which libsndfile reads MP3 with, guesses the length from the first frames: constant
bit rates then seem too long, and of variable ones the end is never read.

Source of the frame header: ISO/IEC 11172-3, 2.4.1.3, and 13818-3, 2.4.2.3, Layer III; of the tag:
Xing, "VBR header", as every encoder writes it.
"""

import struct
from dataclasses import dataclass

_BIT_RATES = {  # kbit/s by index, of MPEG-1 and of MPEG-2; index 0 means "free", 15 is not allowed
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_SAMPLE_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_LAYER_3 = 1
_MONO = 3
_TAG_BIT_RATE = 8  # the index with which a frame of every kind has room for a tag
_HAS_COUNT = 1
_VBRI_OFFSET = 36  # the other tag, of the encoder of Fraunhofer IIS


@dataclass(frozen=True)
class _Frame:
    """A frame of Layer III: its header's four bytes as a number, and what they say."""

    header: int
    sample_rate: int
    bytes: int

    @property
    def kind(self) -> tuple[int, int]:
        """What all frames of a stream share: the version and the sample rate."""
        return self.header >> 19 & 3, self.sample_rate

    @property
    def tag_offset(self) -> int:
        """Bytes before a tag: the header and the side information."""
        mono = self.header >> 6 & 3 == _MONO
        if _is_mpeg_1(self.header):
            return 4 + (17 if mono else 32)
        return 4 + (9 if mono else 17)


def _is_mpeg_1(header: int) -> bool:
    return header >> 19 & 3 == 3


def _frame(header: int) -> _Frame | None:
    """Return what a header says; None if it is none of Layer III."""
    rates = _SAMPLE_RATES.get(header >> 19 & 3)
    bit_rate, rate = header >> 12 & 15, header >> 10 & 3
    layer = header >> 17 & 3
    if header >> 21 != 0x7FF or rates is None or layer != _LAYER_3 or rate == 3:
        return None
    if bit_rate in (0, 15):
        return None
    mpeg_1 = _is_mpeg_1(header)
    bits = (144 if mpeg_1 else 72) * 1000 * _BIT_RATES[mpeg_1][bit_rate]
    return _Frame(header, rates[rate], bits // rates[rate] + (header >> 9 & 1))


def _frame_at(content: bytes, place: int) -> _Frame | None:
    """Return the frame that begins at a byte and is there to its end; None if there is none."""
    frame = _frame(int.from_bytes(content[place : place + 4], "big"))
    return frame if frame and place + frame.bytes <= len(content) else None


def with_frame_count(content: bytes) -> bytes | None:
    """Return an MP3 file with a tag that has the number of its frames, counted here.

    None if the file has such a tag, or is no stream of Layer III.
    """
    place = _first_frame(content)
    first = _frame_at(content, place)
    if first is None:
        return None
    tag = content[place + first.tag_offset : place + first.tag_offset + 8]
    if tag[:4] in (b"Xing", b"Info") and tag[7] & _HAS_COUNT:
        return None
    if tag[:4] in (b"Xing", b"Info") or content.startswith(b"VBRI", place + _VBRI_OFFSET):
        place += first.bytes  # a tag without a count, or one that libmpg123 cannot read
    frames = _count_frames(content, place, first.kind)
    return _tag_frame(first, frames) + content[place:]


def _first_frame(content: bytes) -> int:
    """Return the byte at which the first frame begins, after an ID3v2 tag if there is one."""
    place = 0
    while content[place : place + 3] == b"ID3":
        size = 0
        for byte in content[place + 6 : place + 10]:  # seven bits in each
            size = size << 7 | byte & 0x7F
        place += 10 + size
    return _next_frame(content, place, None)


def _next_frame(content: bytes, place: int, kind: tuple[int, int] | None) -> int:
    """Return the byte of the next frame of a stream that another one follows, or the end."""
    while (place := content.find(b"\xff", place)) >= 0:
        frame = _frame_at(content, place)
        if frame and kind in (None, frame.kind):
            after = place + frame.bytes
            following = _frame_at(content, after)
            if after >= len(content) or (following and following.kind == frame.kind):
                return place
        place += 1
    return len(content)


def _count_frames(content: bytes, place: int, kind: tuple[int, int]) -> int:
    frames = 0
    while place < len(content):
        frame = _frame_at(content, place)
        if frame is None or frame.kind != kind:
            place = _next_frame(content, place + 1, kind)
            continue
        frames += 1
        place += frame.bytes
    return frames


def _tag_frame(like: _Frame, frames: int) -> bytes:
    """Return a frame of silence of the kind of another one, with a tag that has the count."""
    # The same header with another bit rate, without a checksum and padding.
    header = like.header & ~(15 << 12) & ~(1 << 9) | _TAG_BIT_RATE << 12 | 1 << 16
    frame = _frame(header)
    size = frame.bytes if frame else 0
    head = header.to_bytes(4, "big") + bytes(like.tag_offset - 4)
    return (head + b"Xing" + struct.pack(">II", _HAS_COUNT, frames)).ljust(size, b"\0")
