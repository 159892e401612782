"""Fleet provisioning over MQTT: a certificate for a claim, then a thing for the certificate.

AWS IoT developer guide, "Device provisioning MQTT API", "Provisioning devices that don't have device certificates using
fleet provisioning". Answers carry private keys: they go to the connection that asked and to no other, and to that one
as to any subscriber, by its subscription and iot:Receive. Error codes are documented in part only; where they are not,
they are those of the control plane.
"""

import asyncio
import json
import logging
import re
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from infra.local.config import ACCOUNT_ID
from infra.local.iot.errors import InvalidError, IotError, NotEmulatedError, NotFoundError, RefusedError
from infra.local.iot.message import Message
from infra.local.iot.ports import Broker
from infra.local.iot.provisioning.carrying_out import Call, Provisioned, carry_out
from infra.local.iot.provisioning.documents import build_plan, load_template
from infra.local.iot.provisioning.hook import TIMEOUT_S, Invoke, ask_hook
from infra.local.iot.provisioning.templates import ProvisioningTemplate, Templates
from infra.local.iot.registry.registry import Registry
from infra.local.iot.registry.state import Answer, Ask, CertificateRecord, found

TOKEN_LIFE = timedelta(hours=1)
CLAIM_LIFE = timedelta(minutes=5)
_TOPIC = re.compile(
    r"\$aws/(?:certificates/(?P<create>create|create-from-csr)|provisioning-templates/(?P<template>[^/]+)/provision)"
    r"/(?P<format>json|cbor)"
)
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Token:
    """Proof that a device holds a certificate's key."""

    certificate_id: str
    expires_at: datetime


Judge = Callable[[str], Awaitable[Callable[[str, Mapping[str, Any]], str]]]
"""A role's ARN to what says of an operation of AWS IoT and its input why the role does not allow it; empty: it does."""


async def all_is_allowed(_role_arn: str) -> Callable[[str, Mapping[str, Any]], str]:
    """Judge as where there is no IAM."""
    return lambda _operation, _ask: ""


