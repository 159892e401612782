"""The rules of AWS IoT policies, one by one."""

import json
import time

import pytest
from typer.testing import CliRunner

from infra.local.iot.message import Thing
from infra.local.iot.policy import Context, PolicyError, evaluate, parse, parse_statements
from infra.local.iot.policy.cli import judge_lines, policy

ARN = "arn:aws:iot:us-east-1:123456789012:"
NAMELESS = "${iot:Connection.Thing.ThingName}"
TITLES = "${iot:Certificate.Subject.Title.List}"
TWO_TITLES = {"certificate": {"Subject.Title": ["a", "b"]}}
LAMP = Thing(name="lamp", type_name="bulb", attributes={"colour": "red", "odd": "a*b"})


def allows(resource, asked, context=None, *, action="iot:Publish", asked_action="iot:Publish", condition=None):
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    if condition is not None:
        statement["Condition"] = condition
    statements = parse_statements([statement])
    return evaluate(statements, action=asked_action, resource=asked, context=context or Context()).allowed


def holds(condition, **facts):
    return allows("*", "arn:aws:iot:us-east-1:123456789012:client/x", Context(**facts), condition=condition)


@pytest.mark.parametrize(
    ("pattern", "topic", "expected"),
    [
        ("a/*", "a/b/c", True),
        ("a/*", "a/", True),
        ("a/*", "a", False),
        ("a?c", "abc", True),
        ("a?c", "a/c", True),
        ("a?c", "ac", False),
        ("a/+", "a/b", False),
        ("a/#", "a/b", False),
        ("a/#", "a/#", True),
        ("a/${*}", "a/*", True),
        ("a/${*}", "a/b", False),
        ("a/${?}", "a/?", True),
        ("a/${?}", "a/b", False),
        ("a/${$}{x}", "a/${x}", True),
        ("*a*b*", "xxaxxbxx", True),
        ("*a*b*", "xxbxxaxx", False),
        ("A", "a", False),
        ("a.c", "abc", False),
        ("a\nb*", "a\nb\nc", True),
    ],
)
def test_wildcards_match_as_documented(pattern, topic, expected):
    assert allows(f"{ARN}topic/{pattern}", f"{ARN}topic/{topic}") is expected


def test_a_policy_of_many_stars_takes_linear_time():
    started = time.process_time()
    assert not allows(f"{ARN}topic/" + "*a" * 500, f"{ARN}topic/" + "a" * 256 + "b")
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("iot:Connection.Thing.ThingName", "lamp"),
        ("iot:Connection.Thing.ThingTypeName", "bulb"),
        ("iot:Connection.Thing.Attributes[colour]", "red"),
        ("iot:ClientId", "lamp"),
        ("aws:SourceIp", "10.0.0.1"),
        ("iot:CertificateId", "c0ffee"),
        ("iot:Certificate.Subject.CommonName", "one"),
        ("iot:Certificate.Subject.CommonName.0", "one"),
        ("iot:Certificate.Subject.CommonName.1", "two"),
        ("iot:Certificate.Subject.CommonName.List", "two"),
        ("iot:Certificate.SerialNumber", "42"),
        ("cognito-identity.amazonaws.com:sub", "us-east-1:x"),
    ],
)
def test_each_variable_resolves(variable, value):
    context = Context(
        client_id="lamp",
        source_ip="10.0.0.1",
        thing=LAMP,
        certificate_id="c0ffee",
        certificate={"Subject.CommonName": ["one", "two"], "SerialNumber": ["42"]},
        cognito_sub="us-east-1:x",
    )
    assert allows(f"{ARN}topic/${{{variable}}}/x", f"{ARN}topic/{value}/x", context)
    assert not allows(f"{ARN}topic/${{{variable}}}/x", f"{ARN}topic/other/x", context)
    assert not allows(f"{ARN}topic/${{{variable}}}/x", f"{ARN}topic/${{{variable}}}/x", Context())


@pytest.mark.parametrize(
    "context",
    [
        Context(client_id="other", thing=LAMP),
        Context(client_id="lamp"),
        Context(client_id="lamp", thing=LAMP, attached=False),
    ],
)
def test_thing_variables_need_the_client_id_and_the_attachment(context):
    assert not allows(f"{ARN}client/${{iot:Connection.Thing.ThingName}}", f"{ARN}client/lamp", context)


def test_an_exclusive_thing_is_the_clients_whatever_its_id():
    thing = Thing(name="lamp", exclusive=True)
    assert Context(client_id="another", thing=thing).values("iot:Connection.Thing.ThingName") == ("lamp",)
    assert Context(client_id="another", thing=thing).values("iot:Connection.Thing.IsAttached") == ("true",)


