"""Commands on DynamoDB. A state is only ever written on the condition that it moves the command forward."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from backend.adapters.dynamo import page_of, translated
from backend.domain.commands import RANK, RETENTION, Command, CommandAnswer, State
from backend.domain.paging import Page
from backend.errors import ConflictError
from backend.models.commands import CommandsModel

NOT_SENT = 0


class DynamoCommands:
    """Commands, by device."""

    def __init__(self, table: str) -> None:
        CommandsModel.bind(table)

    def add(self, command: Command) -> None:
        """Keep a new command."""
        row = CommandsModel(
            command.thing,
            command.id,
            waiting=command.thing,
            name=command.name,
            parameters=json.dumps(dict(command.parameters)),
            state=command.state.value,
            rank=RANK[command.state],
            created_at=command.created_at,
            updated_at=command.updated_at,
            ends_ms=_ms(command.expires_at),
            sent_ms=NOT_SENT,
            issuer=command.issuer,
            expires_at=int((command.created_at + RETENTION).timestamp()),
        )
        with translated():
            row.save(CommandsModel.thing.does_not_exist())

    def find(self, thing: str, command: str) -> Command | None:
        """Return one command. Read consistently."""
        with translated():
            try:
                return _load(CommandsModel.get(thing, command, consistent_read=True))
            except CommandsModel.DoesNotExist:
                return None

    def of_thing(self, thing: str, from_ms: int, *, limit: int, after: str | None) -> Page[Command]:
        """Return commands created at or after ``from_ms``, newest first."""
        oldest = f"{from_ms:013d}"
        if after and after < oldest:  # the device changed hands in between; DynamoDB refuses a key outside of the range
            return Page(items=[], after=None)
        start = {"thing": {"S": thing}, "id": {"S": after}} if after else None
        since = CommandsModel.id >= oldest
        with translated():
            results = CommandsModel.query(thing, since, scan_index_forward=False, limit=limit, last_evaluated_key=start)
            page = page_of(results, "id")
        return Page(items=[_load(item) for item in page.items], after=page.after)

    def waiting(self, thing: str) -> Sequence[Command]:
        """Return the commands that the device has not taken yet, oldest first; from an index that holds only those."""
        with translated():
            return [_load(item) for item in CommandsModel.by_waiting.query(thing)]

    def take(self, command: Command, now: datetime) -> bool:
        """Mark a command as sent at this moment; False if somebody else does, or it has moved on."""
        sent_ms = _ms(command.sent_at) if command.sent_at else NOT_SENT
        return self._update(
            command,
            [
                CommandsModel.state.set(State.SENT.value),
                CommandsModel.rank.set(RANK[State.SENT]),
                CommandsModel.sent_ms.set(_ms(now)),
                CommandsModel.updated_at.set(now),
            ],
            (CommandsModel.rank < RANK[State.ACKED])
            & (CommandsModel.sent_ms == sent_ms)
            & (CommandsModel.ends_ms > _ms(now)),
        )

    def give_back(self, command: Command, now: datetime) -> None:
        """Take the mark back: it was not sent after all."""
        self._update(
            command,
            [
                CommandsModel.state.set(State.QUEUED.value),
                CommandsModel.rank.set(RANK[State.QUEUED]),
                CommandsModel.sent_ms.set(NOT_SENT),
            ],
            (CommandsModel.rank == RANK[State.SENT]) & (CommandsModel.sent_ms == _ms(now)),
        )

    def advance(self, answer: CommandAnswer) -> bool:
        """Move a command on as an answer says; False where that is not forward, not in time, or there is none."""
        actions = [
            CommandsModel.state.set(answer.state.value),
            CommandsModel.rank.set(RANK[answer.state]),
            CommandsModel.updated_at.set(answer.at),
            CommandsModel.result.set(json.dumps(answer.result)),
            CommandsModel.reason.set(answer.reason),
            CommandsModel.waiting.remove(),
        ]
        forward = CommandsModel.rank < RANK[answer.state]
        if answer.state is not State.EXPIRED:
            forward &= (CommandsModel.rank >= RANK[State.ACKED]) | (CommandsModel.ends_ms > _ms(answer.at))
        return self._update(answer, actions, CommandsModel.thing.exists() & forward)

    @staticmethod
    def _update(command: Command | CommandAnswer, actions: list[Any], condition: Any) -> bool:
        try:
            with translated():
                CommandsModel(command.thing, command.id).update(actions, condition)
        except ConflictError:
            return False
        return True


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def _load(item: CommandsModel) -> Command:
    return Command(
        thing=item.thing,
        id=item.id,
        name=item.name,
        parameters=json.loads(item.parameters),
        created_at=item.created_at,
        expires_at=datetime.fromtimestamp(int(item.ends_ms) / 1000, UTC),
        state=State(item.state),
        sent_at=datetime.fromtimestamp(int(item.sent_ms) / 1000, UTC) if item.sent_ms else None,
        updated_at=item.updated_at,
        result=json.loads(item.result) if item.result else None,
        reason=item.reason or "",
        issuer=item.issuer or "",
    )
