"""People and their phones: sign-up, SRP, tokens, the HTTP API, credentials of the identity pool."""

import base64
import hashlib
import hmac
import json
import secrets
import struct
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from pycognito.aws_srp import AWSSRP

from tests.e2e.features.steps.configuration import Configuration


@dataclass(frozen=True)
class Answer:
    """What the HTTP API said."""

    status: int
    document: Any
    headers: dict[str, str]


class Person:
    """Somebody with a phone. Nothing here is signed with anybody's AWS credentials but their own."""

    def __init__(self, configuration: Configuration, name: str) -> None:
        self.name = name
        self.configuration = configuration
        self.email = configuration.email.format(name=f"{name.lower()}.{secrets.token_hex(6)}")
        self.password = f"Fieldline-{secrets.token_hex(8)}"
        self.totp_secret = ""
        self.tokens: dict[str, str] = {}
        self.etags: dict[str, str] = {}
        self.identity = ""

    @cached_property
    def cognito(self) -> Any:
        return self._client("cognito-idp")

    def _client(self, service: str, **credentials: str) -> Any:
        options: dict[str, Any] = credentials or {"config": Config(signature_version=UNSIGNED)}
        session: Any = boto3.Session(region_name=self.configuration.region)
        return session.client(service, endpoint_url=self.configuration.endpoint, **options)

    @property
    def client_id(self) -> str:
        return str(self.configuration.app["auth"]["user_pool_client_id"])

    @property
    def token(self) -> str:
        return self.tokens["AccessToken"]

    @cached_property
    def user(self) -> str:
        """The pool's ``sub``."""
        return str(read_claims(self.token)["sub"])

    def sign_up(self) -> None:
        attributes = [{"Name": "email", "Value": self.email}]
        self.cognito.sign_up(
            ClientId=self.client_id, Username=self.email, Password=self.password, UserAttributes=attributes
        )

    def sign_in(self, password: str = "", *, code: str = "") -> None:
        """Sign in by SRP, and with the code of an authenticator app if one is given."""
        srp = AWSSRP(
            username=self.email,
            password=password or self.password,
            pool_id=self.configuration.app["auth"]["user_pool_id"],
            client_id=self.client_id,
            client=self.cognito,
        )
        if not code:
            self.tokens = srp.authenticate_user()["AuthenticationResult"]
            return
        started = self.cognito.initiate_auth(
            AuthFlow="USER_SRP_AUTH", ClientId=self.client_id, AuthParameters=srp.get_auth_params()
        )
        factor = self.cognito.respond_to_auth_challenge(
            ClientId=self.client_id,
            ChallengeName="PASSWORD_VERIFIER",
            ChallengeResponses=srp.process_challenge(started["ChallengeParameters"], srp.get_auth_params()),
        )
        assert factor["ChallengeName"] == "SOFTWARE_TOKEN_MFA", factor
        self.tokens = self.cognito.respond_to_auth_challenge(
            ClientId=self.client_id,
            ChallengeName="SOFTWARE_TOKEN_MFA",
            Session=factor["Session"],
            ChallengeResponses={
                "USERNAME": started["ChallengeParameters"]["USER_ID_FOR_SRP"],
                "SOFTWARE_TOKEN_MFA_CODE": code,
            },
        )["AuthenticationResult"]

    def refresh(self) -> None:
        answer = self.cognito.initiate_auth(
            AuthFlow="REFRESH_TOKEN_AUTH",
            ClientId=self.client_id,
            AuthParameters={"REFRESH_TOKEN": self.tokens["RefreshToken"]},
        )
        self.tokens = {**self.tokens, **answer["AuthenticationResult"]}

    def call(
        self, method: str, path: str, document: Any = None, *, token: str | None = "", key: str = "", if_match: str = ""
    ) -> Answer:
        """Call the HTTP API, with this person's access token unless told otherwise."""
        shown = self.token if token == "" else token
        headers = {
            "content-type": "application/json",
            **({"authorization": f"Bearer {shown}"} if shown else {}),
            **({"idempotency-key": key} if key else {}),
            **({"if-match": if_match} if if_match else {}),
        }
        body = None if document is None else json.dumps(document).encode()
        request = Request(self.configuration.api_url + path, method=method, headers=headers, data=body)
        try:
            with urlopen(request, timeout=60) as answer:
                return Answer(answer.status, json.loads(answer.read() or b"null"), _lower(answer.headers))
        except HTTPError as error:
            with error:
                return Answer(error.code, json.loads(error.read() or b"null"), _lower(error.headers))

    def ask(self, method: str, path: str, document: Any = None, **options: Any) -> Any:
        """Call the HTTP API and return the document of an answer that must be a good one."""
        answer = self.call(method, path, document, **options)
        assert answer.status < 300, (self.name, method, path, answer)
        return answer.document

    def tie_identity(self) -> None:
        """Tie the identity of the identity pool to this person, as the app does after its first sign-in."""
        self.identity = self.ask("POST", "/v1/me/identity", {"id_token": self.tokens["IdToken"]})["identity_id"]

    def credentials(self) -> dict[str, str]:
        """Return AWS credentials of this person's own, from the identity pool."""
        auth, pool = self.configuration.app["auth"], self._client("cognito-identity")
        logins = {f"cognito-idp.{auth['aws_region']}.amazonaws.com/{auth['user_pool_id']}": self.tokens["IdToken"]}
        identity = pool.get_id(IdentityPoolId=auth["identity_pool_id"], Logins=logins)["IdentityId"]
        given = pool.get_credentials_for_identity(IdentityId=identity, Logins=logins)["Credentials"]
        return {
            "aws_access_key_id": given["AccessKeyId"],
            "aws_secret_access_key": given["SecretKey"],
            "aws_session_token": given["SessionToken"],
        }

    @cached_property
    def functions(self) -> Any:
        return self._client("lambda", **self.credentials())

    def invoke(self, envelope: Any, *, context: Any = None, function: str = "") -> Any:
        """Invoke the function of the original contract; what it raises is returned under ``errorMessage``."""
        client_context = {"ClientContext": base64.b64encode(json.dumps(context).encode()).decode()} if context else {}
        name = function or self.configuration.app["custom"]["mobile_function"]
        answer = self.functions.invoke(FunctionName=name, Payload=json.dumps(envelope), **client_context)
        return json.loads(answer["Payload"].read())


def read_claims(token: str) -> dict[str, Any]:
    """Return the claims of a token, which nobody verifies here."""
    part = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims


def forge(token: str, *, algorithm: str = "RS256") -> str:
    """Return a token with the same claims that nobody signed."""
    head, body, signature = token.split(".")
    if algorithm == "none":
        unsigned = base64.urlsafe_b64encode(json.dumps({"alg": "none"}).encode()).rstrip(b"=").decode()
        return f"{unsigned}.{body}."
    return f"{head}.{body}.{signature[:-8]}{'A' * 8}"


def one_time_code(secret: str, at: float) -> str:
    """Return what an authenticator app shows at an instant, epoch seconds. (RFC 6238.)"""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.new(key, struct.pack(">Q", int(at) // 30), hashlib.sha1).digest()
    start = digest[-1] & 15
    return f"{(int.from_bytes(digest[start : start + 4], 'big') & 0x7FFFFFFF) % 1_000_000:06d}"


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
