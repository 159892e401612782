"""Rows of the guide's tables: "Functions", "Operators", "Data types", "Literals", "Case statements", "SET clause"."""

import json
import tracemalloc

import pytest

from infra.local.iot.rules.cases import answer, write

DECODED = "decode(encode(*, 'base64'), 'base64')"
NOTHING = object()
"""Undefined: the answer has no result."""
PAYLOAD = {
    "encoded_temp": "eyAidGVtcGVyYXR1cmUiOiAzMyB9Cg==",
    "e": [{"n": "temperature", "v": 22.5}, {"n": "light", "v": 135}],
    "nothing": None,
    "o": {"a": 1, "b": {"c": 2}},
    "deviceid": "iot123",
}
ROWS = [
    ("accountid()", "123456789012"),
    ("abs('-5.5')", 5.5), ("abs('x')", NOTHING), ("abs(NULL)", NOTHING), ("abs([1])", NOTHING), ("abs(-1.5)", 1.5),
    ("acos('0')", 1.5707963267948966), ("acos(true)", NOTHING), ("asin(2)", NOTHING), ("atan('1')", 0.7853981633974483),
    ("atan2(1, 0)", 1.5707963267948966), ("atan2('1', 0)", 1.5707963267948966), ("atan2('x', 0)", NOTHING),
    ("bitor(8, 5)", 13), ("bitxor(13, 5)", 8), ("bitor('8', '5')", 13), ("bitand(NULL, 5)", NOTHING),
    ("bitand('x', 5)", NOTHING), ("bitxor(13.9, 5.9)", 8), ("bitand(true, 1)", NOTHING),
    ("cast(true as Int)", 1), ("cast(false as Decimal)", 0), ("cast('5E-12' as Decimal)", 5e-12),
    ("cast('-1.2' as Decimal)", -1.2), ("cast('1.9' as Int)", 1), ("cast(1.9 as Integer)", 1),
    ("cast('TRUE' as Boolean)", True), ("cast('False' as Bool)", False), ("cast('x' as Bool)", NOTHING),
    ("cast(0 as Bool)", False), ("cast(0.0 as Bool)", False), ("cast([1] as Bool)", NOTHING),
    ("cast(12 as String)", "12"), ("cast(true as Text)", "true"), ("cast(NULL as String)", NOTHING),
    ("cast([1, 'a', NULL, true] as Nvarchar)", '[1,"a",null,true]'), ("cast([1] as Int)", NOTHING),
    ("cast({'a': {'b': [1.5]}} as Ntext)", '{"a":{"b":[1.5]}}'), ("cast(1.5 as Double)", 1.5),
    ("cast('x' as Int)", NOTHING),
    ("cast('1e3' as Int)", 1000), ("cast('+1' as Int)", NOTHING), ("cast(' 1' as Int)", NOTHING),
    ("cast('.5' as Decimal)", NOTHING), ("cast('1E+3' as Int)", NOTHING), ("cast(true as Double)", 1),
    ("ceil('1.2')", 2), ("ceil(5)", 5), ("ceil(true)", NOTHING), ("floor(NULL)", NOTHING), ("floor(7)", 7),
    ("chr(65)", "A"), ("chr('65')", "A"), ("chr(128)", NOTHING), ("chr(-1)", NOTHING), ("chr(true)", NOTHING),
    ("clientid()", "n/a"),
    ("concat([1, 2, 3], 4)", [1, 2, 3, 4]), ("concat([1, 2, 3], 'hello')", [1, 2, 3, "hello"]),
    ("concat('con', 'cat')", "concat"), ("concat(1, 'hello')", "1hello"), ("concat('he', 'is', 'man')", "heisman"),
    ("concat([1, 2, 3], 'hello', [4, 5, 6])", [1, 2, 3, "hello", 4, 5, 6]), ("concat('a', NULL)", NOTHING),
    ("concat('a', true)", "atrue"), ("concat('a', {'b': 1})", 'a{"b":1}'),
    ("cos(0)", 1), ("cosh(2.3)", 5.037220649268761), ("sin(0)", 0), ("sinh(2.3)", 4.936961805545957),
    ("exp(0)", 1), ("exp(1)", 2.718281828459045), ("exp(1000)", NOTHING), ("ln(1)", 0), ("ln(0)", NOTHING),
    ("ln(-1)", NOTHING), ("log('1000')", 3), ("sqrt(9)", 3), ("sqrt('16')", 4), ("sqrt(-1)", NOTHING),
    ("power(2, 5)", 32), ("power('2', 0.5)", 1.4142135623730951), ("power(10, 400)", NOTHING),
    ("power(true, 1)", NOTHING),
    ("decode(encoded_temp, 'base64').temperature", 33), ("decode('aGVsbG8=', 'base64')", "hello"),
    ("decode('!!', 'base64')", None), ("decode('gIA=', 'base64')", None), ("decode(nosuch, 'base64')", NOTHING),
    ("encode('hello', 'base64')", "aGVsbG8="), ("encode(12, 'base64')", "MTI="), ("encode(nosuch, 'base64')", NOTHING),
    ("encode({'a': 1}, 'base64')", "eyJhIjoxfQ=="), ("encode(NULL, 'base64')", NOTHING),
    ("endswith('cat', 'at')", True), ("endswith(true, 'ue')", True), ("endswith('cat', NULL)", NOTHING),
    ("startswith('ranger', 'ran')", True), ("startswith(123, 12)", True), ("startswith([1], '[')", True),
    ("get('abc', 5)", NOTHING), ("get([1, 2], '1')", 2), ("get([1, 2], 'x')", NOTHING), ("get([1, 2], true)", NOTHING),
    ("get({'a': 'b'}, 'c')", NOTHING), ("get({'1': 'b'}, 1)", NOTHING), ("get(5, 0)", NOTHING),
    ("get(NULL, 0)", NOTHING),
    ("get_or_default(nosuch, 'd')", "d"), ("get_or_default(nothing, 'd')", "d"),
    ("get_or_default(deviceid, 'd')", "iot123"),
    ("get_or_default(nosuch)", NOTHING),
    ("md5(deviceid)", "e37f81fb397e595c4aeb5645b8cbbbd1"), ("md2('')", "8350e5a3e24c153df2275c9f80692773"),
    ("sha1('abc')", "a9993e364706816aba3e25717850c26c9cd0d89d"), ("sha256(NULL)", NOTHING),
    ("sha224('')", "d14a028c2a3a2bc9476102bb288234c415a2b01f828ea62ac5b3e42f"),
    ("md5(1)", "c4ca4238a0b923820dcc509a6f75849b"),
    ("indexof('abcd', 'x')", -1), ("indexof(1234, 34)", 2), ("indexof(NULL, 'a')", NOTHING),
    ("isNull(nothing)", True), ("isUndefined(nosuch)", True), ("isUndefined(nothing)", False),
    ("isundefined(5)", False),
    ("length('hi')", 2), ("length(false)", 5), ("length(NULL)", NOTHING),
    ("lower('HELLO')", "hello"), ("lower(['HELLO'])", '["hello"]'), ("lower(NULL)", NOTHING),
    ("lpad('hello', '2')", "  hello"), ("lpad('a', -1)", "a"), ("lpad('a', 1001)", " " * 1000 + "a"),
    ("lpad('a', 2.9)", "  a"),
    ("lpad('a', true)", NOTHING), ("lpad(NULL, 1)", NOTHING), ("rpad('a', 'x')", NOTHING), ("rpad(true, 1)", "true "),
    ("Ltrim('\t h i ')", "h i "), ("ltrim(5)", "5"), ("rtrim(NULL)", NOTHING), ("Trim(' [1] ')", "[1]"),
    ("trim([1])", "[1]"),
    ("mod(8.5, 3)", 2.5), ("mod(-8, 3)", -2), ("mod(8, 0)", NOTHING), ("remainder(8, 3)", 2), ("mod('8', '3')", 2),
    ("Nanvl(NULL, 3)", 3), ("nanvl('x', 3)", "x"),
    ("numbytes('€')", 3), ("numbytes(12)", 2),
    ("regexp_matches('aaaa', 'a{2,}')", True), ("regexp_matches('aaaa', '(')", NOTHING),
    ("regexp_matches(12, '^\\d+$')", True),
    ("regexp_matches(NULL, 'a')", NOTHING), ("regexp_matches('a-b', '[a-z&&[^a]]')", True),
    ("regexp_matches('x', '\\p{Upper}')", False), ("regexp_matches('a.b', '^\\Qa.b\\E$')", True),
    ("regexp_matches('abab', '^(?<n>ab)\\k<n>$')", True), ("regexp_matches('A', '\\x{41}')", True),
    ("regexp_matches('{\"a\":1}', {'a': 1})", NOTHING), ("regexp_matches('a{', 'a\\{')", True),
    ("regexp_matches('ωé1', '^\\p{IsGreek}[\\p{L}]\\p{N}{1}$')", True), ("regexp_matches('a', '\\p{Nosuch}')", NOTHING),
    ("regexp_matches('fo', '(?:foo){e}')", NOTHING), ("regexp_matches('a', '(?P<n>a)')", NOTHING),
    ("regexp_matches('a', '\\m')", NOTHING), ("regexp_matches('a-', '[a--a]')", True),
    ("regexp_matches('{', '[{]')", True), ("regexp_matches('aa', 'a{,3}')", NOTHING),
    ("regexp_matches('aa', '^a{1,}$')", True), ("regexp_matches(']', '[]]')", True),
    ("regexp_matches('Ab', '\\p{javaUpperCase}\\p{javaLowerCase}')", True),
    ("regexp_replace('abcd', 'b(.*)d', '$1')", "ac"), ("regexp_replace('a1b2', '[0-9]', '')", "ab"),
    ("regexp_replace('abc', 'b', '$1')", NOTHING), ("regexp_replace('abc', 'b', '\\$')", "a$c"),
    ("regexp_replace('abc', '(?<x>b)', '[${x}]')", "a[b]c"), ("regexp_replace('abc', '(', 'x')", NOTHING),
    ("regexp_substr('hihihello', 'hi')", "hi"), ("regexp_substr('abc', 'x')", NOTHING),
    ("replace('abcdabcd', 'b', 'x')", "axcdaxcd"), ("replace(121, 1, 'x')", "x2x"),
    ("replace('a', NULL, 'b')", NOTHING),
    ("Round(1.2)", 1), ("Round(-1.1)", -1), ("round('2.5')", 3), ("round(3)", 3), ("round(0.5)", 1),
    ("round(true)", NOTHING),
    ("sign(-7)", -1), ("sign(0)", 0), ("sign(13)", 1), ("sign('-2.5')", -1), ("sign('x')", NOTHING),
    ("sign(NULL)", NOTHING),
    ("substring('012345', 0)", "012345"), ("substring(123, 2)", "3"), ("substring('012345', -1)", "012345"),
    ("substring(true, 1.2)", "rue"), ("substring('012345', 1, 3)", "12"), ("substring('012345', 2, 2)", ""),
    ("substring('012345', '1', '3')", "12"), ("substring('012345', 'x')", NOTHING), ("substring(NULL, 1)", NOTHING),
    ("time_to_epoch('2020-04-03 09:45:18 UTC+01:00', 'yyyy-MM-dd HH:mm:ss VV')", 1585903518000),
    ("time_to_epoch('2007-12-03 10:15:30.592 America/Los_Angeles', 'yyyy-MM-dd HH:mm:ss.SSS z')", 1196705730592),
    ("time_to_epoch('2021-03-04T05:06:07Z', \"yyyy-MM-dd'T'HH:mm:ssX\")", 1614834367000),
    ("time_to_epoch('20210304050607', 'yyyyMMddHHmmss')", 1614834367000),
    ("time_to_epoch('4 Mar 21 5:06 PM', 'd MMM yy h:mm a')", 1614877560000),
    ("time_to_epoch('2021-02-31', 'yyyy-MM-dd')", 1614470400000),
    ("time_to_epoch('2021-03-04 +0100', 'yyyy-MM-dd Z')", 1614812400000),
    ("time_to_epoch('Thu, 04 Mar 2021', 'EEE, dd MMM yyyy')", 1614816000000),
    ("time_to_epoch('Fri, 04 Mar 2021', 'EEE, dd MMM yyyy')", NOTHING),
    ("time_to_epoch('2011-12-03 10:15 Pacific Standard Time', 'yyyy-MM-dd HH:mm zzzz')", 1322936100000),
    ("time_to_epoch('2011-12-03 10:15 India Standard Time', 'yyyy-MM-dd HH:mm zzzz')", 1322887500000),
    (f"time_to_epoch('{'1' * 90}x', '{'NAn' * 30}')", NOTHING),
    ("time_to_epoch('2021-03', 'yyyy-MM')", NOTHING), ("time_to_epoch('x', 'yyyy')", NOTHING),
    ("time_to_epoch('2021-13-01', 'yyyy-MM-dd')", NOTHING), ("time_to_epoch(NULL, 'yyyy')", NOTHING),
    ("parse_time(\"yyyy.MM.dd G 'at' HH:mm:ss z\", 100000000, 'America/Belize')", "1970.01.01 AD at 21:46:40 CST"),
    ("parse_time('z zzzz', 0, 'GMT')", "GMT Greenwich Mean Time"),
    ("parse_time('zzzz', 1614834367089, 'America/Los_Angeles')", "Pacific Standard Time"),
    ("parse_time('zzzz', 1625000000000, 'Europe/Paris')", "Central European Summer Time"),
    ("parse_time('zzzz', 0, 'Asia/Shanghai')", "China Standard Time"),
    ("parse_time('yyyy-MM-dd', '100000000')", "1970-01-02"), ("parse_time('yyyy', 'x')", NOTHING),
    ("parse_time('yyyy', 0, 'Nowhere/City')", NOTHING),
    ("parse_time('EEE d MMM yy h:mm a', 0)", "Thu 1 Jan 70 12:00 AM"),
    ("parse_time(\"yyyy-MM-dd'T'HH:mm:ss.SSSZZ\", 1614834367089, '+01:00')", "2021-03-04T06:06:07.089+01:00"),
    ("parse_time('EEEE MMMM D e k K', 1614834367089)", "Thursday March 63 4 5 5"), ("parse_time('Q', 0)", NOTHING),
    ("topic('1')", "a"), ("topic(3)", NOTHING), ("topic(0)", NOTHING), ("topic(2.9)", "b"), ("topic(NULL)", NOTHING),
    ("get_user_properties(NULL)", NOTHING), ("decode('aGVsbG8', 'base64')", "hello"),
    ("traceid()", NOTHING), ("principal()", NOTHING), ("sourceip()", NOTHING),
    ("get_mqtt_property('format_indicator')", "UNSPECIFIED_BYTES"), ("get_mqtt_property('content_type')", NOTHING),
    ("get_user_properties()", []), ("get_user_properties('k')", NOTHING),
    ("transform('enrichArray', {'key': o.a}, e)",
     [{"n": "temperature", "v": 22.5, "key": 1}, {"n": "light", "v": 135, "key": 1}]),
    ("transform('enrichArray', {'k': 1}, [1])", NOTHING), ("transform('enrichArray', 5, e)", NOTHING),
    ("trunc(2.3, 0)", 2), ("trunc(2.00, 5)", 2), ("trunc(-2.987, 1)", -2.9), ("trunc(5, 2)", 5),
    ("trunc(2.987, 1.9)", 2.9),
    ("trunc('x', 1)", NOTHING), ("trunc(true, 1)", NOTHING), ("trunc(2.5, NULL)", NOTHING), ("trunc(2.5, 99)", 2.5),
    # Operators
    ("true AND false", False), ("'false' AND true", False), ("true AND 1", NOTHING), ("nosuch AND true", NOTHING),
    ("'x' OR true", NOTHING), ("false OR 'TRUE'", True), ("NOT 'false'", True), ("NOT 1", NOTHING),
    ("NOT NULL", NOTHING),
    ("'a' > 1", NOTHING), ("true > 1", NOTHING), ("NULL < 1", NOTHING), ("'2' < '10'", True), ("1.0 <= 1", True),
    ("1 = '1'", False), ("NULL = NULL", True), ("NULL <> NULL", False), ("NULL = 1", False), ("NULL <> 1", True),
    ("'a' = 'A'", False), ("[1, 2] = [2, 1]", False), ("[1] = [1.0]", True), ("[true] = [1]", False),
    ("true = 1", False),
    ("{'a': [1]} <> {'a': [1.0]}", False), ("nosuch = nosuch", NOTHING), ("nosuch <> 1", NOTHING),
    ("'a' + 1", "a1"), ("'a' + 1.5", "a1.5"), ("'a' + [1]", "a[1]"), ("'a' + NULL", NOTHING), ("'a' + nosuch", NOTHING),
    ("[1] + [2]", NOTHING), ("1 + NULL", NOTHING), ("'1' + 2", "12"), ("0.1 + 0.2", 0.3),
    ("7 / 2", 3), ("-7 / 2", -3), ("7 / 2.0", 3.5), ("'7' / 2", 3.5), ("1 / 0", NOTHING), ("1.0 / 0", NOTHING),
    ("7 % 3", 1), ("-7 % 3", -1), ("7.5 % 2", 1.5), ("7 % 0", NOTHING), ("2 * 3", 6), ("2 * 1.5", 3),
    ("5 - '2.5'", 2.5),
    ("NULL - 1", NOTHING), ("1 - true", NOTHING), ("2 + 3 * 4", 14), ("(2 + 3) * 4", 20), ("-o.a", -1), ("- -1", 1),
    ("1 + 1 = 2 AND NOT 1 > 2", True), ("10 - 2 - 3", 5), ("1 IN [1, 2]", True), ("'1' IN [1, 2]", False),
    ("3 IN (1, 2)", False), ("nosuch IN [1]", NOTHING), ("1 IN 'x'", False), ("NOT 1 IN [2]", True),
    # Literals, paths, nested queries, CASE
    ("o.b.c", 2), ("o.nosuch.c", NOTHING), ("nothing.x", NOTHING), ("[1, nosuch, 2]", [1, 2]), ("{'a': nosuch}", {}),
    ("{'a': NULL, \"b\": [o.a]}", {"a": None, "b": [1]}), ("'it''s'", "it's"), ('"say ""hi"""', 'say "hi"'),
    ("(SELECT VALUE v FROM e)", [22.5, 135]), ("(SELECT v FROM e WHERE n = 'light')", [{"v": 135}]),
    ("get((SELECT v FROM e WHERE n = 'temperature'), 0).v", 22.5), ("(SELECT a FROM o)", {"a": 1}),
    ("(SELECT VALUE a FROM o WHERE a = 2)", NOTHING), ("(SELECT a FROM nosuch)", NOTHING),
    ("(SELECT * FROM e WHERE v > 100)",
     [{"n": "light", "v": 135}]), ("(SELECT VALUE * FROM [1, 2])", [1, 2]),
    ("CASE 1 WHEN 1.0 THEN 'one' END", "one"), ("CASE nosuch WHEN 1 THEN 2 ELSE 3 END", NOTHING),
    ("CASE '1' WHEN 1 THEN 2 ELSE 3 END", 3), ("CASE 1 WHEN 1 THEN 'first' WHEN 1 THEN 'second' END", "first"),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "expected"), ROWS, ids=[row[0] for row in ROWS])
