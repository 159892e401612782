"""Rows of a CSV file (RFC 4180), read in pieces: from any place, with line numbers, within bounded memory."""

import csv
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from backend.errors import invalid

MAX_ROW_BYTES = 16_384
"""Of one row with all its lines; a quote that is never closed swallows no more than that."""
BOM = b"\xef\xbb\xbf"
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
MAX_KEPT_BYTES = 2 * MAX_ROW_BYTES
NOT_CLOSED = "unexpected end of data"
"""What Python's own reader says, in its strict mode, of a row whose quote goes on in the next line."""
SAID = {NOT_CLOSED: "opens a quote that nothing closes"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row as it stands in the file."""

    line: int
    """On which it begins, counted from 1."""
    end_line: int
    """The line after it."""
    end: int
    """The byte after it: where to go on reading."""
    cells: tuple[str, ...] = ()
    """Without the white space around them."""
    problem: str = ""
    """What keeps it from being a row; empty for nothing."""

    @property
    def is_blank(self) -> bool:
        """Say whether nothing stands in it, as spreadsheets leave at the end."""
        return not self.problem and not any(self.cells)


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The first row: what the columns are, and by what cells are separated."""

    columns: tuple[str, ...]
    """In lower case up to a dot, after which names are the file's own."""
    delimiter: str
    end: int
    end_line: int

    def fields(self, row: Row) -> dict[str, str]:
        """Return the cells of a row by column; empty ones are left out.

        Raises:
            InvalidInputError: it has more cells than the header, or fewer.
        """
        if len(row.cells) != len(self.columns):
            raise invalid("row", f"has {len(row.cells)} cells where the header has {len(self.columns)}")
        return {name: cell for name, cell in zip(self.columns, row.cells, strict=True) if cell}


@dataclass(frozen=True, slots=True)
class _Line:
    data: bytes
    """Of a line that is far too long no more than shows that it is."""
    size: int


def read_header(pieces: Iterable[bytes]) -> Header:
    """Return the header of a file.

    Raises:
        InvalidInputError: the file does not begin like a CSV file; says what to change.
    """
    first = next(_lines(pieces), _Line(b"", 0))
    if first.data.startswith(UTF_16):
        raise invalid("file", "is UTF-16: save it as CSV UTF-8")
    text = first.data.removeprefix(BOM)
    if not text.strip():
        raise invalid("file", "has no header in its first line")
    if len(text) > MAX_ROW_BYTES:
        raise invalid("file", f"has no line end within {MAX_ROW_BYTES} bytes: lines end in LF or CRLF")
    delimiter = ";" if b";" in text and b"," not in text else ","
    cells, problem = _parse([text], delimiter)
    if problem:
        raise invalid("header", problem)
    columns = tuple(kind.casefold() + dot + name for kind, dot, name in (cell.partition(".") for cell in cells))
    for name in columns:
        if not name:
            raise invalid("header", "has a column without a name")
        if columns.count(name) > 1:
            raise invalid("header", f"names {name} twice")
    return Header(columns=columns, delimiter=delimiter, end=first.size, end_line=2)


def read_rows(pieces: Iterable[bytes], header: Header, *, offset: int, line: int) -> Iterator[Row]:
    """Yield the rows of a file, reading as far as is consumed; what is no row is yielded with its problem.

    Args:
        pieces: the file from ``offset`` on, in pieces of any size.
        header: the file's.
        offset: the byte it begins at, the ``end`` of the header or of a row before.
        line: the line it begins at, the ``end_line`` of that row.
    """
    source = _lines(pieces)
    ahead: deque[_Line] = deque()

    def following() -> _Line | None:
        return ahead.popleft() if ahead else next(source, None)

    while (first := following()) is not None:
        lines = [first]
        cells, problem = _parse([first.data], header.delimiter)
        while problem == NOT_CLOSED and (more := following()) is not None:
            lines.append(more)
            cells, problem = _parse([each.data for each in lines], header.delimiter)
        if len(lines) > 1 and (problem or len(cells) != len(header.columns)):
            # The quote is a mistake of the first line: it alone is no row, and the others are read on their own.
            ahead.extendleft(reversed(lines[1:]))
            lines, cells, problem = [first], (), NOT_CLOSED
        offset += sum(each.size for each in lines)
        yield Row(line=line, end_line=line + len(lines), end=offset, cells=cells, problem=SAID.get(problem, problem))
        line += len(lines)


def _parse(lines: list[bytes], delimiter: str) -> tuple[tuple[str, ...], str]:
    """Return the cells of a row, or what keeps it from being one."""
    if sum(map(len, lines)) > MAX_ROW_BYTES:
        return (), f"is longer than {MAX_ROW_BYTES} bytes"
    try:
        text = b"".join(lines).decode("utf-8")
        ended = (f"{line}\n" for line in text.removesuffix("\n").split("\n"))
        row = next(csv.reader(ended, delimiter=delimiter, strict=True), [])
    except UnicodeDecodeError:
        return (), "is not UTF-8 text"
    except csv.Error as error:
        found = str(error)
        return (), NOT_CLOSED if NOT_CLOSED in found else f"is not CSV: {found.partition(' - ')[0]}"
    if "\0" in text:
        return (), "holds a NUL character"
    return tuple(cell.strip() for cell in row), ""


def _lines(pieces: Iterable[bytes]) -> Iterator[_Line]:
    rest, dropped = bytearray(), 0
    for piece in pieces:
        begin = 0
        while (end := piece.find(b"\n", begin)) >= 0:
            rest += piece[begin : end + 1]
            yield _Line(bytes(rest), len(rest) + dropped)
            rest, dropped, begin = bytearray(), 0, end + 1
        rest += piece[begin:]
        if len(rest) > MAX_KEPT_BYTES:
            dropped += len(rest) - MAX_KEPT_BYTES
            del rest[MAX_KEPT_BYTES:]
    if rest:
        yield _Line(bytes(rest), len(rest) + dropped)
