"""The actions of a rule: checked at deploy, carried out under the rule's own role ("AWS IoT rule actions")."""

import base64
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from operator import itemgetter
from typing import Any
from urllib.parse import quote, urlencode

from infra.local.iot.rules.aws_calls import Call
from infra.local.iot.rules.compiler import Outcome
from infra.local.iot.rules.context import Context
from infra.local.iot.rules.templates import compile_template, compile_templates, unescape_topic
from infra.local.iot.rules.values import UNDEFINED, Value, decimal

PAGES = "https://docs.aws.amazon.com/iot/latest/developerguide/"
MAX_ACTIONS = 10
REFUSED = (
    "cloudwatchAlarm", "cloudwatchLogs", "cloudwatchMetric", "dynamoDB", "elasticsearch", "firehose", "http",
    "influxDB", "iotAnalytics", "iotEvents", "iotSiteWise", "kafka", "kinesis", "location", "openSearch",
    "salesforce", "stepFunctions", "timestream",
)  # fmt: skip
"""Actions of AWS IoT that are not emulated: a rule that has one is not deployed."""


class ActionError(Exception):
    """An action cannot be carried out with this message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One type of action."""

    failed_action: str
    """What the error action's document calls it."""
    page: str
    required: Mapping[str, type]
    optional: Mapping[str, type]
    templated: tuple[str, ...]
    resource: Callable[[Mapping[str, Any]], str]
    """From the parameters to what ``failedResource`` shows."""
    build: Callable[[Mapping[str, Any], Outcome, Context], Call]
    """(parameters, filled; outcome; message) to the request that carries it out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One action of a deployed rule."""

    kind: Kind
    name: str
    role_arn: str | None
    fill: Callable[[Context], dict[str, Any]]
    """From a message to the parameters, their templates filled."""


def build_action(definition: Any, version: str, variables: tuple[str, ...] = (), *, external: bool = True) -> Action:
    """Return a checked action; ``external`` is False for an error action.

    Raises:
        ActionError: it is of a type that is not emulated or unknown, or has wrong parameters.
        SqlError: a substitution template cannot be compiled.
    """
    if not isinstance(definition, dict) or len(definition) != 1:
        raise ActionError("An action is an object with exactly one member, named after its type")
    name, given = next(iter(definition.items()))
    if name in REFUSED:
        raise ActionError(f"The action type {name} is not emulated locally")
    kind = KINDS.get(name)
    if kind is None:
        raise ActionError(f"Unknown action type {name}")
    _check(name, given, {**kind.required, **kind.optional}, kind.required)
    if name == "dynamoDBv2":
        _check("putItem", given["putItem"], {"tableName": str}, ("tableName",))
    _check_values(name, given)

    dynamic = {key: value for key, value in given.items() if key in kind.templated}
    templated = compile_templates(dynamic, lambda text: compile_template(text, version, variables, external=external))
    return Action(
        kind=kind, name=name, role_arn=given.get("roleArn"), fill=lambda context: {**given, **templated(context)}
    )


def _check(name: str, given: Any, known: Mapping[str, type], required: Collection[str]) -> None:
    if not isinstance(given, dict):
        raise ActionError(f"{name} is not an object")
    for parameter, value in given.items():
        if parameter not in known:
            raise ActionError(f"{name} has no parameter {parameter}")
        if not isinstance(value, known[parameter]) or (known[parameter] is int and isinstance(value, bool)):
            raise ActionError(f"{name}: {parameter} is not of type {known[parameter].__name__}")
    missing = [parameter for parameter in required if given.get(parameter) in (None, "")]
    if missing:
        raise ActionError(f"{name} needs {', '.join(missing)}")


def _check_values(name: str, given: Mapping[str, Any]) -> None:
    if given.get("qos", 0) not in (0, 1):
        raise ActionError("republish: qos is 0 or 1")
    unknown = set(given.get("headers", {})) - {*_IN_QUERY, *_IN_HEADERS, "userProperties"}
    if unknown:
        raise ActionError(f"republish: headers have no {', '.join(sorted(unknown))}")
    if given.get("messageFormat", "RAW") not in ("RAW", "JSON"):
        raise ActionError("sns: messageFormat is RAW or JSON")
    topic = given.get("topic", "")
    if name == "republish" and topic.startswith("$") and not topic.startswith(("$$", "${")):
        raise ActionError("republish: a reserved topic is written with $$ for its first $")
    if name in ("sqs", "sns") and str(given.get("queueUrl", given.get("targetArn"))).endswith(".fifo"):
        raise ActionError(f"{name}: FIFO queues and topics are not supported by AWS IoT rules")


# One function a type: what is sent.


def _lambda(parameters: Mapping[str, Any], outcome: Outcome, context: Context) -> Call:
    if outcome.raw and context.root is UNDEFINED:
        raise ActionError("The Lambda action needs JSON: select encode(*, 'base64')")
    return Call(
        service="lambda",
        path=f"/2015-03-31/functions/{quote(parameters['functionArn'], safe='')}/invocations",
        headers={"x-amz-invocation-type": "Event", "content-type": "application/json"},
        body=outcome.payload,
    )


def _republish(parameters: Mapping[str, Any], outcome: Outcome, _: Context) -> Call:
    topic = unescape_topic(parameters["topic"])
    if not topic:
        raise ActionError("The topic is empty after substitution")
    if topic.startswith("$aws/things/") and "/jobs/" in topic:
        raise ActionError("Republishing to reserved job topics is not supported")
    given = parameters.get("headers", {})
    query = {"qos": parameters.get("qos", 0), **{name: given[name] for name in _IN_QUERY if name in given}}
    headers = {_IN_HEADERS[name]: given[name] for name in _IN_HEADERS if name in given}
    if "userProperties" in given:
        pairs = [{pair["key"]: pair["value"]} for pair in given["userProperties"]]
        headers["x-amz-mqtt5-user-properties"] = base64.b64encode(json.dumps(pairs).encode()).decode()
    return Call(
        service="iotdata",
        path=f"/topics/{quote(topic, safe='')}",
        query=urlencode(query, quote_via=quote),
        headers={"content-type": "application/octet-stream", **headers},
        body=outcome.payload,
        role_arn=parameters["roleArn"],
    )