def test_a_value_is_taken_literally_wildcards_in_it_open_nothing():
    name = "${iot:Connection.Thing.Attributes[odd]}"
    assert allows(f"{ARN}topic/{name}", f"{ARN}topic/a*b", Context(thing=LAMP))
    assert not allows(f"{ARN}topic/{name}", f"{ARN}topic/aXb", Context(thing=LAMP))


@pytest.mark.parametrize("value", ["a*", "a$", "a+", "a?", "a#", "x" * 1025])
def test_a_certificate_value_with_a_wildcard_or_too_long_is_not_substituted(value):
    context = Context(certificate={"Subject.Organization": [value]})
    resource = f"{ARN}topic/${{iot:Certificate.Subject.Organization}}"
    assert not allows(resource, f"{ARN}topic/{value}", context)


def test_special_characters_of_a_certificate_stand_behind_a_backslash():
    context = {"certificate": {"Subject.Organization": ["Lamps, Inc."]}}
    assert holds({"StringEquals": {"iot:Certificate.Subject.Organization": "Lamps\\, Inc."}}, **context)
    assert not holds({"StringEquals": {"iot:Certificate.Subject.Organization": "Lamps, Inc."}}, **context)


def test_only_five_values_of_a_certificate_field_count():
    certificate = {"Subject.CommonName": list("abcdef")}
    assert holds(
        {"ForAnyValue:StringEquals": {"iot:Certificate.Subject.CommonName.List": "e"}}, certificate=certificate
    )
    assert not holds(
        {"ForAnyValue:StringEquals": {"iot:Certificate.Subject.CommonName.List": "f"}}, certificate=certificate
    )


@pytest.mark.parametrize(
    ("condition", "facts", "expected"),
    [
        ({"StringEquals": {"iot:ClientId": ["a", "b"]}}, {"client_id": "b"}, True),
        ({"StringEquals": {"iot:ClientId": "a*"}}, {"client_id": "ab"}, False),
        ({"StringLike": {"iot:ClientId": "a*"}}, {"client_id": "ab"}, True),
        ({"StringNotLike": {"iot:ClientId": "a*"}}, {"client_id": "ab"}, False),
        ({"StringEqualsIgnoreCase": {"iot:ClientId": "AB"}}, {"client_id": "ab"}, True),
        ({"StringEquals": {"iot:ClientId": "a"}}, {}, False),
        ({"StringNotEquals": {"iot:ClientId": "a"}}, {}, True),
        ({"StringEqualsIfExists": {"iot:ClientId": "a"}}, {}, True),
        ({"StringEqualsIfExists": {"iot:ClientId": "a"}}, {"client_id": "b"}, False),
        ({"Null": {"iot:ClientId": "true"}}, {}, True),
        ({"Null": {"iot:ClientId": "true"}}, {"client_id": "a"}, False),
        ({"Null": {"iot:ConnectAttributes": "true"}}, {"connect_attributes": []}, True),
        ({"Null": {"iot:ConnectAttributes": "false"}}, {"connect_attributes": []}, False),
        ({"StringEquals": {"iot:ClientId": NAMELESS}}, {"client_id": NAMELESS}, False),
        ({"StringNotEquals": {"iot:ClientId": NAMELESS}}, {"client_id": NAMELESS}, True),
        ({"StringEqualsIgnoreCase": {"iot:ClientId": NAMELESS}}, {"client_id": NAMELESS}, False),
        ({"StringEquals": {"iot:ClientId": TITLES}}, TWO_TITLES | {"client_id": "b"}, True),
        ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {"source_ip": "10.1.2.3"}, True),
        ({"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {"source_ip": "10.1.2.3"}, False),
        ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {"source_ip": "rubbish"}, False),
        ({"NumericLessThan": {"x:n": "5"}}, {"more": {"x:n": ["4.5"]}}, True),
        ({"NumericGreaterThanEquals": {"x:n": 5}}, {"more": {"x:n": ["4.5"]}}, False),
        ({"DateGreaterThan": {"x:t": "2026-01-01T00:00:00Z"}}, {"more": {"x:t": ["2026-06-01T00:00:00Z"]}}, True),
        ({"DateLessThan": {"x:t": "2026-01-01T00:00:00Z"}}, {"more": {"x:t": ["1700000000"]}}, True),
        ({"BinaryEquals": {"x:b": "QQ=="}}, {"more": {"x:b": ["QQ=="]}}, True),
        ({"ArnLike": {"iot:LastWillTopic": f"{ARN}topic/a/*"}}, {"last_will_topic": "a/b:c"}, True),
        ({"ArnLike": {"iot:LastWillTopic": "arn:aws:iot:*:*:topic/a"}}, {"last_will_topic": "a"}, True),
        ({"ArnLike": {"iot:LastWillTopic": f"{ARN}topic/*}}"}}, {"last_will_topic": "{a}"}, True),
        ({"ArnNotLike": {"iot:LastWillTopic": f"{ARN}topic/a/*"}}, {"last_will_topic": "a/b"}, False),
        ({"ArnEquals": {"iot:LastWillTopic": f"{ARN}topic/${{iot:ClientId}}"}},
         {"client_id": "x", "last_will_topic": "x"}, True),
        ({"ForAllValues:StringEquals": {"x:none": ["a"]}}, {}, True),
        ({"ForAnyValue:StringEquals": {"x:none": ["a"]}}, {}, False),
        ({"Bool": {"iot:Connection.Thing.IsAttached": True}}, {"thing": LAMP}, True),
        ({"Bool": {"iot:Connection.Thing.IsAttached": "false"}}, {}, True),
        ({"ForAnyValue:StringEquals": {"iot:Certificate.AvailableKeys": "iot:Certificate.SerialNumber"}},
         {"certificate": {"SerialNumber": ["1"]}}, True),
        ({"StringEquals": {"iot:ClientId": "a"}, "StringLike": {"aws:SourceIp": "9*"}},
         {"client_id": "a", "source_ip": "1.1.1.1"}, False),
    ],
)  # fmt: skip
def test_condition_operators_hold_as_documented(condition, facts, expected):
    assert holds(condition, **facts) is expected


