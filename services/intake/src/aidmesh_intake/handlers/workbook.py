"""An XLSX file, read within bounds: a small file can promise gigabytes.

The reader lays out a sheet as a full rectangle and ends the process when there is no room for it,
so what a file unpacks to, and how far its cells reach, is known before the reader sees it.
"""

import io
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from typing import Final

from python_calamine import CalamineError, CalamineWorkbook

UNPACKED_BYTES_MAX: Final = 256 * 1024 * 1024
SHEET_CELLS_MAX: Final = 5_000_000
"""Cells of the rectangle that a sheet fills; about 160 bytes each while it is read."""
PARTS_MAX: Final = 2_000
_UNREADABLE: Final = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,  # packed in a way that zipfile does not know
    OSError,
    RuntimeError,  # encrypted
    ValueError,
)
"""What zipfile raises for a file that is no workbook, or a damaged one."""
_CHUNK_BYTES: Final = 1024 * 1024
# Only what a sheet is made of: no pictures, and nothing that would make it another format.
_PART: Final = re.compile(r"\[Content_Types\]\.xml|_rels/\.rels|xl/.+\.(xml|rels)", re.IGNORECASE)
# A cell, and its place as every program that saves XLSX writes it; a cell without one is refused.
_CELL: Final = re.compile(
    rb"""<(?:[^\s<>/:!?]+:)?c(?=[\s/>])"""
    rb"""(?:(?:\s+[A-Za-z:]+="[^"<>]*")*?\s+r="([A-Z]{1,3})([0-9]{1,7})")?"""
)
_A: Final = ord("A") - 1


class TooLarge(Exception):
    """It would unpack to more than can be read."""


class NotAWorkbook(Exception):
    """It is no XLSX file, or a broken one."""


def sheet_rows(body: bytes) -> Iterator[Sequence[object]]:
    """The rows of the first sheet, from its first line on, one by one.

    Raises:
        TooLarge: its parts, or the rectangle that its cells fill, are beyond the bounds.
        NotAWorkbook: it cannot be read.
    """
    plain = _unpacked(body)
    try:
        workbook = CalamineWorkbook.from_filelike(plain)
        yield from workbook.get_sheet_by_index(0).iter_rows()
    except (CalamineError, IndexError, OSError, ValueError):
        raise NotAWorkbook from None


def _unpacked(body: bytes) -> io.BytesIO:
    """The parts of a workbook, stored anew as they really are, whatever the file said of them."""
    plain = io.BytesIO()
    left = UNPACKED_BYTES_MAX
    try:
        with (
            zipfile.ZipFile(io.BytesIO(body)) as packed,
            zipfile.ZipFile(plain, "w", zipfile.ZIP_STORED) as stored,
        ):
            parts = {each.filename: each for each in packed.infolist()}
            if len(parts) > PARTS_MAX:
                raise TooLarge
            for name, part in parts.items():
                if not _PART.fullmatch(name):
                    continue
                if part.file_size > left:
                    raise TooLarge
                content = _read(packed, part)
                left -= len(content)
                _check_extent(content)
                stored.writestr(name, content)
    except _UNREADABLE:
        raise NotAWorkbook from None
    plain.seek(0)
    return plain


def _read(packed: zipfile.ZipFile, part: zipfile.ZipInfo) -> bytes:
    # Piece by piece: read whole, a part is unpacked to its end before its promised size is heeded.
    content = bytearray()
    with packed.open(part) as source:
        while piece := source.read(_CHUNK_BYTES):
            content += piece
    return bytes(content)


def _check_extent(content: bytes) -> None:
    if b"sheetData" not in content:
        return
    row_last = 0
    columns: dict[bytes, int] = {}
    for found in _CELL.finditer(content):
        letters, digits = found.groups()
        if letters is None:
            raise NotAWorkbook
        if letters not in columns:
            columns[letters] = _column(letters)
        row_last = max(row_last, int(digits))
    if row_last * max(columns.values(), default=0) > SHEET_CELLS_MAX:
        raise TooLarge


def _column(letters: bytes) -> int:
    """The number of a column: A is 1, Z 26, AA 27."""
    number = 0
    for letter in letters:
        number = number * 26 + letter - _A
    return number