def test_each_row_of_the_tables_holds(expression, expected):
    given = json.loads(write(answer({"expr": expression, "topic": "a/b", "payload": PAYLOAD})))

    assert given == ({"fires": True} if expected is NOTHING else {"fires": True, "result": expected})
    assert type(given.get("result")) is bool or type(expected) is not bool


STATEMENTS = [
    ("SELECT foo.bar AS bar.baz FROM 'a/b'", {"foo": {"bar": 1}}, {"bar": {"baz": 1}}),
    ("SELECT *, 1 AS o.x FROM 'a/b'", {"o": {"y": 2}}, {"o": {"y": 2, "x": 1}}),
    ("SELECT color FROM 'a/b'", {"color": "red", "t": 1}, {"color": "red"}),
    ("SELECT VALUE color FROM 'a/b'", {"color": "red"}, "red"),
    ("SELECT (temperature - 32) * 5 / 9 AS celsius, upper(color) as my_color FROM 'a/b'",
     {"color": "red", "temperature": 50}, {"celsius": 10, "my_color": "RED"}),
    ("SELECT [lat,long] as lat_long FROM 'a/b'", {"lat": 47.606, "long": -122.332}, {"lat_long": [47.606, -122.332]}),
    ("SELECT o.*, deviceid FROM 'a/b'", {"o": {"x": 1}, "deviceid": "d"}, {"x": 1, "deviceid": "d"}),
    ("SELECT topic(2), upper(c), o.x, FROM 'a/b'", {"c": "r", "o": {"x": 1}}, {"topic": "b", "upper": "R", "x": 1}),
    ("SELECT * AS message, {'all': *,} AS copy FROM 'a/b'", {"x": 1}, {"message": {"x": 1}, "copy": {"all": {"x": 1}}}),
    ("SELECT value, value * 2 AS twice FROM 'a/b' WHERE value > 1", {"value": 2}, {"value": 2, "twice": 4}),
    ("SET @a = 50, @b = @a + 1 SELECT @b AS b, @a FROM 'a/b' WHERE t > @a", {"t": 60}, {"b": 51, "a": 50}),
    ("SET @o = {'name': 'x'} SELECT @o.name, (SELECT VALUE @o.name FROM r) AS n FROM 'a/b'", {"r": [{}]},
     {"name": "x", "n": ["x"]}),
    ("select a from 'a/b' where 'true'", {"a": 1}, {"a": 1}),
    ("SELECT nosuch FROM 'a/b'", {"a": 1}, {}),
    ("SELECT a.*, nosuch.*, 1 AS one FROM 'a/b'", {"a": 5}, {"one": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "payload", "expected"), STATEMENTS, ids=[row[0] for row in STATEMENTS])
def test_whole_statements_give_what_the_guide_describes(sql, payload, expected):
    given = json.loads(write(answer({"sql": sql, "topic": "a/b", "payload": payload})))

    assert given == {"fires": True, "result": expected}


@pytest.mark.parametrize(
    ("sql", "payload_text", "expected"),
    [
        ("SELECT * FROM 't'", "not json", {"fires": True, "result": "not json"}),
        ("SELECT encode(*, 'base64') AS d FROM 't'", "hello", {"fires": True, "result": {"d": "aGVsbG8="}}),
        ("SELECT * AS d, 1 AS one FROM 't'", "hello", {"fires": True, "result": {"d": "aGVsbG8=", "one": 1}}),
        ("SELECT *, 1 AS one FROM 't'", "", {"fires": True, "result": {"one": 1}}),
        ("SELECT *, 1 AS one FROM 't'", "hi!", {"fires": True, "result": {"payload": "aGkh", "one": 1}}),
        ("SELECT * FROM 't' WHERE device_type = 'x'", "hello", {"fires": False}),
        ("SELECT * FROM 't' WHERE timestamp() % 12 = 0", "hello", {"fires": True, "result": "hello"}),
        (
            f"SELECT {DECODED} AS v FROM 't' WHERE {DECODED} > 50",
            "80",
            {"fires": True, "result": {"v": 80}},
        ),
        ("SELECT VALUE nosuch FROM 't'", "{}", {"fires": True}),
        ("SELECT x FROM 't'", '{"x": NaN}', {"fires": True, "result": {}}),
        ("SELECT x FROM 't'", '{"x": 1e5000}', {"fires": True, "result": {}}),
    ],
)
def test_payloads_that_are_not_json_pass_as_documented(sql, payload_text, expected):
    assert json.loads(write(answer({"sql": sql, "topic": "t", "payload_text": payload_text}))) == expected


@pytest.mark.parametrize(
    ("text", "version", "expected"),
    [("10.0", "2016-03-23", "10"), ("10.0", "2015-10-08", "10.0"), ("1E+3", "2016-03-23", "1000")],
)
def test_a_whole_decimal_becomes_an_int_in_sql_2016_only(text, version, expected):
    case = {"sql": "SELECT x FROM 't'", "topic": "t", "payload_text": f'{{"x": {text}}}', "sql_version": version}

    assert write(answer(case)) == f'{{"fires": true, "result": {{"x":{expected}}}}}'


def test_mqtt_5_properties_are_seen():
    context = {
        "mqtt_properties": {"content_type": "text/plain", "correlation_data": "Y2lk", "format_indicator": "UTF8_DATA"},
        "user_properties": [["k", "v1"], ["o", "ov"], ["k", "v2"]],
    }
    asked = {
        "get_mqtt_property('content_type')": "text/plain",
        "get_mqtt_property('format_indicator')": "UTF8_DATA",
        "get_mqtt_property('correlation_data')": "Y2lk",
        "get_user_properties('k')": ["v1", "v2"],
        "get_user_properties()": [{"k": "v1"}, {"o": "ov"}, {"k": "v2"}],
    }

    assert {one: answer({"expr": one, "context": context})["result"] for one in asked} == asked


@pytest.mark.parametrize("name", ["client_id", "clientid", "clientId"])
def test_the_keys_of_a_context_may_be_written_in_each_way(name):
    assert answer({"expr": "clientid()", "context": {name: "d1"}}) == {"fires": True, "result": "d1"}


@pytest.mark.parametrize("shadows", [{"T:cfg": {"state": 1}}, {"T/cfg": {"state": 1}}, {"T": {"cfg": {"state": 1}}}])
def test_named_shadows_are_seen_however_a_case_writes_them(shadows):
    sql = "SELECT get_thing_shadow('T', 'cfg', 'arn:aws:iam::123456789012:role/r').state AS s FROM 't'"

    assert answer({"sql": sql, "topic": "t", "context": {"shadows": shadows}}) == {"fires": True, "result": {"s": 1}}


@pytest.mark.parametrize(
    "expression",
    [
        "transform('enrichArray', o, r)", "replace(s, 'x', s)", "regexp_replace(s, 'x', s)",
        "regexp_replace(s, '(x+)', concat('$1', '$1', '$1'))",
    ],
)  # fmt: skip
def test_a_message_cannot_make_a_result_grow_beyond_what_a_message_may_have(expression):
    payload = {"o": {"a": "y" * 50_000}, "r": [{}] * 20_000, "s": "x" * 60_000}
    tracemalloc.start()

    given = answer({"expr": expression, "payload": payload})

    assert given == {"fires": True}
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()


def test_integers_of_34_digits_stay_integers():
    case = {
        "sql": "SELECT x / 2 AS half FROM 't'",
        "topic": "t",
        "payload_text": '{"x": -1000000000000000000000000000000003}',
    }

    assert write(answer(case)) == '{"fires": true, "result": {"half":-500000000000000000000000000000001}}'