def test_an_unresolved_variable_stays_text_and_matches_nothing_in_a_condition():
    assert not holds({"StringEquals": {"iot:ClientId": "${iot:Connection.Thing.ThingName}"}}, client_id="lamp")


def test_an_explicit_deny_wins_wherever_it_stands_and_names_itself():
    allow = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    deny = {"Sid": "No", "Effect": "Deny", "Action": "iot:Pub*", "Resource": f"{ARN}topic/a"}
    for order in ([allow, deny], [deny, allow]):
        decision = evaluate(
            parse_statements(order, "p"), action="iot:Publish", resource=f"{ARN}topic/a", context=Context()
        )
        assert not decision.allowed
        assert decision.by == f"p[{order.index(deny)}] No"


def test_not_action_and_not_resource_mean_everything_else():
    everything_else = parse_statements(
        [{"Effect": "Allow", "NotAction": "iot:Publish", "NotResource": f"{ARN}topic/a"}]
    )

    def asked(action, topic):
        return evaluate(everything_else, action=action, resource=f"{ARN}topic/{topic}", context=Context()).allowed

    assert asked("iot:Receive", "b")
    assert not asked("iot:Publish", "b")
    assert not asked("iot:Receive", "a")


def test_allowing_a_wide_filter_and_denying_a_narrow_one_does_not_stop_the_wide_one():
    statements = parse_statements([
        {"Effect": "Allow", "Action": "iot:Subscribe", "Resource": f"{ARN}topicfilter/a/*"},
        {"Effect": "Deny", "Action": "iot:Subscribe", "Resource": f"{ARN}topicfilter/a/restricted/*"},
    ])  # fmt: skip
    asked = evaluate(statements, action="iot:Subscribe", resource=f"{ARN}topicfilter/a/#", context=Context())
    assert asked.allowed


def test_a_refusal_tells_of_each_statement_what_was_missing():
    statements = parse_statements([
        {"Effect": "Allow", "Action": "iot:Receive", "Resource": "*"},
        {"Effect": "Allow", "Action": "iot:Publish", "Resource": f"{ARN}topic/b"},
        {"Effect": "Allow", "Action": "iot:Publish", "Resource": f"{ARN}topic/${{iot:ClientId}}/${{aws:SourceIp}}"},
        {"Effect": "Allow", "Action": "iot:Publish", "Resource": "*", "Condition": {"Null": {"iot:ClientId": "false"}}},
    ])  # fmt: skip
    context = Context(source_ip="192.0.2.1")
    decision = evaluate(statements, action="iot:Publish", resource=f"{ARN}topic/a", context=context)
    assert decision.by == "default"
    assert [one.mismatch for one in decision.considered] == [
        "action",
        "resource",
        "resource (${iot:ClientId} has no value here)",
        "condition Null iot:ClientId",
    ]


def document(**changes):
    statement = {"Effect": "Allow", "Action": "iot:Connect", "Resource": "*", **changes}
    return {"Version": "2012-10-17", "Statement": [statement]}


