"""How often something was tried, on DynamoDB: beside the answers kept for a day, with which it is forgotten."""

from datetime import datetime, timedelta

from pynamodb.expressions.update import Action

from backend.adapters.dynamo import translated
from backend.errors import ConflictError
from backend.models.people import ATTEMPT, AttemptsModel


class DynamoAttempts:
    """How often something was tried."""

    def __init__(self, table: str) -> None:
        AttemptsModel.bind(table)

    def take(self, subject: str, what: str, limit: int, window: timedelta, now: datetime) -> bool:
        """Count one attempt, atomically; False when the window's are used up."""
        row, now_s, window_s = AttemptsModel(subject, ATTEMPT + what), int(now.timestamp()), int(window.total_seconds())
        first: list[Action] = [
            AttemptsModel.attempts.set(1),
            AttemptsModel.since.set(now_s),
            AttemptsModel.expires_at.set(now_s + window_s),
        ]
        try:
            with translated():
                row.update(first, AttemptsModel.user.does_not_exist() | (AttemptsModel.since <= now_s - window_s))
        except ConflictError:
            pass
        else:
            return True
        try:
            with translated():
                row.update([AttemptsModel.attempts.add(1)], AttemptsModel.attempts < limit)
        except ConflictError:
            return False
        return True
