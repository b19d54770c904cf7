"""How many pixels does an image file declare? Read from its header, before a decoder allocates them.

PNG, JPEG, BMP, GIF and classic TIFF are understood, from their published formats. Anything else gives None:
the decoder's own limit (OpenCV: 2^30 pixels) then is the only guard.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

# Start-of-frame markers of JPEG carry the size; DHT (C4), JPG (C8) and DAC (CC) lie in the same range.
JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
JPEG_STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})
TIFF_WIDTH, TIFF_HEIGHT = 256, 257
TIFF_SHORT = 3

Size = tuple[int, int]


def declared_size(path: Path) -> Size | None:
    """(height, width) as the file's header declares them, or None where the header is not understood.

    Raises OSError where the file cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(32)
        try:
            if head.startswith(b"\x89PNG\r\n\x1a\n"):
                width, height = struct.unpack(">II", head[16:24])
                return height, width
            if head.startswith((b"GIF87a", b"GIF89a")):
                width, height = struct.unpack("<HH", head[6:10])
                return height, width
            if head.startswith(b"BM"):
                return _bmp_size(head)
            if head.startswith(b"\xff\xd8"):
                return _jpeg_size(file)
            if head.startswith((b"II*\0", b"MM\0*")):
                return _tiff_size(file, "<" if head.startswith(b"II") else ">")
        except struct.error:
            return None  # shorter than its own header: the decoder will refuse it
    return None


def looks_cut_off(path: Path) -> bool:
    """Whether a JPEG or PNG file lacks its end marker: decoders fill the missing rows without a word.

    Raises OSError where the file cannot be read.
    """
    data = path.read_bytes()
    if data.startswith(b"\xff\xd8"):
        return data.rfind(b"\xff\xd9") < data.rfind(
            b"\xff\xda"
        )  # the end mark before the last scan: a thumbnail's
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return b"IEND" not in data
    return False


def _bmp_size(head: bytes) -> Size:
    (header,) = struct.unpack("<I", head[14:18])
    if header == 12:  # the OS/2 header
        width, height = struct.unpack("<HH", head[18:22])
        return height, width
    width, height = struct.unpack("<ii", head[18:26])
    return abs(height), abs(width)  # a negative height means rows from the top


def _jpeg_size(file: BinaryIO) -> Size | None:
    file.seek(2)
    while True:
        if file.read(1) != b"\xff":
            return None
        marker = 0xFF
        while marker == 0xFF:  # any number of fill bytes
            (marker,) = struct.unpack("B", file.read(1))
        if marker in JPEG_STANDALONE:
            continue
        (length,) = struct.unpack(">H", file.read(2))
        if marker in JPEG_FRAMES:
            _, height, width = struct.unpack(">BHH", file.read(5))
            return height, width
        file.seek(length - 2, 1)


def _tiff_size(file: BinaryIO, order: str) -> Size | None:
    file.seek(4)
    (offset,) = struct.unpack(f"{order}I", file.read(4))
    file.seek(offset)
    (count,) = struct.unpack(f"{order}H", file.read(2))
    found: dict[int, int] = {}
    for _ in range(count):
        tag, kind, _, value = struct.unpack(f"{order}HHI4s", file.read(12))
        if tag in (TIFF_WIDTH, TIFF_HEIGHT):
            is_short = kind == TIFF_SHORT
            (found[tag],) = struct.unpack(f"{order}{'H' if is_short else 'I'}", value[: 2 if is_short else 4])
    if len(found) < 2:
        return None
    return found[TIFF_HEIGHT], found[TIFF_WIDTH]
