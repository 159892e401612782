"""The grammar: errors that show the place, printing that parses back, filters, templates, the generated table."""

import json
from datetime import timedelta

import pytest
import typer
from typer.testing import CliRunner

from infra.local.iot.rules import cli, patterns
from infra.local.iot.rules.compiler import compile_statement
from infra.local.iot.rules.filters import FilterIndex, matches_filter
from infra.local.iot.rules.parser import SqlError, parse_statement
from infra.local.iot.rules.table import PATH, build_table
from infra.local.iot.rules.templates import compile_template


@pytest.mark.parametrize(
    ("sql", "caret", "message"),
    [
        (
            "SELECT a b FROM 't'",
            "         ^",
            "Unexpected 'b'; expected an operator, AS, FROM, WHERE, a comma or the end",
        ),
        ("SELECT FROM 't'", "       ^", "Unexpected 'FROM'; expected an expression"),
        ("SELECT abs(", "           ^", "Unexpected the end; expected an expression or ) at line"),
        ("SELECT a AS FROM 't'", "            ^", "Unexpected 'FROM'; expected a name"),
        ("SELECT a IN FROM 't'", "            ^", "Unexpected 'FROM'; expected an expression"),
        ("SELECT CASE WHEN a THEN 1 END AS x", "            ^", "Unexpected 'WHEN'; expected an expression"),
        (
            "SET @m = 1 SELECT transform(@m, a, b) AS x",
            "                            ^",
            "transform() takes no variable here",
        ),
        ("SELEC a", "^", "Unexpected 'SELEC'; expected SELECT or SET"),
        ("SELECT a FROM t", "              ^", "Unexpected 't'; expected a string"),
        ("SELECT a FROM 't' WHERE", "                       ^", "Unexpected the end; expected an expression"),
        ("SELECT a,\n  nosuch(b)", "  ^", "Unknown function nosuch()"),
        ("SELECT abs(1, 2) AS x", "       ^", "abs() takes 1 argument, not 2"),
        ("SELECT a /* comment */", "         ^", "AWS IoT SQL has no comments"),
        ("SELECT a FROM 't' WHERE a = 1 -- comment", "                              ^", "AWS IoT SQL has no comments"),
        ("SELECT a.1", "         ^", "Unexpected"),
        (
            "SELECT a != 1",
            "         ^",
            "Unexpected '!'; expected an operator, AS, FROM, WHERE, a comma or the end at line",
        ),
        ("SELECT a FROM 't';", "                 ^", "Unexpected ';'; expected WHERE or the end at line"),
        (
            "SELECT decode(a, 'proto', 'b', 'k', 'n', 'm') AS x",
            "       ^",
            "decode() is emulated for the scheme 'base64' only",
        ),
        ("SELECT decode(a, 'proto') AS x", "       ^", "decode() is emulated for the scheme 'base64' only"),
        ("SET @a = 1, @a = 2 SELECT @a", "            ^", "@a is assigned twice"),
        ("SET @a = @b SELECT @a", "         ^", "@b is not set before it is used"),
        ("SELECT @x FROM 't'", "       ^", "@x is not set"),
        ("SELECT 1E9999 AS x", "       ^", "A number must be within"),
        ("SELECT a = 1 FROM 't'", "       ^", "This item needs AS"),
        ("SELECT 'a/#/b' AS x FROM 'a/#/b'", "                         ^", "# stands alone on the last level"),
        ("SELECT * FROM '$share/g/a'", "              ^", "Rules cannot subscribe to"),
    ],
)
def test_an_error_shows_its_place_and_what_was_expected(sql, caret, message):
    with pytest.raises(SqlError) as refused:
        compile_statement(sql, "2016-03-23")

    _, under, text = refused.value.caret().split("\n")
    assert under == caret
    assert text.startswith(message)


def test_set_takes_ten_variables_of_64_letters():
    ten = ", ".join(f"@v{n} = {n}" for n in range(10))
    compile_statement(f"SET {ten}, SELECT 1 AS x".replace(", SELECT", " SELECT"), "2016-03-23")

    with pytest.raises(SqlError, match="at most 10"):
        parse_statement(f"SET {ten}, @more = 1 SELECT 1 AS x")
    with pytest.raises(SqlError, match="at most 64"):
        parse_statement(f"SET @{'a' * 65} = 1 SELECT 1 AS x")