_IN_QUERY = ("contentType", "responseTopic", "messageExpiry")
_IN_HEADERS = {
    "payloadFormatIndicator": "x-amz-mqtt5-payload-format-indicator",
    "correlationData": "x-amz-mqtt5-correlation-data",
}
"""How MqttHeaders travel in a Publish request."""


def _sqs(parameters: Mapping[str, Any], outcome: Outcome, _: Context) -> Call:
    text = base64.b64encode(outcome.payload).decode() if parameters.get("useBase64") else _text(outcome)
    return Call(
        service="sqs",
        headers={"content-type": "application/x-amz-json-1.0", "x-amz-target": "AmazonSQS.SendMessage"},
        body=json.dumps({"QueueUrl": parameters["queueUrl"], "MessageBody": text}).encode(),
        role_arn=parameters["roleArn"],
    )


def _sns(parameters: Mapping[str, Any], outcome: Outcome, _: Context) -> Call:
    form = {
        "Action": "Publish",
        "Version": "2010-03-31",
        "TargetArn": parameters["targetArn"],
        "Message": _text(outcome),
        **({"MessageStructure": "json"} if parameters.get("messageFormat") == "JSON" else {}),
    }
    return Call(
        service="sns",
        headers={"content-type": "application/x-www-form-urlencoded"},
        body=urlencode(form).encode(),
        role_arn=parameters["roleArn"],
    )


def _text(outcome: Outcome) -> str:
    try:
        return outcome.payload.decode()
    except UnicodeDecodeError:
        raise ActionError("The payload is binary; this action sends text") from None


def _s3(parameters: Mapping[str, Any], outcome: Outcome, _: Context) -> Call:
    if not parameters["bucketName"] or not parameters["key"]:
        raise ActionError("The bucket's name or the key is empty after substitution")
    acl = {"x-amz-acl": parameters["cannedAcl"]} if "cannedAcl" in parameters else {}
    return Call(
        service="s3",
        method="PUT",
        path=f"/{quote(parameters['bucketName'], safe='')}/{quote(parameters['key'], safe='/~')}",
        headers={"content-type": "application/octet-stream", **acl},
        body=outcome.payload,
        role_arn=parameters["roleArn"],
    )


def _dynamodb(parameters: Mapping[str, Any], outcome: Outcome, _: Context) -> Call:
    if type(outcome.value) is not dict:
        raise ActionError("The DynamoDBv2 action needs a JSON object: each root key becomes an attribute")
    item = {name: _attribute(member) for name, member in outcome.value.items() if member is not UNDEFINED}
    return Call(
        service="dynamodb",
        headers={"content-type": "application/x-amz-json-1.0", "x-amz-target": "DynamoDB_20120810.PutItem"},
        body=json.dumps({"TableName": parameters["putItem"]["tableName"], "Item": item}).encode(),
        role_arn=parameters["roleArn"],
    )


def _attribute(value: Value) -> dict[str, Any]:
    """Return a value as DynamoDB's typed JSON."""
    if type(value) is bool:
        return {"BOOL": value}
    if type(value) is str:
        return {"S": value}
    if type(value) is int or type(value) is Decimal:
        return {"N": str(decimal(value))}
    if type(value) is list:
        return {"L": [_attribute(item) for item in value if item is not UNDEFINED]}
    if type(value) is dict:
        return {"M": {name: _attribute(item) for name, item in value.items() if item is not UNDEFINED}}
    return {"NULL": True}


KINDS: Mapping[str, Kind] = {
    "lambda": Kind(
        failed_action="LambdaAction", page="lambda-rule-action.html", required={"functionArn": str}, optional={},
        templated=("functionArn",), resource=itemgetter("functionArn"), build=_lambda,
    ),
    "republish": Kind(
        failed_action="RepublishAction", page="republish-rule-action.html",
        required={"topic": str, "roleArn": str}, optional={"qos": int, "headers": dict}, templated=("topic", "headers"),
        resource=itemgetter("topic"), build=_republish,
    ),
    "sqs": Kind(
        failed_action="SqsAction", page="sqs-rule-action.html", required={"queueUrl": str, "roleArn": str},
        optional={"useBase64": bool}, templated=("queueUrl",), resource=itemgetter("queueUrl"), build=_sqs,
    ),
    "sns": Kind(
        failed_action="SnsAction", page="sns-rule-action.html", required={"targetArn": str, "roleArn": str},
        optional={"messageFormat": str}, templated=("targetArn",), resource=itemgetter("targetArn"), build=_sns,
    ),
    "s3": Kind(
        failed_action="S3Action", page="s3-rule-action.html",
        required={"bucketName": str, "key": str, "roleArn": str}, optional={"cannedAcl": str},
        templated=("bucketName", "key"), resource=itemgetter("bucketName"), build=_s3,
    ),
    "dynamoDBv2": Kind(
        failed_action="DynamoDBv2Action", page="dynamodb-v2-rule-action.html",
        required={"putItem": dict, "roleArn": str}, optional={}, templated=("putItem",),
        resource=lambda given: str(given["putItem"]["tableName"]), build=_dynamodb,
    ),
}  # fmt: skip