class Provisioning:
    """Implements ``ports.Reserved``; its templates and RegisterThing are served by the registry it extends."""

    def __init__(
        self,
        registry: Registry,
        call: Call,
        broker: Broker,
        invoke: Invoke,
        *,
        judge: Judge = all_is_allowed,
        hook_timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._registry = registry
        self._state = registry.state
        self._call = call
        self._broker = broker
        self._invoke = invoke
        self._judge = judge
        self._hook_timeout_s = hook_timeout_s
        self._tokens: dict[str, _Token] = {}
        self._claims: deque[tuple[datetime, str]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._templates = Templates(self._state)
        registry.extend(self._templates, before=self.sweep)
        registry.extend(self)

    def accepts(self, topic: str) -> bool:
        """Say whether a client may publish here."""
        return _TOPIC.fullmatch(topic) is not None

    def receive(self, message: Message) -> None:
        """Serve a request; the answer goes to the client that sent it, once the hook has answered."""
        asked = _TOPIC.fullmatch(message.topic)
        if asked is None or message.client_id is None:
            _LOG.warning("provisioning request without an MQTT client dropped: %s", message.topic)
            return
        task = asyncio.get_running_loop().create_task(self._answer(asked, message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """End what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def sweep(self) -> None:
        """Forget expired tokens with the certificates nobody used, and expired claims.

        Asked before every operation: it looks no further than what has expired, for the oldest come first.
        """
        now = self._state.clock.now()
        while self._tokens and (oldest := next(iter(self._tokens.items())))[1].expires_at <= now:
            del self._tokens[oldest[0]]
            record = self._state.certificates.get(oldest[1].certificate_id)
            if record and record.status == "PENDING_ACTIVATION" and not self._attached(record):
                del self._state.certificates[record.id]
        while self._claims and self._claims[0][0] <= now:
            if self._state.certificates.pop(self._claims.popleft()[1], None):
                self._registry.changed()

    def register_thing(self, ask: Ask) -> Answer:
        """Provision a thing by a template in the request. (RegisterThing)."""
        template = load_template(ask["templateBody"])
        made = carry_out(self._registry, self._call, build_plan(template, ask.get("parameters", {}), None))
        return {"certificatePem": made.certificate.pem if made.certificate else None, "resourceArns": made.arns}

    def create_provisioning_claim(self, ask: Ask) -> Answer:
        """Make a claim for a trusted user: five minutes, one template. (CreateProvisioningClaim)."""
        template = self._templates.find(ask["templateName"])
        if template is None:
            raise NotFoundError(f"Provisioning template {ask['templateName']} not found.")
        certificate, public, private = self._state.authority.issue()
        record = self._registry.certificates.add(certificate, "ACTIVE")
        record.claim_expires_at = self._state.clock.now() + CLAIM_LIFE
        record.claim_policy = _claim_policy(template.name, self._state.region)
        self._claims.append((record.claim_expires_at, record.id))
        return {
            "certificateId": record.id,
            "certificatePem": record.pem,
            "keyPair": {"PublicKey": public, "PrivateKey": private},
            "expiration": record.claim_expires_at.timestamp(),
        }

    async def _answer(self, asked: re.Match[str], message: Message) -> None:
        self.sweep()
        try:
            self._send(message, "accepted", await self._serve(asked, message))
        except IotError as error:
            self._reject(message, error)
        except Exception:  # noqa: BLE001 - the handler's edge: whoever asked must not wait for ever
            _LOG.exception("defect in %s", message.topic)
            self._reject(message, IotError("Internal service failure; the local cloud's log has the traceback"))

    async def _serve(self, asked: re.Match[str], message: Message) -> Answer:
        if asked["format"] == "cbor":
            raise NotEmulatedError("provisioning requests in CBOR; use JSON")
        request = _load(message.payload)
        match asked["create"]:
            case "create":
                return self._create_keys()
            case "create-from-csr":
                return self._create_from_csr(request)
            case _:
                return await self._provision(asked["template"], request, message)

    def _create_keys(self) -> Answer:
        certificate, _, private = self._state.authority.issue()
        record = self._registry.certificates.add(certificate, "PENDING_ACTIVATION")
        return {**self._owned(record), "privateKey": private}

    def _create_from_csr(self, request: Mapping[str, Any]) -> Answer:
        csr = request.get("certificateSigningRequest")
        if not isinstance(csr, str) or not csr:
            raise InvalidError("certificateSigningRequest cannot be empty.")
        return self._owned(
            self._registry.certificates.add(self._registry.certificates.from_csr(csr), "PENDING_ACTIVATION")
        )

    def _owned(self, record: CertificateRecord) -> Answer:
        """Return a new certificate with the token that proves whose it is."""
        token = self._state.ids().replace("-", "") + self._state.ids().replace("-", "")
        self._tokens[token] = _Token(certificate_id=record.id, expires_at=self._state.clock.now() + TOKEN_LIFE)
        return {"certificateId": record.id, "certificatePem": record.pem, "certificateOwnershipToken": token}

    async def _provision(self, template_name: str, request: Mapping[str, Any], message: Message) -> Answer:
        token, parameters = request.get("certificateOwnershipToken"), request.get("parameters") or {}
        template, record = self._enabled(template_name), self._certificate(token)
        if not isinstance(parameters, dict) or not all(isinstance(value, str) for value in parameters.values()):
            raise InvalidError("parameters must be strings by name.")
        if template.hook_arn:
            event = _hook_event(template, record, parameters, message)
            parameters = parameters | await ask_hook(
                self._invoke, template.hook_arn, event, template.arn, self._hook_timeout_s
            )
        refusal = await self._judge(template.role_arn)
        template, record = self._enabled(template_name), self._certificate(token)  # time has passed

        def call(operation: str, ask: Mapping[str, Any]) -> Mapping[str, Any]:
            if why := refusal(operation, ask):
                _LOG.warning("%s: its provisioning role %s does not allow %s", template.name, template.role_arn, why)
                raise RefusedError("ACCESS_DENIED", 403, f"The provisioning role does not allow {why}")
            return self._call(operation, ask)

        plan = build_plan(template.versions[template.default].template, parameters, record.id)
        made: Provisioned = carry_out(self._registry, call, plan)
        self._registry.changed()
        return {"deviceConfiguration": dict(plan.device_configuration), "thingName": made.thing_name}

    def _enabled(self, name: str) -> ProvisioningTemplate:
        template = self._templates.find(name)
        if template is None:
            raise NotFoundError(f"Provisioning template {name} not found.")
        if not template.enabled:
            raise InvalidError(f"Provisioning template {name} is not enabled.")
        return template

    def _certificate(self, token: object) -> CertificateRecord:
        if not token:
            raise RefusedError("InvalidCertificateOwnershipToken", 400, "Certificate ownership token cannot be empty.")
        held = self._tokens.get(token) if isinstance(token, str) else None
        if held is None or held.expires_at <= self._state.clock.now():
            message = "Certificate ownership token is invalid or has expired."
            raise RefusedError("InvalidCertificateOwnershipToken", 400, message)
        return found(self._state.certificates, held.certificate_id, "Certificate")

    def _attached(self, record: CertificateRecord) -> bool:
        policies = self._state.policies.values()
        return bool(self._state.things_of(record.arn)) or any(record.arn in policy.targets for policy in policies)

    def _reject(self, message: Message, error: IotError) -> None:
        code = error.code.removesuffix("Exception")
        self._send(message, "rejected", {"statusCode": error.status, "errorCode": code, "errorMessage": str(error)})

    def _send(self, message: Message, outcome: str, document: Mapping[str, Any]) -> None:
        payload = json.dumps({name: value for name, value in document.items() if value is not None}).encode()
        answer = Message(topic=f"{message.topic}/{outcome}", payload=payload, qos=1)
        self._broker.answer(message.client_id or "", answer)


def _load(payload: bytes) -> dict[str, Any]:
    try:
        request = json.loads(payload or b"{}")
    except (ValueError, RecursionError) as error:
        raise InvalidError("The payload is not JSON.") from error
    if not isinstance(request, dict):
        raise InvalidError("The payload is not an object.")
    return request


def _hook_event(
    template: ProvisioningTemplate, record: CertificateRecord, parameters: Mapping[str, str], message: Message
) -> dict[str, Any]:
    return {
        "claimCertificateId": message.principal.id if message.principal else None,
        "certificateId": record.id,
        "certificatePem": record.pem,
        "templateArn": template.arn,
        "clientId": message.client_id,
        "parameters": dict(parameters),
    }


def _claim_policy(template_name: str, region: str) -> dict[str, Any]:
    """Return a policy that can do nothing but provision by one template."""
    prefix = f"arn:aws:iot:{region}:{ACCOUNT_ID}"
    topics = ["$aws/certificates/create/*", "$aws/certificates/create-from-csr/*"]
    topics.append(f"$aws/provisioning-templates/{template_name}/provision/*")
    publish = [f"{prefix}:topic/{topic}" for topic in topics]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "iot:Connect", "Resource": "*"},
            {"Effect": "Allow", "Action": ["iot:Publish", "iot:Receive"], "Resource": publish},
            {
                "Effect": "Allow",
                "Action": "iot:Subscribe",
                "Resource": [f"{prefix}:topicfilter/{one}" for one in topics],
            },
        ],
    }
