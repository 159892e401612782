"""What a request asks of IAM: actions, resources and condition keys, service by service. Pure.

Follows "Actions, resources, and condition keys for AWS services" (Service Authorization Reference); a test holds every
action and ARN shape against that reference. What stands in no table is not guessed: it is ``Unmapped``, and refused.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any
from urllib.parse import parse_qs, unquote
from xml.etree import ElementTree as ET

import botocore.session
from botocore.model import OperationModel

from infra.local.iam import Ask, Unmapped, Values, build_arn
from infra.local.iam_dynamodb import HashKey, dynamodb_asks
from infra.local.wire import Request

KEYS = frozenset(
    (
        "aws:currenttime", "aws:epochtime", "aws:principalaccount", "aws:principalarn", "aws:principaltype",
        "aws:requestedregion", "aws:resourceaccount", "aws:securetransport", "aws:sourceip", "aws:userid",
        "cloudwatch:namespace", "cognito-identity.amazonaws.com:aud", "cognito-identity.amazonaws.com:sub",
        "dynamodb:enclosingoperation", "dynamodb:leadingkeys", "dynamodb:returnconsumedcapacity",
        "dynamodb:returnvalues", "dynamodb:select", "events:detail-type", "events:source", "iot:thingarn",
        "s3:delimiter", "s3:max-keys", "s3:prefix", "ses:fromaddress", "sns:endpoint", "sns:protocol",
        "sts:rolesessionname",
    )
)  # fmt: skip
"""Every condition key that is given a value somewhere: a policy that asks for another cannot be judged here."""

_PREFIXES = {"iotdata": "iot", "iotdevicegateway": "iot", "monitoring": "cloudwatch"}
_MODELS = {"iotdata": "iot-data", "iotdevicegateway": "iot-data", "ses": "sesv2"}

# Resource to operations. A resource without "arn:" stands in the service, region and account; {Name} is a parameter of
# the request, and one that begins with it is an ARN of its own. Each resource under which an operation stands is asked.
_RESOURCES: Mapping[str, Mapping[str, str]] = {
    "cognito-idp": {
        "userpool/{UserPoolId}": "AddCustomAttributes AdminAddUserToGroup AdminConfirmSignUp AdminCreateUser "
        "AdminDeleteUser AdminDeleteUserAttributes AdminDisableUser AdminEnableUser AdminGetUser AdminInitiateAuth "
        "AdminListGroupsForUser AdminRemoveUserFromGroup AdminResetUserPassword AdminRespondToAuthChallenge "
        "AdminSetUserMFAPreference AdminSetUserPassword AdminUpdateUserAttributes AdminUserGlobalSignOut CreateGroup "
        "CreateUserPoolClient DeleteGroup DeleteUserPool DeleteUserPoolClient DescribeUserPool DescribeUserPoolClient "
        "GetGroup GetUserPoolMfaConfig ListGroups ListUserPoolClients ListUsers ListUsersInGroup SetUserPoolMfaConfig "
        "UpdateGroup UpdateUserPool UpdateUserPoolClient",
        "{ResourceArn}": "ListTagsForResource TagResource UntagResource",
        "*": "CreateUserPool ListUserPools",
    },
    "cognito-identity": {
        "identitypool/{IdentityPoolId}": "DeleteIdentityPool DescribeIdentityPool GetIdentityPoolRoles ListIdentities "
        "UpdateIdentityPool",
        "*": "CreateIdentityPool DeleteIdentities DescribeIdentity ListIdentityPools SetIdentityPoolRoles",
    },
    "events": {
        "rule/{Name}": "DeleteRule DescribeRule DisableRule EnableRule PutRule",
        "rule/{Rule}": "ListTargetsByRule PutTargets RemoveTargets",
        "*": "ListRules",
    },
    "iot": {
        "thing/{thingName}": "AddThingToThingGroup CreateThing DeleteThing DescribeJobExecution DescribeThing "
        "ListJobExecutionsForThing ListThingGroupsForThing ListThingPrincipals RemoveThingFromThingGroup UpdateThing",
        "thinggroup/{thingGroupName}": "AddThingToThingGroup CreateThingGroup DeleteThingGroup DescribeThingGroup "
        "ListThingsInThingGroup RemoveThingFromThingGroup UpdateThingGroup",
        "thingtype/{thingTypeName}": "CreateThingType DeleteThingType DeprecateThingType DescribeThingType",
        "cert/{certificateId}": "DeleteCertificate DescribeCertificate UpdateCertificate",
        "{principal}": "AttachThingPrincipal DetachThingPrincipal ListPrincipalThings",
        "{target}": "AttachPolicy DetachPolicy",
        "policy/{policyName}": "CreatePolicy DeletePolicy GetPolicy",
        "job/{jobId}": "CancelJob DeleteJob DescribeJob DescribeJobExecution GetJobDocument ListJobExecutionsForJob",
        "index/{indexName}": "SearchIndex",
        "provisioningtemplate/{templateName}": "CreateProvisioningClaim DescribeProvisioningTemplate",
        "*": "CreateCertificateFromCsr CreateKeysAndCertificate DescribeEndpoint ListAttachedPolicies ListCertificates "
        "ListJobs ListPolicies ListThingGroups ListThingTypes ListThings RegisterThing",
    },
    "iotdata": {
        "topic/{topic}": "GetRetainedMessage Publish",
        "thing/{thingName}": "ListNamedShadowsForThing",
        "client/{clientId}": "DeleteConnection",
        "*": "ListRetainedMessages",
    },
    "logs": {
        "log-group:{logGroupName}": "CreateLogGroup DeleteLogGroup PutRetentionPolicy",
        # What IAM is asked about a group's streams ends with the stream, named or not.
        "log-group:{logGroupName}:log-stream:": "DescribeLogStreams FilterLogEvents StartQuery",
        "log-group:{logGroupName}:log-stream:{logStreamName}": "CreateLogStream GetLogEvents PutLogEvents",
        "*": "DescribeLogGroups",
    },
    "monitoring": {"*": "GetMetricData GetMetricStatistics ListMetrics PutMetricData"},
    "scheduler": {
        "schedule/{GroupName}/{Name}": "CreateSchedule DeleteSchedule GetSchedule UpdateSchedule",
        "*": "ListSchedules",
    },
    "ses": {"identity/{Source}": "SendEmail SendRawEmail SendTemplatedEmail"},
    "sns": {
        "{TopicArn}": "GetTopicAttributes ListSubscriptionsByTopic Subscribe",
        "{TargetArn}": "Publish",
        # Topics are the only resources that SNS's policies name.
        "*": "CreatePlatformEndpoint DeleteEndpoint GetEndpointAttributes ListEndpointsByPlatformApplication "
        "ListTopics SetEndpointAttributes",
    },
    "sqs": {
        "{QueueUrl}": "ChangeMessageVisibility DeleteMessage GetQueueAttributes PurgeQueue ReceiveMessage SendMessage",
        "{QueueName}": "GetQueueUrl",
        "*": "ListQueues",
    },
    "sts": {"{RoleArn}": "AssumeRole", "": "GetCallerIdentity"},
}
_DEFAULTS = {"GroupName": "default"}


def asks(request: Request, hash_key: HashKey) -> list[Ask]:
    """Return what a request needs to be allowed, all of it; nothing for what needs no permission.

    Raises:
        Unmapped: no action is known for it.
    """
    special = {"dynamodb": dynamodb_asks, "lambda": _lambda, "s3": _s3}.get(request.service)
    try:
        if special is not None:
            return list(special(request, hash_key))
        return list(_from_tables(request))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise Unmapped(f"{request.service}:{request.operation or request.path} is not a request: {error!r}") from error


# ---- services whose operations name their resources by parameters


def _from_tables(request: Request) -> Iterator[Ask]:
    service = "iotdata" if request.service == "iotdevicegateway" else request.service
    operation, params = _parsed(request)
    if "FromEmailAddress" in params:  # the second version of SES's API calls it so
        params["Source"] = params["FromEmailAddress"]
    if (special := _SPECIAL.get((service, operation))) is not None:
        yield from special(request, params)
        return
    yield from asks_of(service, request.region, operation, params)


def asks_of(service: str, region: str, operation: str, params: Mapping[str, Any]) -> Iterator[Ask]:
    """Yield what an operation of a service needs to be allowed, for which parameters alone decide.

    Raises:
        Unmapped: no action is known for it.
    """
    prefix = _PREFIXES.get(service, service)
    action = operation.removesuffix("Batch")
    found = [resource for resource, names in _RESOURCES.get(service, {}).items() if action in names.split()]
    if not found:
        raise Unmapped(f"{prefix}:{operation}")
    for resource in found:
        if resource:
            context = _context(service, action, params)
            filled = _filled(prefix, region, resource, params)
            yield Ask(action=f"{prefix}:{action}", resource=filled, context=context)


def _filled(prefix: str, region: str, resource: str, params: Mapping[str, Any]) -> str:
    if resource == "*":
        return resource
    filled = re.sub(r"\{(\w+)\}", lambda found: str(params.get(found[1]) or _DEFAULTS.get(found[1], "")), resource)
    if not resource.startswith("{"):
        return build_arn(prefix, region, filled)
    if prefix == "sqs":
        return build_arn(prefix, region, filled.rpartition("/")[2])
    # A Cognito identity is no ARN: such a target is asked for as any.
    return filled if filled.startswith("arn:") else "*"


def _context(service: str, action: str, params: Mapping[str, Any]) -> Values:
    if service == "iot" and action.endswith("ThingPrincipal"):
        return {"iot:thingarn": build_arn("iot", "us-east-1", f"thing/{params['thingName']}")}
    if service == "monitoring" and action == "PutMetricData":
        return {"cloudwatch:namespace": params["Namespace"]}
    if service == "ses":
        return {"ses:fromaddress": params["Source"]}
    if service == "sns" and action == "Subscribe":
        return {"sns:protocol": params["Protocol"], "sns:endpoint": params.get("Endpoint", "")}
    return (
        {"sts:rolesessionname": params["RoleSessionName"]} if service == "sts" and "RoleSessionName" in params else {}
    )


def _sns_publish(_request: Request, params: Mapping[str, Any]) -> Iterator[Ask]:
    # To a telephone number, IAM is asked about any resource.
    yield Ask(action="sns:Publish", resource=params.get("TopicArn") or params.get("TargetArn") or "*")


def _put_events(request: Request, params: Mapping[str, Any]) -> Iterator[Ask]:
    for entry in params["Entries"]:
        bus = entry.get("EventBusName", "default")
        resource = bus if bus.startswith("arn:") else build_arn("events", request.region, f"event-bus/{bus}")
        context: Values = {"events:source": entry["Source"], "events:detail-type": entry["DetailType"]}
        yield Ask(action="events:PutEvents", resource=resource, context=context)


def _iot_publish(request: Request, params: Mapping[str, Any]) -> Iterator[Ask]:
    resource = build_arn("iot", request.region, f"topic/{params['topic']}")
    yield Ask(action="iot:Publish", resource=resource)
    if params.get("retain") == "true":
        yield Ask(action="iot:RetainPublish", resource=resource)


def _iot_shadow(request: Request, params: Mapping[str, Any]) -> Iterator[Ask]:
    name = params["thingName"] + (f"/{params['shadowName']}" if params.get("shadowName") else "")
    verb = {"GET": "Get", "POST": "Update", "DELETE": "Delete"}[request.method]
    yield Ask(action=f"iot:{verb}ThingShadow", resource=build_arn("iot", request.region, f"thing/{name}"))


def _iot_create_job(request: Request, params: Mapping[str, Any]) -> Iterator[Ask]:
    for resource in (build_arn("iot", request.region, f"job/{params['jobId']}"), *params["targets"]):
        yield Ask(action="iot:CreateJob", resource=resource)


_SPECIAL: Mapping[tuple[str, str], Callable[[Request, Mapping[str, Any]], Iterator[Ask]]] = {
    ("sns", "Publish"): _sns_publish,
    ("sns", "PublishBatch"): _sns_publish,
    ("events", "PutEvents"): _put_events,
    ("iot", "CreateJob"): _iot_create_job,
    ("iotdata", "Publish"): _iot_publish,
    ("iotdata", "GetThingShadow"): _iot_shadow,
    ("iotdata", "UpdateThingShadow"): _iot_shadow,
    ("iotdata", "DeleteThingShadow"): _iot_shadow,
}


# ---- Lambda

_PARTIAL_ARN = re.compile(r"^(?:[a-z]{2}(?:-[a-z]+)+-\d:)?(?:\d{12}:)?(?:function:)?")
"""What may stand before a function's name. ("Invoke": FunctionName)."""
_INVOCATION = re.compile(r"/2015-03-31/functions/([^/]+)/invocations")


