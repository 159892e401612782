"""Topic rules on what AWS IoT tells of devices: who connects, leaves or subscribes, and what they report to run."""

from typing import Any

from backend import bootstrap
from backend.schemas.lifecycle import load_event, load_firmware, load_subscription


def handler(event: dict[str, Any], _context: object) -> dict[str, bool]:
    """Take in one event, in whatever order it comes."""
    subscription = load_subscription(event)
    if subscription is not None:
        if subscription.hears_commands(bootstrap.settings().stage):
            bootstrap.command_desk().deliver_held(subscription.client, subscription.at)
        return {"changed": False}
    report = load_firmware(event)
    if report is not None:
        return {"changed": bootstrap.firmware_book().learn(report)}
    lifecycle = load_event(event)
    return {"changed": lifecycle is not None and bootstrap.presence_book().learn(lifecycle)}
