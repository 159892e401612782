"""``scripts/cloud policy``: ask the policy engine, about a running local cloud's principal or about cases at hand."""

import json
import re
import ssl
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from typing import Annotated, Any

import typer
from rich import print_json

from infra.local import config
from infra.local.iot.certificates import policy_facts
from infra.local.iot.message import Thing
from infra.local.iot.policy import Context, Decision, PolicyError, evaluate, parse, parse_statements


def policy(
    *,
    principal: Annotated[str, typer.Option(help="A certificate's id or ARN, or an identity-pool identity.")] = "",
    action: Annotated[str, typer.Option(help="For example iot:Publish.")] = "",
    resource: Annotated[str, typer.Option(help="An ARN, or its end: topic/a, topicfilter/a/+, client/id.")] = "",
    client_id: Annotated[str, typer.Option(help="Of the connection, where thing variables are to resolve.")] = "",
    jsonl: Annotated[bool, typer.Option("--jsonl", help="Judge cases from standard input, one JSON a line.")] = False,
) -> None:
    """Say whether an IoT policy allows an action, and which statement decides."""
    if jsonl:
        # A byte that is no UTF-8 spoils its own line only.
        for answer in judge_lines(typer.get_text_stream("stdin", encoding="utf-8", errors="replace")):
            typer.echo(json.dumps(answer), nl=True)
        return
    if not (principal and action and resource):
        raise typer.BadParameter("give --principal, --action and --resource, or --jsonl")
    settings = config.Settings.load(config.state_dir())
    if not resource.startswith("arn:"):
        resource = f"arn:aws:iot:{settings.region}:{config.ACCOUNT_ID}:{resource}"
    import boto3  # only here: judging cases needs none of it

    iot = boto3.client(
        "iot",
        endpoint_url=settings.endpoint_url,
        region_name=settings.region,
        aws_access_key_id=settings.access_key_id,
        aws_secret_access_key=settings.secret_access_key,
    )
    print_json(data=ask_registry(iot, principal, action, resource, client_id))


