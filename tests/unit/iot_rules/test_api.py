"""The topic-rule operations as the API answers them."""

import json

import pytest

from infra.local.iot.control import IotApi
from infra.local.iot.errors import NotEmulatedError
from infra.local.wire import Request
from tests.unit.iot_rules.fakes import ROLE, Room, lambda_action, republish, sqs


def error_of(response) -> tuple[int, str, str]:
    return response.status, response.headers["x-amzn-errortype"], json.loads(response.body)["message"]


async def created(room=None, **more):
    room = room or Room()
    document = {"sql": "SELECT * FROM 'a'", "actions": [lambda_action()], **more}
    return await room.call("POST", "/rules/r", document)


async def test_a_rule_is_got_as_it_was_given_with_the_default_version():
    room = Room()
    await created(room, description="d")

    got = json.loads((await room.call("GET", "/rules/r")).body)

    assert got == {
        "ruleArn": "arn:aws:iot:us-east-1:123456789012:rule/r",
        "rule": {
            "ruleName": "r",
            "sql": "SELECT * FROM 'a'",
            "description": "d",
            "createdAt": 1767225600.0,
            "actions": [lambda_action()],
            "ruleDisabled": False,
            "awsIotSqlVersion": "2015-10-08",
        },
    }


async def test_creating_a_rule_twice_is_refused_and_replacing_it_is_not():
    room = Room()
    await created(room)

    assert error_of(await created(room))[:2] == (409, "ResourceAlreadyExistsException")
    replaced = await room.call("PATCH", "/rules/r", {"sql": "SELECT 1 AS x FROM 'b'", "actions": [lambda_action()]})
    assert replaced.status == 200
    await room.publish("a")
    await room.publish("b")
    assert room.aws.bodies("lambda") == [{"x": 1}]


@pytest.mark.parametrize(("method", "path"), [("GET", "/rules/x"), ("PATCH", "/rules/x"), ("POST", "/rules/x/enable")])
async def test_a_rule_that_is_not_there_is_denied_as_aws_denies_it(method, path):
    refused = error_of(await Room().call(method, path, {"sql": "SELECT 1 AS x", "actions": []}))

    assert refused == (401, "UnauthorizedException", "Access to topic rule 'x' was denied")


async def test_deleting_is_final_and_may_be_repeated():
    room = Room()
    await created(room)
    assert (await room.call("DELETE", "/rules/r")).status == 200
    assert (await room.call("DELETE", "/rules/r")).status == 200
    await room.publish("a")

    assert room.aws.sent == []


async def test_rules_are_listed_by_page_topic_and_state():
    room = Room()
    for name in "abc":
        await room.rule(name, f"SELECT * FROM '{name}/#'", ruleDisabled=name == "b")

    async def names(query: str) -> list[str]:
        listed = json.loads((await room.call("GET", "/rules", query=query)).body)
        return [rule["ruleName"] for rule in listed["rules"]] + [listed.get("nextToken", "")]

    assert await names("") == ["a", "b", "c", ""]
    assert await names("maxResults=2") == ["a", "b", "2"]
    assert await names("maxResults=2&nextToken=2") == ["c", ""]
    assert await names("topic=c%2Fd") == ["c", ""]
    assert await names("ruleDisabled=true") == ["b", ""]


async def test_sql_that_cannot_be_parsed_is_a_parse_exception_with_the_place():
    status, code, text = error_of(await created(sql="SELECT a b FROM 't'"))

    assert (status, code) == (400, "SqlParseException")
    assert "Unexpected 'b'; expected" in text
    assert "line 1, column 10" in text


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT nosuch() AS x FROM 'a'", "SELECT abs() AS x FROM 'a'", "SELECT aws_lambda('f', *) AS x FROM 'a'",
        "SELECT encode(*, 'base64') AS x FROM 'a'", "SELECT [1] AS x FROM 'a'", "SELECT * FROM 'a/#/b'",
        "SELECT * FROM 'a+/b'", "SELECT * FROM '$aws/rules/r/a'", "SELECT 1 + 1 FROM 'a'", "SELECT * FROM ''",
        "SELECT cast(1 as Bool) AS x FROM 'a'", "SELECT * FROM 'a/b/c/d/e/f/g/h/i'",
    ],
)  # fmt: skip
async def test_what_sql_2015_does_not_know_is_refused(sql):
    assert error_of(await created(sql=sql))[1] == "SqlParseException"


@pytest.mark.parametrize(
    "more",
    [
        {"actions": [lambda_action()] * 11}, {"actions": [{"kinesis": {}}]}, {"awsIotSqlVersion": "2020-01-01"},
        {"sql": ""}, {"actions": "none"}, {"colour": "red"}, {"errorAction": {"firehose": {}}},
    ],
)  # fmt: skip
async def test_wrong_documents_are_invalid_requests(more):
    assert error_of(await created(**more))[:2] == (400, "InvalidRequestException")


async def test_names_are_letters_digits_and_underscores():
    room = Room()
    document = {"sql": "SELECT * FROM 'a'", "actions": []}

    assert error_of(await room.call("POST", "/rules/a-b", document))[1] == "InvalidRequestException"
    assert (await room.call("POST", "/rules/A_1", document)).status == 200


async def test_every_role_is_tried_when_the_rule_is_made_even_disabled():
    room = Room()
    room.aws.bad_roles = {ROLE}
    shadow = f"SELECT get_thing_shadow('t', '{ROLE}') AS s FROM 'a'"

    for more in (
        {"actions": [republish("b")], "ruleDisabled": True},
        {"errorAction": sqs()},
        {"sql": shadow, "awsIotSqlVersion": "2016-03-23"},
    ):
        status, code, text = error_of(await created(room, **more))
        assert (status, code) == (400, "InvalidRequestException")
        assert text.endswith(ROLE)


async def test_functions_that_reach_outside_are_not_allowed_in_error_actions():
    template = f"${{get_thing_shadow('t', '{ROLE}').x}}"
    refused = error_of(await created(awsIotSqlVersion="2016-03-23", errorAction=republish(template)))

    assert refused[1] == "SqlParseException"
    assert "not allowed in an error action" in refused[2]


class _NothingElse:
    """A registry that carries no operation."""

    def call(self, operation, _ask):
        raise NotEmulatedError(operation)


@pytest.mark.parametrize(("method", "operation"), [("GET", "ListTopicRuleDestinations"),
                                                   ("POST", "CreateTopicRuleDestination")])  # fmt: skip
async def test_rule_destinations_are_refused_by_name(method, operation):
    api = IotApi(_NothingElse(), rules=Room().api.handle)
    body = b'{"destinationConfiguration":{}}'

    refused = error_of(await api.handle(Request(service="iot", method=method, path="/destinations", body=body)))

    assert refused == (501, "NotImplementedException", f"not emulated: {operation}")
