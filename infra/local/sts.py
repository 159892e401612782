"""AWS STS: temporary credentials of a role, for whoever its trust policy trusts; and who one is.

Follows the AWS Security Token Service API Reference. AssumeRoleWithWebIdentity is what identity pools use inside (see
``cognito/identity_pools``); as a public operation it is refused.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from botocore.exceptions import ClientError

from infra.local.config import ACCOUNT_ID
from infra.local.credentials import Credentials, KeyStore
from infra.local.iam import PolicyError, trusts
from infra.local.iam_roles import Role, RolePolicies
from infra.local.refusals import refuse
from infra.local.wire import Caller, Request, Response

NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
_CARRIED = frozenset(("Action", "Version", "RoleArn", "RoleSessionName", "DurationSeconds", "ExternalId"))
_MIN_S = 900
_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)


class NotTrusted(Exception):  # noqa: N818 - the refusal, in AWS's words
    """The role's trust policy does not let the caller take it."""


class Sts:
    """The service, and the one place that makes a role's credentials."""

    def __init__(self, keys: KeyStore, roles: RolePolicies) -> None:
        self._keys = keys
        self._roles = roles

    async def handle(self, request: Request) -> Response:
        """Answer one call."""
        form = {name: values[0] for name, values in parse_qs(request.body.decode(errors="replace")).items()}
        action = form.get("Action", "")
        if action == "GetCallerIdentity":
            return await self._caller_identity(request)
        if action == "AssumeRole":
            return await self._assume_role(request, form)
        return refuse(request, "InvalidAction", f"The local cloud does not carry sts:{action}.", 400)

    async def credentials_for_role(
        self, role_arn: str, session_name: str, caller: Caller, lifetime: timedelta | None = None
    ) -> Credentials:
        """Return credentials of a role to a service that it trusts (``caller.kind == "service"``) or to an owner.

        Raises:
            NotTrusted: it does not, or there is no such role.
        """
        role = await self.trusted(role_arn, caller, {})
        return self.issue(role, session_name, lifetime or timedelta(hours=1), Caller(arn="", kind="role"))

    def issue(self, role: Role, session_name: str, lifetime: timedelta, caller: Caller) -> Credentials:
        """Return credentials of a role whose trust policy was asked already."""
        arn = f"arn:aws:sts::{ACCOUNT_ID}:assumed-role/{role.name}/{session_name}"
        return self._keys.issue(replace(caller, arn=arn), role.arn, lifetime, role_id=role.id)

    async def trusted(self, role_arn: str, caller: Caller, context: Mapping[str, str]) -> Role:
        """Return the role, if its trust policy lets the caller take it by AssumeRole.

        Raises:
            NotTrusted: in the sentence AWS has for it; it does not tell whether there is such a role.
        """
        role = await self.find(role_arn)
        source = _source(caller)
        if role is not None:
            kind = "Service" if caller.kind == "service" else "AWS"
            names = [caller.arn] if kind == "Service" else _aws_names(caller)
            if trusts(role.trust, "sts:AssumeRole", kind, names, {**source, **context}) is not None:
                return role
        message = f"User: {caller.arn} is not authorized to perform: sts:AssumeRole on resource: {role_arn}"
        raise NotTrusted(message)

    async def find(self, role_arn: str) -> Role | None:
        """Return a role; None if there is none of that ARN."""
        try:
            role = await self._roles.get(role_arn.rpartition("/")[2])
        except ClientError:
            return None
        return role if role.arn == role_arn else None

    async def _assume_role(self, request: Request, form: Mapping[str, str]) -> Response:
        if unknown := set(form) - _CARRIED:
            return refuse(
                request, "ValidationError", f"The local cloud does not carry {', '.join(sorted(unknown))}.", 400
            )
        name, duration = form.get("RoleSessionName", ""), form.get("DurationSeconds", "3600")
        if not _SESSION_NAME.fullmatch(name) or not duration.isdecimal():
            message = f"RoleSessionName '{name}' or DurationSeconds '{duration}' failed to satisfy its constraint"
            return refuse(request, "ValidationError", message, 400)
        context = {"sts:externalid": form["ExternalId"]} if "ExternalId" in form else {}
        try:
            role = await self.trusted(form.get("RoleArn", ""), request.caller, context)
        except (NotTrusted, PolicyError) as error:
            return refuse(request, "AccessDenied", str(error))
        if not _MIN_S <= int(duration) <= role.max_session_s:
            message = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
            return refuse(request, "ValidationError", message, 400)
        issued = self.issue(role, name, timedelta(seconds=int(duration)), Caller(arn="", kind="role"))
        record = self._keys.find(issued.access_key_id, issued.session_token)
        assert record is not None  # noqa: S101 - issued a line above
        fields = {
            "AssumedRoleUser": {"AssumedRoleId": record.user_id, "Arn": record.caller.arn},
            "Credentials": dump_credentials(issued),
        }
        return _answer("AssumeRole", fields)

    async def _caller_identity(self, request: Request) -> Response:
        caller = request.caller
        user_id = ACCOUNT_ID
        if caller.kind in ("role", "cognito"):
            _, name, session = caller.arn.split("/", 2)
            user_id = f"{(await self._roles.get(name)).id}:{session}"
        return _answer("GetCallerIdentity", {"Arn": caller.arn, "UserId": user_id, "Account": ACCOUNT_ID})


def dump_credentials(credentials: Credentials) -> dict[str, str]:
    """Return credentials as STS names them."""
    expires_at = credentials.expires_at
    return {
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_access_key,
        "SessionToken": credentials.session_token or "",
        "Expiration": expires_at.strftime("%Y-%m-%dT%H:%M:%SZ") if expires_at else "",
    }


def _source(caller: Caller) -> dict[str, str]:
    if caller.source_arn is None:
        return {}
    return {"aws:sourcearn": caller.source_arn, "aws:sourceaccount": caller.source_arn.split(":")[4] or ACCOUNT_ID}


def _aws_names(caller: Caller) -> list[str]:
    """Return what a trust policy may call somebody of this account: itself, its role, or the whole account."""
    names = [caller.arn, ACCOUNT_ID, f"arn:aws:iam::{ACCOUNT_ID}:root"]
    if ":assumed-role/" in caller.arn:
        names.append(f"arn:aws:iam::{ACCOUNT_ID}:role/{caller.arn.split('/')[1]}")
    return names


def _answer(action: str, fields: Mapping[str, str | Mapping[str, str]]) -> Response:
    def xml(values: Mapping[str, str | Mapping[str, str]]) -> str:
        return "".join(
            f"<{name}>{escape(value) if isinstance(value, str) else xml(value)}</{name}>"
            for name, value in values.items()
        )

    body = (
        f'<{action}Response xmlns="{NAMESPACE}"><{action}Result>{xml(fields)}</{action}Result>'
        f"<ResponseMetadata><RequestId>0</RequestId></ResponseMetadata></{action}Response>"
    )
    return Response(headers={"content-type": "text/xml"}, body=body.encode())
