"""What the IAM role behind a SigV4 caller may do in AWS IoT, read from IAM on port 4566."""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import aiohttp

from infra.local import iam
from infra.local.config import Settings
from infra.local.iam_actions import asks_of
from infra.local.iot.message import Principal
from infra.local.iot.policy import Considered, Context, Decision

FRESH_S = 5.0
"""A change of a role shows after this; IAM itself is eventually consistent."""
_Limits = tuple[tuple[iam.Statement, ...], tuple[iam.Statement, ...] | None]
"""What a role allows, and its boundary if it has one."""
NOTHING: _Limits = ((), None)
_FORM = "Action=GetAccountAuthorizationDetails&Version=2010-05-08&MaxItems=1000"


class RolePolicies:
    """The statements of every role and of its boundary, read in one call and kept for some seconds."""

    def __init__(self, settings: Settings, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._monotonic = monotonic
        self._read_at = float("-inf")
        self._roles: dict[str, _Limits] = {}
        self._session: aiohttp.ClientSession | None = None

    async def refresh(self) -> None:
        """Read the roles again unless that was done just now; to be awaited before a caller's decisions are asked.

        Raises:
            aiohttp.ClientError: IAM does not answer.
        """
        if not self._settings.iam or self._monotonic() - self._read_at < FRESH_S:
            return
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
        headers = {
            "x-fieldline-service": "iot.amazonaws.com",
            "x-fieldline-secret": self._settings.service_secret,
            "authorization": f"AWS4-HMAC-SHA256 Credential=iot/20200101/{self._settings.region}/iam/aws4_request",
            "content-type": "application/x-www-form-urlencoded",
        }
        async with self._session.post(self._settings.endpoint_url, data=_FORM, headers=headers) as response:
            response.raise_for_status()
            self._load(await response.text())
        self._read_at = self._monotonic()

    async def judge(self, role_arn: str) -> Callable[[str, Mapping[str, Any]], str]:
        """Return what says of an operation of AWS IoT, carried out under a role, why not; empty if it is allowed."""
        if not self._settings.iam:
            return lambda _operation, _params: ""
        await self.refresh()
        if not self._roles.get(role_arn, NOTHING)[0]:  # perhaps made just now
            self._read_at = float("-inf")
            await self.refresh()
        identity, boundary = self._roles.get(role_arn, NOTHING)

        def refusal(operation: str, params: Mapping[str, Any]) -> str:
            for ask in asks_of("iot", self._settings.region, operation, params):
                decision = iam.evaluate(identity, boundary, ask.action, ask.resource, ask.context)
                if not decision.allowed:
                    return f"{ask.action} on {ask.resource}: {decision.reason}"
            return ""

        return refusal

    async def stop(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def decide(self, principal: Principal, action: str, resource: str, context: Context) -> Decision:
        """Return what IAM says; the account's owner, who acts under no role, may do everything, and all without IAM."""
        if principal.role_arn is None or not self._settings.iam:
            return Decision(allowed=True, by="no IAM (--no-iam)" if principal.role_arn else "the account's owner")
        identity, boundary = self._roles.get(principal.role_arn, NOTHING)
        decision = iam.evaluate(identity, boundary, action, resource, _iam_context(context))
        if decision.allowed:
            return Decision(allowed=True, by=f"role {principal.role_arn}")
        by = f"role {principal.role_arn}: {decision.reason}"
        deny = decision.statement
        told = () if deny is None else (Considered(statement=f"role's {deny.origin}", effect="Deny", mismatch=None),)
        return Decision(allowed=False, by=by, considered=told)

    def _load(self, text: str) -> None:
        root = ET.fromstring(text)  # noqa: S314 - of our own process
        for element in root.iter():
            element.tag = element.tag.rpartition("}")[2]
        managed = {
            policy.findtext("Arn", ""): _default_document(policy) for policy in root.findall(".//Policies/member")
        }
        self._roles = {}
        for role in root.findall(".//RoleDetailList/member"):
            documents = [_document(one.findtext("PolicyDocument")) for one in role.findall("RolePolicyList/member")]
            attached = role.findall("AttachedManagedPolicies/member")
            documents += [managed.get(one.findtext("PolicyArn", ""), {}) for one in attached]
            boundary = role.findtext("PermissionsBoundary/PermissionsBoundaryArn")
            self._roles[role.findtext("Arn", "")] = (
                tuple(statement for one in documents for statement in iam.parse(one)),
                None if boundary is None else iam.parse(managed.get(boundary, {})),
            )


def _default_document(policy: ET.Element) -> Mapping[str, Any]:
    for version in policy.findall("PolicyVersionList/member"):
        if version.findtext("IsDefaultVersion", "").lower() == "true":
            return _document(version.findtext("Document"))
    return {}


def _document(text: str | None) -> Mapping[str, Any]:
    loaded: Mapping[str, Any] = json.loads(unquote(text)) if text else {}
    return loaded


def _iam_context(context: Context) -> iam.Context:
    keys = {
        "iot:clientid": context.client_id,
        "aws:sourceip": context.source_ip,
        "cognito-identity.amazonaws.com:sub": context.cognito_sub,
    }
    return {name: value for name, value in keys.items() if value is not None}
