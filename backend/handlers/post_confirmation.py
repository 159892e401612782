"""User pool trigger: a person confirmed their address. (Cognito, "Post confirmation Lambda trigger".)."""

from typing import Any

from backend import bootstrap

SIGN_UP = "PostConfirmation_ConfirmSignUp"


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Make the person's profile; a reset of the password comes by here too, and changes nothing."""
    if event["triggerSource"] == SIGN_UP:
        attributes = event["request"]["userAttributes"]
        bootstrap.accounts_opening().open(attributes["sub"], attributes)
    return event