def judge_lines(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield one answer a case: ``{"decision": "allow"|"deny", "by": …}``, or ``{"error": …}`` for what is no case."""
    for line in lines:
        if not line.strip():
            continue
        try:
            decision = judge(json.loads(line))
        except (PolicyError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            yield {"error": f"{type(error).__name__}: {error}"}
        else:
            yield {"decision": "allow" if decision.allowed else "deny", "by": decision.by}


def judge(case: Mapping[str, Any]) -> Decision:
    """Return the decision of one case: ``{"statements", "action", "resource", "context"}``.

    Raises:
        PolicyError: the statements are none.
        TypeError: action or resource is no text.
        ValueError: the context holds a key nobody reads.
    """
    statements, action, resource = case["statements"], case["action"], case["resource"]
    if not (isinstance(action, str) and isinstance(resource, str)):
        raise TypeError("action and resource must be strings")
    return evaluate(
        parse_statements([statements] if isinstance(statements, Mapping) else statements, "statement"),
        action=action,
        resource=resource,
        context=load_context(case.get("context") or {}),
    )


_SPELLINGS = {
    "iot:ClientId": "client_id",
    "aws:SourceIp": "source_ip",
    "iot:CertificateId": "certificate_id",
    "iot:ConnectAttributes": "connect_attributes",
    "iot:LastWillTopic": "last_will_topic",
    "iot:Connection.Thing.ThingName": "thing",
    "iot:Connection.Thing.ThingTypeName": "thing_type",
    "iot:Connection.Thing.IsAttached": "attached",
    "cognito-identity.amazonaws.com:sub": "cognito_sub",
    "thing_name": "thing",
    "thing_type_name": "thing_type",
    "type": "thing_type",
    "thing_attributes": "attributes",
    "cert_id": "certificate_id",
    "certificate": "cert",
    "ip": "source_ip",
    "is_attached": "attached",
    "sub": "cognito_sub",
    "cognito_identity_id": "cognito_sub",
}
_FIELDS = (
    "client_id",
    "source_ip",
    "attached",
    "certificate_id",
    "connect_attributes",
    "last_will_topic",
    "cognito_sub",
)


def load_context(raw: Mapping[str, Any]) -> Context:
    """Return the context that a case describes; a condition key may stand by its own name, with its colon.

    Raises:
        ValueError: a key nobody reads.
    """
    left = {_SPELLINGS.get(key, key): value for key, value in raw.items()}
    certificate = {**(left.pop("cert", None) or {}), **_take(left, "iot:Certificate.")}
    certificate = {name.removeprefix("iot:Certificate."): value for name, value in certificate.items()}
    if attributes := _take(left, "iot:Connection.Thing.Attributes["):
        named = {name.partition("[")[2].removesuffix("]"): value for name, value in attributes.items()}
        left["attributes"] = {**(left.get("attributes") or {}), **named}
    if left.get("connect_attributes") is not None:
        left["connect_attributes"] = _many(left["connect_attributes"])
    if left.get("attached") is not None:
        left["attached"] = str(left["attached"]).lower() == "true"
    if "CertificateId" in certificate:
        left["certificate_id"] = certificate.pop("CertificateId")
    context = Context(
        thing=_load_thing(left),
        certificate={name: _many(value) for name, value in certificate.items()},
        **{name: left.pop(name) for name in _FIELDS if name in left},
        more={key: _many(left.pop(key)) for key in list(left) if ":" in key},
    )
    if left:
        raise ValueError(f"unknown context key: {', '.join(left)}")
    return context


def _load_thing(left: dict[str, Any]) -> Thing | None:
    """Take the thing's keys out of ``left``: its name, or an object of name, type and attributes.

    A type or attributes alone describe the thing that is named as the client.
    """
    described = "thing" not in left and not left.keys().isdisjoint({"thing_type", "attributes"})
    thing = left.pop("thing", left.get("client_id", "") if described else None)
    facts = dict(thing) if isinstance(thing, Mapping) else {"name": thing}
    type_name = left.pop("thing_type", facts.get("type", facts.get("type_name")))
    attributes = left.pop("attributes", facts.get("attributes"))
    if facts.get("name") is None:
        return None
    return Thing(name=facts["name"], type_name=type_name, attributes=attributes or {})


def _take(left: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {key: left.pop(key) for key in list(left) if key.startswith(prefix)}


def _many(value: Any) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else (str(value),)


def ask_registry(iot: Any, principal: str, action: str, resource: str, client_id: str) -> dict[str, Any]:
    """Return the decision for a principal of a running local cloud; ``iot`` is boto3's client for it."""
    if re.fullmatch("[0-9a-f]{64}", principal):
        principal = iot.describe_certificate(certificateId=principal)["certificateDescription"]["certificateArn"]
    thing = _find_thing(iot, principal, client_id)
    policies = iot.get_effective_policies(principal=principal)["effectivePolicies"]
    if client_id:  # the policies of thing groups count where the thing is the client's
        names = {policy["policyName"] for policy in _client_policies(iot, principal, thing)}
        policies = [policy for policy in policies if policy["policyName"] in names]
    statements = [one for policy in policies for one in parse(policy["policyDocument"], policy["policyName"])]
    context = Context(client_id=client_id or None, thing=thing)
    if ":cert/" in principal:
        asked = iot.describe_certificate(certificateId=principal.rpartition("/")[2])["certificateDescription"]
        der = ssl.PEM_cert_to_DER_cert(asked["certificatePem"])
        context = replace(context, certificate_id=asked["certificateId"], certificate=policy_facts(der))
    else:
        context = replace(context, cognito_sub=principal)
    decision = evaluate(statements, action=action, resource=resource, context=context)
    return {
        "decision": "allow" if decision.allowed else "deny",
        "by": decision.by,
        "considered": [asdict(one) for one in decision.considered],
    }


def _client_policies(iot: Any, principal: str, thing: Thing | None) -> list[dict[str, Any]]:
    if thing is None:
        listed: list[dict[str, Any]] = iot.list_attached_policies(target=principal)["policies"]
    else:
        listed = iot.get_effective_policies(principal=principal, thingName=thing.name)["effectivePolicies"]
    return listed


def _find_thing(iot: Any, principal: str, client_id: str) -> Thing | None:
    for pages in iot.get_paginator("list_principal_things_v2").paginate(principal=principal):
        for one in pages["principalThingObjects"]:
            exclusive = one["thingPrincipalType"] == "EXCLUSIVE_THING"
            if exclusive or one["thingName"] == client_id:
                asked = iot.describe_thing(thingName=one["thingName"])
                facts = {"type_name": asked.get("thingTypeName"), "attributes": asked["attributes"]}
                return Thing(name=one["thingName"], exclusive=exclusive, **facts)
    return None