def test_a_statement_nested_beyond_reason_is_refused_and_not_a_crash():
    compile_statement(f"SELECT {'(' * 5000}1{')' * 5000} AS x", "2016-03-23")
    for nested in (
        "[" * 5000 + "]" * 5000,
        "NOT " * 5000 + "true",
        "- " * 5000 + "a",
        "a" + ".b" * 5000,
        "1" + "+1" * 5000,
    ):
        with pytest.raises(SqlError, match="nested too deeply"):
            compile_statement(f"SELECT {nested} AS x", "2016-03-23")


@pytest.mark.parametrize(
    "sql",
    [
        "SET @a = 1, @b = @a.c SELECT VALUE CASE a WHEN -1 THEN 'it''s' END FROM 't/#' WHERE NOT (a OR b) AND c",
        "SELECT o.*, * AS all, a.b.c AS d.e, -x AS y, 1 - -2 AS z, {'k': [1, 2.50, 1E+30]} AS l FROM '+/x'",
        "SELECT (-5).a AS x, -(5) AS y, - -a AS z, NOT NOT a AS b, 1.5E-7 * (1 + 2) / 3 % -4 AS c",
        "SELECT get((SELECT v FROM e.x WHERE n IN [1, 'a']), 0).v AS v, cast(x AS Int) AS i",
    ],
)
def test_a_printed_statement_parses_to_the_same_tree(sql):
    tree = parse_statement(sql)

    assert repr(parse_statement(str(tree))) == repr(tree)


@pytest.mark.parametrize(
    ("topic_filter", "topic", "expected"),
    [
        ("a/#", "a/b/c", True), ("a/#", "a", False), ("a/#", "a/", True), ("#", "a/b", True), ("#", "$aws/x", False),
        ("+/x", "$aws/x", False), ("$aws/#", "$aws/x", True), ("a/+/c", "a/b/c", True), ("a/+", "a/b/c", False),
        ("a/+", "a/", True), ("+", "a", True), ("a", "A", False), ("a/+/#", "a/b", False),
    ],
)  # fmt: skip
def test_filters_match_as_aws_iot_matches(topic_filter, topic, expected):
    assert matches_filter(topic_filter, topic) is expected


def test_every_filter_that_matches_is_found_once():
    index: FilterIndex[str] = FilterIndex()
    for one in ("a/b", "a/+", "+/b", "a/#", "#", "+/+", "x/#"):
        index.add(one, one)

    assert sorted(index.find("a/b")) == sorted(["a/b", "a/+", "+/b", "a/#", "#", "+/+"])


def test_templates_nest_braces_and_strings():
    from infra.local.iot.rules.context import Context

    fill = compile_template("a${get({'x}': 'b'}, 'x}')}c${1 + 1}$d", "2016-03-23")

    assert fill(Context(topic="t", payload=b"", now_ms=0)) == "abc2$d"


def test_the_table_of_what_is_emulated_is_fresh():
    assert PATH.read_text() == build_table(), "run: python -m infra.local.iot.rules.table"


@pytest.fixture
def tool(tmp_path, monkeypatch):
    monkeypatch.setenv("FIELDLINE_STATE_DIR", str(tmp_path))
    app = typer.Typer()
    app.command()(cli.sql)
    return lambda *arguments, **more: CliRunner().invoke(app, [*arguments], **more)


def test_the_tool_prints_the_result_or_the_error_with_a_caret(tool):
    asked = ("--sql", "SELECT a + 1 AS b FROM 't'", "--topic", "t", "--payload", '{"a": 1}')

    assert json.loads(tool(*asked).stdout) == {"fires": True, "result": {"b": 2}}
    failed = tool("--sql", "SELECT a b")
    assert failed.exit_code == 1
    assert failed.stderr.startswith("SELECT a b\n         ^\nUnexpected 'b'")


def test_the_tool_answers_cases_a_line_each_and_survives_what_is_no_case(tool):
    lines = '{"expr": "1 + 1"}\n\nnonsense\n[1]\n{"sql": 5}\n{"template": "${topic(2)}", "topic": "a/b"}\n'

    answers = [json.loads(line) for line in tool("--jsonl", input=lines).stdout.splitlines()]

    assert answers[0] == {"fires": True, "result": 2}
    assert all("error" in answer for answer in answers[1:4])
    assert answers[4] == {"fires": True, "result": "b"}


def test_a_case_without_a_time_of_its_own_is_answered_at_the_clouds_time(tool):
    cases = [{}, {"now_ms": 5}, {"context": {"now_ms": 6}}]
    lines = "\n".join(json.dumps({"expr": "timestamp()", **case}) for case in cases)

    now, five, six = [json.loads(line)["result"] for line in tool("--jsonl", input=lines).stdout.splitlines()]

    assert (five, six) == (5, 6)
    assert now > 1_700_000_000_000


