"""Who stands before the front, and whether they may: signature, then IAM. The same for every AWS API on the port."""

import hmac
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

from infra.local import sigv4
from infra.local.clock import Clock
from infra.local.config import Settings
from infra.local.credentials import KeyRecord, KeyStore
from infra.local.sigv4 import SignatureError
from infra.local.wire import Caller, Request, Response

Authorize = Callable[[Request, KeyRecord], Awaitable[Response | None]]
"""Judges a request of somebody whom policies limit; returns the refusal, or None where it is allowed."""

_CREDENTIAL = re.compile(
    r"(?:Credential=|X-Amz-Credential=)[^/&,]+(?:/|%2F)\d+(?:/|%2F)([^/%]+)(?:/|%2F)([^/%]+)(?:/|%2F)"
)
_TARGETS = {
    "AWSCognitoIdentityProviderService": "cognito-idp",
    "AWSCognitoIdentityService": "cognito-identity",
    "AWSEvents": "events",
    "AmazonSQS": "sqs",
}
_SIGNED_AS = {"execute-api": "iot"}
"""What SDKs call a service in a signature, where they do not call it by its name: AWS IoT's control plane by those of
before 2023 (botocore's models of the time), Debian's AWS CLI 2 among them."""
_REAL_ENOUGH = timedelta(seconds=5)
_SIGV2 = re.compile(r"(?:^|&)(?:AWSAccessKeyId|Signature)=")
UNSIGNED: Mapping[str, frozenset[str]] = {
    "cognito-identity": frozenset({"GetCredentialsForIdentity", "GetId", "GetOpenIdToken", "UnlinkIdentity"}),
    "cognito-idp": frozenset(
        {
            "AssociateSoftwareToken", "ChangePassword", "ConfirmDevice", "ConfirmForgotPassword", "ConfirmSignUp",
            "DeleteUser", "DeleteUserAttributes", "ForgetDevice", "ForgotPassword", "GetDevice",
            "GetTokensFromRefreshToken", "GetUser", "GetUserAttributeVerificationCode", "GetUserAuthFactors",
            "GlobalSignOut", "InitiateAuth", "ListDevices", "ResendConfirmationCode", "RespondToAuthChallenge",
            "RevokeToken", "SetUserMFAPreference", "SetUserSettings", "SignUp", "UpdateDeviceStatus",
            "UpdateUserAttributes", "VerifySoftwareToken", "VerifyUserAttribute",
        }
    ),
    "sts": frozenset({"AssumeRoleWithWebIdentity"}),
}  # fmt: skip
"""Operations that AWS serves without a signature: ``authtype: none`` in botocore's models."""


class Doorkeeper:
    """Establishes the caller of each request, and asks IAM about those whom policies limit."""

    def __init__(self, settings: Settings, keys: KeyStore, authorize: Authorize | None, clock: Clock) -> None:
        """Let everything pass whose signature is right where ``authorize`` is None (``--no-iam``)."""
        self._clock = clock
        self._secret = settings.service_secret
        self._region = settings.region
        self._keys = keys
        self._authorize = authorize

    def addressed(self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes) -> Request:
        """Return the request with the service and region it claims to be for, its caller anonymous."""
        found = _CREDENTIAL.search(headers.get("authorization", "")) or _CREDENTIAL.search(query)
        region, service = found.groups() if found else (self._region, _unsigned_service(path, headers, body))
        service = _SIGNED_AS.get(service, service)
        return Request(
            service=service, method=method, path=path, query=query, headers=headers, body=body, region=region
        )

    def identify(self, request: Request) -> KeyRecord:
        """Return who calls.

        Raises:
            SignatureError: nobody that we know, or not signed by them.
        """
        if (secret := request.headers.get("x-fieldline-secret")) is not None:
            return self._own_service(request, secret)
        if _is_unsigned(request):
            return KeyRecord(secret_access_key="", caller=Caller(arn="anonymous", kind="anonymous"))
        if request.service == "s3" and _SIGV2.search(request.query):
            message = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
            raise SignatureError("InvalidRequest", message)
        return self._keys.authenticate(self._signed(request))

    def _signed(self, request: Request) -> sigv4.Verified:
        """Return whose signature it is, made in real time or in the time that functions live by, once it is moved."""
        real_time = datetime.now(UTC)  # noqa: TID251 - clients sign with real time
        try:
            return self._verify(request, real_time)
        except SignatureError as refused:
            if abs(self._clock.now() - real_time) < _REAL_ENOUGH:
                raise
            try:
                return self._verify(request, self._clock.now())
            except SignatureError:
                raise refused from None

    def _verify(self, request: Request, now: datetime) -> sigv4.Verified:
        return sigv4.verify(
            request.method,
            request.path,
            request.query,
            request.headers,
            request.body,
            secret_for=self._keys.secret_for,
            now=now,
        )

    async def refusal(self, request: Request, record: KeyRecord) -> Response | None:
        """Return IAM's refusal, or None: the owner, our own services and the unsigned operations are not limited."""
        if self._authorize is None or request.caller.kind in ("owner", "service", "anonymous"):
            return None
        return await self._authorize(request, record)

    def _own_service(self, request: Request, secret: str) -> KeyRecord:
        if not hmac.compare_digest(secret.encode(), self._secret.encode()):
            raise SignatureError("InvalidClientTokenId", "The security token included in the request is invalid.")
        caller = Caller(
            arn=request.headers.get("x-fieldline-service", ""),
            kind="service",
            source_arn=request.headers.get("x-fieldline-source-arn"),
        )
        return KeyRecord(secret_access_key="", caller=caller)


def _unsigned_service(path: str, headers: Mapping[str, str], body: bytes) -> str:
    """Return the service of a request without a credential scope; S3 is the only one addressed by path alone."""
    target = headers.get("x-amz-target", "").partition(".")[0]
    if target:
        return _TARGETS.get(target, target.partition("_")[0].lower())
    if "/.well-known/" in path:
        return "cognito-idp"
    if path.startswith("/2015-03-31/functions/"):
        return "lambda"
    if headers.get("content-type", "").startswith("application/x-www-form-urlencoded") and b"Action=" in body:
        return "sts"
    return "s3"


def _is_unsigned(request: Request) -> bool:
    """Say whether AWS serves this without a signature."""
    if request.method == "OPTIONS" or (request.method == "GET" and "/.well-known/" in request.path):
        return True
    operation = request.operation
    if request.service == "sts" and not operation:
        operation = parse_qs(request.body.decode(errors="replace")).get("Action", [""])[0]
    return operation in UNSIGNED.get(request.service, ())


def caller_header(caller: Caller) -> str:
    """Return the caller as our own processes hand it on."""
    return json.dumps({name: getattr(caller, name) for name in Caller.__slots__ if getattr(caller, name) is not None})
