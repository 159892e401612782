"""The user pool and the identity pool."""

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from backend.domain.access import live_policy
from backend.errors import NotFoundError, UnavailableError, invalid

if TYPE_CHECKING:
    from mypy_boto3_cognito_identity import CognitoIdentityClient
    from mypy_boto3_cognito_idp import CognitoIdentityProviderClient
    from mypy_boto3_iot import IoTClient


class CognitoPeople:
    """The user pool."""

    def __init__(self, user_pool: str) -> None:
        self._user_pool = user_pool
        self._client: CognitoIdentityProviderClient = boto3.client("cognito-idp")

    def attributes(self, user: str) -> Mapping[str, str]:
        """Return what the pool knows of a user, by OpenID name."""
        try:
            found = self._client.admin_get_user(UserPoolId=self._user_pool, Username=user)
        except (ClientError, BotoCoreError) as error:
            if _code(error) == "UserNotFoundException":
                raise NotFoundError("There is no such account.") from error
            raise UnavailableError("The user pool does not answer: try again.") from error
        return {each["Name"]: each.get("Value", "") for each in found["UserAttributes"]}

    def remove(self, user: str) -> None:
        """Delete a user; one that is gone is deleted already."""
        try:
            self._client.admin_delete_user(UserPoolId=self._user_pool, Username=user)
        except (ClientError, BotoCoreError) as error:
            if _code(error) != "UserNotFoundException":
                raise UnavailableError("The user pool does not answer: try again.") from error


class CognitoIdentities:
    """AWS identities of people. Each gets an IoT policy of its own, named after the person, for their live topics."""

    def __init__(self, *, stage: str, user_pool: str, identity_pool: str, arn_prefix: str) -> None:
        self._stage = stage
        self._identity_pool = identity_pool
        self._arn_prefix = arn_prefix
        """``arn:aws:iot:{region}:{account}``."""
        self._identity: CognitoIdentityClient = boto3.client("cognito-identity")
        self._iot: IoTClient = boto3.client("iot")
        self._login = f"cognito-idp.{self._identity.meta.region_name}.amazonaws.com/{user_pool}"

    def tie(self, user: str, id_token: str) -> str:
        """Return the identity id of a person, proven by their own ID token, and let it use their live topics."""
        # GetId verifies the token; what it says may be believed only after that, and is only used to refuse.
        try:
            identity_id = self._identity.get_id(IdentityPoolId=self._identity_pool, Logins={self._login: id_token})[
                "IdentityId"
            ]
        except (ClientError, BotoCoreError) as error:
            if _code(error) in {"NotAuthorizedException", "InvalidParameterException"}:
                raise invalid("id_token", "is not accepted by the identity pool") from error
            raise UnavailableError("The identity pool does not answer: try again.") from error
        if _subject(id_token) != user:
            raise invalid("id_token", "belongs to somebody else")
        name = self._policy(user)
        try:
            self._iot.create_policy(
                policyName=name,
                policyDocument=json.dumps(live_policy(user, stage=self._stage, arn_prefix=self._arn_prefix)),
            )
        except (ClientError, BotoCoreError) as error:
            if _code(error) != "ResourceAlreadyExistsException":
                raise UnavailableError("AWS IoT does not answer: try again.") from error
        try:
            self._iot.attach_policy(policyName=name, target=identity_id)
        except (ClientError, BotoCoreError) as error:
            raise UnavailableError("AWS IoT does not answer: try again.") from error
        return identity_id

    def untie(self, user: str, identity_id: str | None) -> None:
        """Take back what `tie` allowed."""
        name = self._policy(user)
        if identity_id:
            with _gone_is_done():
                self._iot.detach_policy(policyName=name, target=identity_id)
            with _gone_is_done():
                self._identity.delete_identities(IdentityIdsToDelete=[identity_id])
        with _gone_is_done():
            self._iot.delete_policy(policyName=name)

    def _policy(self, user: str) -> str:
        return f"{self._stage}-live-{user}"


@contextmanager
def _gone_is_done() -> Iterator[None]:
    """Take what is not there any more for taken back; each step on its own, so that none is left out."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        if _code(error) != "ResourceNotFoundException":
            raise UnavailableError("AWS does not answer: try again.") from error


def _code(error: Exception) -> str:
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def _subject(token: str) -> str:
    try:
        payload = token.split(".")[1]
        return str(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sub"])
    except (IndexError, KeyError, ValueError, binascii.Error):
        return ""