def _lambda(request: Request, _hash_key: HashKey) -> Iterator[Ask]:
    found = _INVOCATION.fullmatch(request.path)
    if found is None or request.method != "POST":
        raise Unmapped(f"lambda {request.method} {request.path}")
    name = unquote(found[1])
    qualifier = parse_qs(request.query).get("Qualifier", [""])[0]
    if not name.startswith("arn:"):
        name = build_arn("lambda", request.region, f"function:{_PARTIAL_ARN.sub('', name)}")
    yield Ask(action="lambda:InvokeFunction", resource=f"{name}:{qualifier}" if qualifier else name)


# ---- S3

_BUCKET_READS = {
    "location": "GetBucketLocation",
    "notification": "GetBucketNotification",
    "versions": "ListBucketVersions",
}


def _s3(request: Request, _hash_key: HashKey) -> Iterator[Ask]:
    bucket, _, key = unquote(request.path.lstrip("/")).partition("/")
    query = parse_qs(request.query, keep_blank_values=True)
    if not bucket:
        yield Ask(action="s3:ListAllMyBuckets", resource="*")
    elif not key:
        yield from _s3_bucket(request, bucket, query)
    else:
        yield Ask(action=f"s3:{_object_action(request.method, query)}", resource=f"arn:aws:s3:::{bucket}/{key}")
        if source := request.headers.get("x-amz-copy-source"):
            yield Ask(action="s3:GetObject", resource=f"arn:aws:s3:::{unquote(source).lstrip('/').partition('?')[0]}")


