"""Answers already given, on DynamoDB."""

import json
from datetime import datetime

from backend.adapters.dynamo import translated
from backend.domain.idempotency import LIFETIME, UNDER_WAY, Answered
from backend.errors import ConflictError
from backend.models.people import AnswersModel


class DynamoIdempotency:
    """Answers already given, by (person, key)."""

    def __init__(self, table: str) -> None:
        AnswersModel.bind(table)

    def begin(self, user: str, key: str, fingerprint: str, now: datetime) -> Answered | None:
        """Return the answer given to this call before; None if it is now ours to answer."""
        now_s = int(now.timestamp())
        row = AnswersModel(
            user,
            key,
            fingerprint=fingerprint,
            begun_at=now_s,
            expires_at=now_s + int(LIFETIME.total_seconds()),
        )
        stopped = AnswersModel.status.does_not_exist() & (
            AnswersModel.begun_at < now_s - int(UNDER_WAY.total_seconds())
        )
        # TTL deletes when it pleases: what has expired counts as gone.
        free = AnswersModel.user.does_not_exist() | stopped | (AnswersModel.expires_at <= now_s)
        try:
            with translated():
                row.save(free)
        except ConflictError:
            return self._told(user, key, fingerprint)
        return None

    def finish(self, user: str, key: str, answered: Answered) -> None:
        """Keep the answer."""
        with translated():
            AnswersModel(user, key).update(
                [
                    AnswersModel.status.set(answered.status),
                    AnswersModel.body.set(answered.body),
                    AnswersModel.headers.set(json.dumps(dict(answered.headers))),
                ]
            )

    def abandon(self, user: str, key: str) -> None:
        """Let the key be used again: nothing came of the call."""
        with translated():
            AnswersModel(user, key).delete()

    def remove_all(self, user: str) -> None:
        """Forget all answers given to a person."""
        with translated(), AnswersModel.batch_write() as batch:
            for row in AnswersModel.query(user, attributes_to_get=["user", "key"]):
                batch.delete(row)

    def _told(self, user: str, key: str, fingerprint: str) -> Answered | None:
        with translated():
            try:
                row = AnswersModel.get(user, key, consistent_read=True)
            except AnswersModel.DoesNotExist:
                raise ConflictError("The same call was just abandoned: send it again.") from None
        if row.fingerprint != fingerprint:
            raise ConflictError("The idempotency key was used for another call.")
        if row.status is None:
            raise ConflictError("The same call is being answered: wait, then send it again.")
        return Answered(status=int(row.status), body=row.body or "", headers=json.loads(row.headers or "{}"))
