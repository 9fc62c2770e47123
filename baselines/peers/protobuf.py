"""The wire format of protocol buffers, as far as files of weights need it.

https://protobuf.dev/programming-guides/encoding: a message is a sequence of fields, each a key that
holds number and wire type, and a value.
"""

from collections.abc import Iterator

Value = int | bytes


def read_varint(data: bytes, start: int) -> tuple[int, int]:
    """Return the variable-length integer at `start`, and where it ends.

    Raises:
        IndexError: the data end within it.
    """
    value = shift = 0
    while True:
        byte = data[start]
        start += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, start
        shift += 7


def read_fields(message: bytes) -> Iterator[tuple[int, Value]]:
    """Yield number and value of every field of a message: an integer, or bytes.

    Raises:
        IndexError: the message ends within a field.
        ValueError: a field has a wire type that is no longer in use.
    """
    position = 0
    while position < len(message):
        key, position = read_varint(message, position)
        kind = key & 7
        if kind == 0:
            value, position = read_varint(message, position)
            yield key >> 3, value
            continue
        if kind == 2:
            length, position = read_varint(message, position)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError(f"wire type {kind}")
        if position + length > len(message):
            raise IndexError("the message ends within a field")
        yield key >> 3, message[position : position + length]
        position += length


def read_packed(value: Value) -> list[int]:
    """Return the integers of a repeated field, one by one or packed into bytes."""
    if isinstance(value, int):
        return [value]
    numbers, position = [], 0
    while position < len(value):
        number, position = read_varint(value, position)
        numbers.append(number)
    return numbers