def _object_action(method: str, query: Mapping[str, Any]) -> str:
    version = "Version" if "versionId" in query else ""
    if "tagging" in query:
        return {"GET": "Get", "PUT": "Put", "DELETE": "Delete"}[method] + f"Object{version}Tagging"
    if "uploadId" in query and method in ("GET", "DELETE"):
        return "ListMultipartUploadParts" if method == "GET" else "AbortMultipartUpload"
    if extra := set(query) & {"acl", "attributes", "legal-hold", "restore", "retention", "select", "torrent"}:
        raise Unmapped(f"s3 object ?{extra.pop()}")
    verb = {"GET": "Get", "HEAD": "Get", "PUT": "Put", "POST": "Put", "DELETE": "Delete"}[method]
    return f"{verb}Object{version if verb != 'Put' else ''}"


def _s3_bucket(request: Request, bucket: str, query: Mapping[str, list[str]]) -> Iterator[Ask]:
    resource = f"arn:aws:s3:::{bucket}"
    if request.method == "POST" and "delete" in query:
        for found in ET.fromstring(request.body).iterfind(".//{*}Object"):  # noqa: S314 - signed by its sender
            name = found.findtext("{*}Key", "")
            version = "Version" if found.findtext("{*}VersionId") else ""
            yield Ask(action=f"s3:DeleteObject{version}", resource=f"{resource}/{name}")
        return
    known = {"prefix", "delimiter", "max-keys", "list-type", "marker", "continuation-token", "start-after",
             "encoding-type", "fetch-owner", "key-marker", "version-id-marker", "x-id"}  # fmt: skip
    rest = {name for name in query if name not in known and not name.startswith("X-Amz-")}
    action = _BUCKET_READS.get(rest.pop(), "") if len(rest) == 1 else "" if rest else "ListBucket"
    if request.method not in ("GET", "HEAD") or not action:
        raise Unmapped(f"s3 {request.method} bucket ?{request.query}")
    context: Values = {f"s3:{name}": query[name][0] for name in ("prefix", "delimiter", "max-keys") if name in query}
    yield Ask(action=f"s3:{action}", resource=resource, context=context)


