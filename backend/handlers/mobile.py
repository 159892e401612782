"""The original mobile-backend contract by direct ``lambda:Invoke`` under identity-pool credentials.

Who calls is what the runtime says in ``context.identity``, which Lambda takes from the caller's signature. The client
context is whatever the caller wrote and is never looked at. (Lambda developer guide, "Python context object".)
"""

from typing import Any

from backend import bootstrap


def handler(event: Any, context: Any) -> Any:
    """Carry out one operation; what is refused is raised, as the contract's clients expect."""
    mobile = bootstrap.mobile()
    identity = getattr(context.identity, "cognito_identity_id", None)
    return mobile.call(lambda: mobile.of_identity(identity), event if isinstance(event, dict) else {})
