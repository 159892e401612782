"""Topic rules on lifecycle events: who connects, who leaves, who has subscribed and can be given what was held."""

from typing import Any

from backend import bootstrap
from backend.schemas.lifecycle import load_event, load_subscription


def handler(event: dict[str, Any], _context: object) -> dict[str, bool]:
    """Take in one lifecycle event, in whatever order it comes."""
    subscription = load_subscription(event)
    if subscription is not None:
        if subscription.hears_commands(bootstrap.settings().stage):
            bootstrap.command_desk().deliver_held(subscription.client, subscription.at)
        return {"changed": False}
    lifecycle = load_event(event)
    return {"changed": lifecycle is not None and bootstrap.presence_book().learn(lifecycle)}