# ---- requests of every protocol


def _parsed(request: Request) -> tuple[str, dict[str, Any]]:
    """Return the operation and its parameters, by the service's protocol."""
    if request.operation:
        return request.operation, request.json()
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        return form["Action"], form
    return _parsed_rest(request)


def _parsed_rest(request: Request) -> tuple[str, dict[str, Any]]:
    for method, path, operation in _routes(_MODELS.get(request.service, request.service)):
        if method == request.method and (found := path.fullmatch(request.path)) is not None:
            shape = operation.input_shape
            params: dict[str, Any] = {}
            if request.body and not (shape and shape.serialization.get("payload")):
                params.update(request.json())
            query = parse_qs(request.query)
            for name, member in (shape.members if shape else {}).items():
                place, key = member.serialization.get("location"), member.serialization.get("name", name)
                if place == "uri":
                    params[name] = unquote(found[re.sub(r"\W", "_", key)])
                elif place == "querystring" and key in query:
                    params[name] = query[key][0]
                elif place == "header" and key.lower() in request.headers:
                    params[name] = request.headers[key.lower()]
            return operation.name, params
    raise Unmapped(f"{request.service} {request.method} {request.path}")


@cache
def _routes(service: str) -> list[tuple[str, re.Pattern[str], OperationModel]]:
    """Return a REST service's operations by method and path, the most specific paths first."""
    try:
        model = botocore.session.get_session().get_service_model(service)
    except botocore.exceptions.UnknownServiceError as error:
        raise Unmapped(service) from error
    routes = []
    for name in model.operation_names:
        operation = model.operation_model(name)
        path = operation.http["requestUri"].partition("?")[0]
        label = re.compile(r"\{([^}+]+)(\+?)\}")
        pattern = label.sub(lambda m: f"(?P<{re.sub(r'[^0-9A-Za-z_]', '_', m[1])}>{'.+' if m[2] else '[^/]+'})", path)
        routes.append((path.count("{"), operation.http["method"], re.compile(pattern), operation))
    return [route[1:] for route in sorted(routes, key=lambda route: route[0])]
