"""Answers already given, on DynamoDB."""

import json
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from backend.adapters.dynamo import translated
from backend.domain.idempotency import LIFETIME, UNDER_WAY, Answered
from backend.errors import ConflictError, KeyReusedError, UnderWayError
from backend.models.people import ATTEMPT, AnswersModel

LOOKS = 10
PAUSE_S = 0.2
"""Two seconds in all: longer than calls take, shorter than anybody waits."""


class DynamoIdempotency:
    """Answers already given, by (person, key)."""

    def __init__(self, table: str) -> None:
        AnswersModel.bind(table)

    def begin(self, user: str, key: str, fingerprint: str, now: datetime) -> Answered | None:
        """Return the answer given to this call before, waiting a little for one that is being given; None: it is ours.

        (IETF draft "The Idempotency-Key HTTP Header Field": 422 for a key used otherwise, 409 while under way.)
        """
        for _ in range(LOOKS):
            if self._take(user, key, fingerprint, now):
                return None
            row = self._find(user, key)
            if row is None:
                continue  # it was abandoned just now: it is anybody's again
            if row.fingerprint != fingerprint:
                raise KeyReusedError("The idempotency key was used for another call: take a new one.")
            if "status" not in row.attribute_values:
                time.sleep(PAUSE_S)
                continue
            return Answered(status=int(row.status), body=row.body or "", headers=json.loads(row.headers or "{}"))
        raise UnderWayError("The same call is being answered: wait, then send it again.")

    def finish(self, user: str, key: str, answered: Answered) -> None:
        """Keep the answer."""
        with suppress(ConflictError), translated():
            AnswersModel(user, key).update(
                [
                    AnswersModel.status.set(answered.status),
                    AnswersModel.body.set(answered.body),
                    AnswersModel.headers.set(json.dumps(dict(answered.headers))),
                ],
                AnswersModel.user.exists(),  # or it is of somebody who deleted their account meanwhile
            )

    def abandon(self, user: str, key: str) -> None:
        """Let the key be used again: nothing came of the call."""
        with translated():
            AnswersModel(user, key).delete()

    def keys_of(self, user: str) -> Sequence[str]:
        """Return the keys of all answers kept for a person."""
        with translated():
            rows = AnswersModel.query(user, attributes_to_get=["user", "key"])
            return [row.key for row in rows if not row.key.startswith(ATTEMPT)]

    def remove_all(self, user: str) -> None:
        """Forget all answers given to a person, and how often they tried what."""
        with translated(), AnswersModel.batch_write() as batch:
            for row in AnswersModel.query(user, attributes_to_get=["user", "key"]):
                batch.delete(row)

    @staticmethod
    def _take(user: str, key: str, fingerprint: str, now: datetime) -> bool:
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
            return False
        return True

    @staticmethod
    def _find(user: str, key: str) -> AnswersModel | None:
        with translated():
            try:
                return AnswersModel.get(user, key, consistent_read=True)
            except AnswersModel.DoesNotExist:
                return None
