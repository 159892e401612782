"""CSV as manufacturers' spreadsheets save it, read in pieces."""

import pytest

from backend.domain.csv_rows import MAX_ROW_BYTES, Row, read_header, read_rows
from backend.errors import InvalidInputError


def rows_of(data: bytes, size: int = 7) -> list[Row]:
    header = read_header(pieces(data, size))
    return list(read_rows(pieces(data[header.end :], size), header, offset=header.end, line=header.end_line))


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[begin : begin + size] for begin in range(0, len(data), size)]


def found(data: bytes) -> list[tuple[int, tuple[str, ...], str]]:
    return [(row.line, row.cells, row.problem) for row in rows_of(data)]


@pytest.mark.parametrize(
    "data",
    [
        b"thing,type\nt1,x\nt2,y\n",
        b"thing,type\r\nt1,x\r\nt2,y\r\n",
        b"\xef\xbb\xbfthing,type\r\nt1,x\r\nt2,y",
        b"Thing; TYPE\n t1 ;x\nt2;y\n",
        b'"thing","type"\n"t1","x"\n"t2","y"\n',
    ],
    ids=["LF", "CRLF", "BOM and no last line end", "semicolons, spaces and capitals", "quotes"],
)
def test_it_is_read_however_it_was_saved(data: bytes) -> None:
    assert read_header(pieces(data, 3)).columns == ("thing", "type")
    assert found(data) == [(2, ("t1", "x"), ""), (3, ("t2", "y"), "")]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no header"),
        (b"\n\nthing,type\n", "no header"),
        ("thing,type\nt1,x\n".encode("utf-16"), "UTF-16"),
        (b"thing,type\rt1,x\rt2,y\r", "new-line character"),
        (b"thing\xff,type\nt1,x\n", "not UTF-8"),
        (b"thing,thing\nt1,x\n", "thing twice"),
        (b"thing,,type\nt1,x\n", "without a name"),
        (b"x" * (MAX_ROW_BYTES + 1), "no line end"),
        (b"PK\x03\x04\x14\x00\x06\x00" + bytes(range(128, 250)), "not UTF-8"),
    ],
)
def test_what_does_not_begin_like_a_csv_file_is_refused_with_what_to_change(data: bytes, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        read_header(pieces(data, 1000))


def test_a_quoted_cell_may_hold_commas_quotes_and_line_ends() -> None:
    data = b'a,b\n1,"x, ""y""\nz"\n2,w\n'
    assert found(data) == [(2, ("1", 'x, "y"\nz'), ""), (4, ("2", "w"), "")]


def test_a_quote_that_is_never_closed_spoils_its_own_line_only() -> None:
    data = b'a,b\n1,"x\n2,y\n3,z\n'
    assert found(data) == [(2, (), "opens a quote that nothing closes"), (3, ("2", "y"), ""), (4, ("3", "z"), "")]


def test_a_quote_that_the_mistake_of_another_line_closes_swallows_nothing_between() -> None:
    data = b'a,b\n1,"x\n2,y\n3,"z\n4,w\n'
    assert [(line, bool(problem)) for line, _, problem in found(data)] == [
        (2, True), (3, False), (4, True), (5, False),
    ]  # fmt: skip


def test_a_quote_within_a_cell_is_a_quote() -> None:
    assert found(b'a,b\n1,5" pipe\n2,6" pipe\n') == [(2, ("1", '5" pipe'), ""), (3, ("2", '6" pipe'), "")]


def test_bad_text_spoils_its_own_line_only() -> None:
    data = b"a,b\n1,\xe9\n2,\x00\n3," + b"x" * 100_000 + b"\n4,z\n"
    assert [(line, problem) for line, _, problem in found(data)] == [
        (2, "is not UTF-8 text"),
        (3, "holds a NUL character"),
        (4, f"is longer than {MAX_ROW_BYTES} bytes"),
        (5, ""),
    ]


def test_every_row_says_where_to_go_on() -> None:
    data = b'\xef\xbb\xbfa,b\r\n1,"x\r\ny"\r\n\r\n2,\xff\r\n3,' + b"z" * 50_000 + b"\r\n4,w"
    header = read_header([data])
    whole = rows_of(data, 1000)
    for number, row in enumerate(whole):
        rest = list(read_rows([data[row.end :]], header, offset=row.end, line=row.end_line))
        assert rest == whole[number + 1 :]
    assert whole[-1].end == len(data)


def test_a_long_line_is_not_kept() -> None:
    class Pieces:
        largest = 0

        def __iter__(self):
            import tracemalloc

            yield b"a,b\n"
            tracemalloc.start()
            for _ in range(500):
                yield b"x" * 65_536
            self.largest = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            yield b"\n1,2\n"

    source = Pieces()
    header = read_header([b"a,b\n"])
    read = iter(source)
    next(read)
    assert [row.cells for row in read_rows(read, header, offset=4, line=2)] == [(), ("1", "2")]
    assert source.largest < 1_000_000
