"""Laws of reading CSV in pieces."""

import csv
import io
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from backend.domain.csv_rows import read_header, read_rows

CELL = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from(',;"\n\u2028\x0b'), max_size=8)
ROWS = st.lists(st.tuples(CELL, CELL, CELL), max_size=8)
ENDS = st.sampled_from(["\n", "\r\n"])


def dump(rows: list[tuple[str, ...]], end: str) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator=end, quoting=csv.QUOTE_ALL).writerows([("a", "b", "c"), *rows])
    return text.getvalue().encode()


@given(rows=ROWS, end=ENDS, size=st.integers(1, 50), bom=st.booleans())
def test_what_was_written_is_read_whatever_the_pieces(
    rows: list[tuple[str, ...]], end: str, size: int, bom: bool
) -> None:
    data = (b"\xef\xbb\xbf" if bom else b"") + dump(rows, end)
    header = read_header([data])
    body = data[header.end :]
    cut = [body[begin : begin + size] for begin in range(0, len(body), size)]
    found = list(read_rows(cut, header, offset=header.end, line=2))
    assert [row.cells for row in found] == [tuple(cell.strip() for cell in row) for row in rows]
    assert not any(row.problem for row in found)


@given(body=st.binary(max_size=200) | st.text('",;\n\r a', max_size=60).map(str.encode))
def test_whatever_stands_there_every_byte_belongs_to_one_row_and_each_row_is_where_to_go_on(body: bytes) -> None:
    header = read_header([b"a,b\n"])
    whole = list(read_rows([body], header, offset=0, line=1))
    assert (whole[-1].end if whole else 0) == len(body)
    assert all(one.end <= other.end and one.end_line == other.line for one, other in pairwise(whole))
    for number, row in enumerate(whole):
        rest = list(read_rows([body[row.end :]], header, offset=row.end, line=row.end_line))
        assert rest == whole[number + 1 :]