@pytest.mark.parametrize(
    "bad",
    [
        "{",
        "[]",
        {"Statement": document()["Statement"]},
        {"Version": "2008-10-17", "Statement": document()["Statement"]},
        {"Version": "2012-10-17"},
        {"Version": "2012-10-17", "Statement": []},
        {"Version": "2012-10-17", "Statement": ["x"]},
        {**document(), "Extra": 1},
        document(Effect="allow"),
        document(Principal="*"),
        {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Resource": "*"}},
        document(NotAction="iot:Connect"),
        document(Action=[]),
        document(Action=5),
        document(Action="s3:GetObject"),
        document(Resource="topic/a"),
        document(Resource=""),
        document(Condition=[]),
        document(Condition={"StringSame": {"a": "b"}}),
        document(Condition={"ForSome:StringEquals": {"a": "b"}}),
        document(Condition={"StringEquals": "a"}),
        document(Condition={"StringEquals": {"a": {}}}),
    ],
)
def test_what_is_no_policy_is_refused(bad):
    with pytest.raises(PolicyError, match="Policy document is Malformed"):
        parse(bad)


def test_a_document_counts_2048_characters_without_white_space():
    def padded(length):
        text = json.dumps(document(Sid=""), separators=(",", ":"))
        return text.replace('"Sid":""', f'"Sid":"{"x" * (length - len(text))}"')

    assert parse(padded(2048).replace(",", " ,\n  "))
    with pytest.raises(PolicyError, match="2048"):
        parse(padded(2049))


def test_the_tool_answers_line_by_line_and_survives_rubbish():
    good = {"statements": document()["Statement"], "action": "iot:Connect", "resource": f"{ARN}client/a", "context": {}}
    rubbish = ["rubbish", "[]", "null", "[" * 100_000, json.dumps({})]
    rubbish += [json.dumps({**good, **more}) for more in ({"context": {"what": 1}}, {"action": 5}, {"resource": None})]
    answers = list(judge_lines([json.dumps(good), "", *rubbish, json.dumps(good)]))
    assert answers[0] == answers[-1] == {"decision": "allow", "by": "statement[0]"}
    assert [list(answer) for answer in answers[1:-1]] == [["error"]] * len(rubbish)


def test_the_command_reads_cases_from_standard_input():
    import typer

    app = typer.Typer()
    app.command()(policy)
    case = {"statements": document()["Statement"], "action": "iot:Publish", "resource": "*"}
    result = CliRunner().invoke(app, ["--jsonl"], input=b"\xff\xfe\n" + json.dumps(case).encode() + b"\n")
    spoilt, answer = map(json.loads, result.stdout.splitlines())
    assert "error" in spoilt
    assert answer == {"decision": "deny", "by": "default"}


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("iot:ClientId", "c", "c"),
        ("aws:SourceIp", "192.0.2.1", "192.0.2.1"),
        ("iot:CertificateId", "a" * 64, "a" * 64),
        ("iot:ConnectAttributes", "LastWill", "LastWill"),
        ("iot:LastWillTopic", f"{ARN}topic/w", f"{ARN}topic/w"),
        ("iot:Connection.Thing.ThingName", "lamp", "lamp"),
        ("iot:Connection.Thing.ThingTypeName", "bulb", "bulb"),
        ("iot:Connection.Thing.IsAttached", True, "true"),
        ("iot:Connection.Thing.Attributes[room]", "hall", "hall"),
        ("iot:Certificate.Subject.CommonName", ["first", "second"], "first"),
        ("cognito-identity.amazonaws.com:sub", "us-east-1:1", "us-east-1:1"),
        ("aws:CurrentTime", "2026-05-01T00:00:00Z", "2026-05-01T00:00:00Z"),
    ],
)
def test_a_case_may_name_a_condition_key_as_policies_do(key, value, wanted):
    statements = document(Condition={"StringEquals": {key: wanted}})["Statement"]
    case = {"statements": statements, "action": "iot:Connect", "resource": f"{ARN}client/a"}
    answers = judge_lines([json.dumps({**case, "context": context}) for context in ({key: value}, {})])
    decisions = [answer["decision"] for answer in answers]
    assert decisions == ["allow", "deny"]


@pytest.mark.parametrize(
    "context",
    [
        {"thing": "lamp", "thing_type": "bulb", "attributes": {"k": "v"}},
        {"thing": {"name": "lamp", "type": "bulb", "attributes": {"k": "v"}}},
        {"client_id": "lamp", "thing_type": "bulb", "attributes": {"k": "v"}},
        {"thing": {"name": "lamp", "type_name": "bulb", "attributes": {"k": "v"}}, "cert": None, "source_ip": None},
    ],
)
def test_a_case_may_describe_its_thing_in_either_way(context):
    names = ("ThingName", "ThingTypeName", "Attributes[k]")
    resource = f"{ARN}topic/" + "/".join(f"${{iot:Connection.Thing.{name}}}" for name in names)
    statements = [{"Effect": "Allow", "Action": "iot:Publish", "Resource": resource}]
    case = {"statements": statements, "action": "iot:Publish", "resource": f"{ARN}topic/lamp/bulb/v"}
    (answer,) = judge_lines([json.dumps({**case, "context": context})])
    assert answer["decision"] == "allow"
    (answer,) = judge_lines([json.dumps({**case, "context": {**context, "attached": False}})])
    assert answer["decision"] == "deny"
