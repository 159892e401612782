"""Custom authorizer ``{stage}-live``: a phone connects over MQTT, its access token as password, by any MQTT library.

The user name is ``{anything}?x-amz-customauthorizer-name={stage}-live``, the client id ``app-{sub}-{anything}``. (AWS
IoT developer guide, "Defining your Lambda function" of custom authentication.)
"""

import base64
import binascii
from typing import Any

from backend import bootstrap
from backend.domain.access import live_policy
from backend.errors import UnauthenticatedError
from backend.services.doorkeeper import REFRESH_S


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer whether somebody may connect, and to what they may listen."""
    try:
        admitted = bootstrap.doorkeeper().admit(_password(event))
    except UnauthenticatedError as error:
        bootstrap.log().info("refused", reason=error.message)
        return {"isAuthenticated": False}
    settings = bootstrap.settings()
    return {
        "isAuthenticated": True,
        "principalId": admitted.user.replace("-", ""),
        "disconnectAfterInSeconds": admitted.seconds,
        "refreshAfterInSeconds": min(REFRESH_S, admitted.seconds),
        "policyDocuments": [live_policy(admitted.user, stage=settings.stage, arn_prefix=settings.iot_arn_prefix)],
    }


def _password(event: dict[str, Any]) -> str:
    password = event.get("protocolData", {}).get("mqtt", {}).get("password", "")
    try:
        return base64.b64decode(password, validate=True).decode()
    except (binascii.Error, ValueError, TypeError):
        raise UnauthenticatedError("The password is not a token.") from None