def test_without_a_local_cloud_or_a_recording_the_tool_names_the_cure(tool, tmp_path):
    none = tool("--record")
    (tmp_path / "notes").write_text("not a record\n")

    assert none.exit_code == 1
    assert none.stderr.startswith("error: no local cloud answers in ")
    assert none.stderr.endswith("scripts/cloud up\n")
    assert "not a record" in tool("--replay", str(tmp_path / "notes")).stderr


def test_the_tool_says_why_a_statement_did_not_fire(tool):
    sql = ("--sql", "SELECT a FROM 't' WHERE a > 1", "--payload", '{"a": 1}')

    assert tool(*sql, "--topic", "t").stderr == "WHERE is not true\n"
    assert tool(*sql, "--topic", "u").stderr == "u does not match FROM\n"
    assert tool(*sql, "--topic", "u").stdout == '{"fires": false}\n'
    assert tool(*sql, "--sql-version", "2020").exit_code == 1


async def test_recording_ends_when_nobody_asks_any_more():
    from tests.unit.iot_rules.fakes import Room

    room = Room()
    await room.call("GET", "/rules-records", query="after=0")
    room.clock.move(timedelta(seconds=31))
    await room.publish("a")

    assert room.engine.watchers == []


@pytest.mark.parametrize("where", ["", " WHERE x > 1"])
async def test_a_message_that_is_too_deep_to_be_shown_stops_nobody_who_watches(where):
    from tests.unit.iot_rules.fakes import Room, lambda_action

    room = Room()
    await room.rule("r", f"SELECT * FROM 'a'{where}", lambda_action())
    await room.call("GET", "/rules-records", query="after=0")
    await room.publish("a", b'{"x":' * 900 + b"1" + b"}" * 900)
    await room.publish("a", {"x": 2})
    watched = json.loads((await room.call("GET", "/rules-records", query="after=0")).body)

    assert [record["answer"].get("fires") for record in watched["records"]][-1] is True
    assert len(watched["records"]) == 2
    assert room.engine.metrics["Defect"] == 0


async def test_a_recording_replays_against_a_changed_rule_and_shows_the_differences(tool, tmp_path):
    from tests.unit.iot_rules.fakes import Room, lambda_action

    room = Room()
    await room.rule("r", "SELECT t FROM 'a/#' WHERE t > 10", lambda_action())
    assert json.loads((await room.call("GET", "/rules-records", query="after=0")).body)["records"] == []
    await room.publish("a/1", b'{"t": 20.50}')
    await room.publish("a/2", b'{"t": 5}')
    await room.publish("elsewhere")
    await room.publish("$aws/rules/nosuch/a/3")
    watched = json.loads((await room.call("GET", "/rules-records", query="after=0")).body)
    recording = tmp_path / "recording"
    recording.write_text("".join(json.dumps(record) + "\n" for record in watched["records"]))

    assert [record.get("answer", {}).get("fires") for record in watched["records"]] == [True, False, None, None]
    assert watched["records"][0]["answer"]["actions"] == [{"action": "lambda"}]
    assert tool("--replay", str(recording)).stdout == "2 messages, 0 differ\n"
    changed = tool("--replay", str(recording), "--sql", "SELECT t FROM 'a/#' WHERE t > 1")
    assert changed.exit_code == 1
    assert "2 messages, 1 differ" in changed.stdout


@pytest.mark.parametrize(
    ("pattern", "size"),
    [
        ("abc", 3),
        ("a{10}", 10),
        ("(a{10}b){10}", 110),
        ("[(a{9}]b", 2),
        ("[]a]{5}", 5),
        ("[^]a]", 1),
        ("[a[b]c]{3}d", 4),
    ],
)
def test_the_size_of_an_expression_is_that_of_its_repetitions_written_out(pattern: str, size: int) -> None:
    assert patterns._size(pattern) == size


@pytest.mark.parametrize(
    "pattern",
    [
        "[" * 100_000,
        "a" * (patterns.MAX_LENGTH + 1),
        "(a{1000}[)]{1000}){1000}",
        "((a{99}){99}){99}",
        r"\Q[\E((x?){400}){500}",
        r"\Q[\E((x?){400}){500}\Q]\E",
    ],
)
def test_an_expression_from_a_payload_is_not_compiled_for_longer_than_it_may_be(
    monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    compiled: list[str] = []
    monkeypatch.setattr("regex.compile", lambda text, _flags: compiled.append(text))
    assert patterns._compiled.__wrapped__(pattern) is None
    assert compiled == []
