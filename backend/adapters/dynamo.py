"""What all repositories on DynamoDB share: how its refusals become ours, and how queries become pages."""

from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from typing import Any

from pynamodb.exceptions import PynamoDBException, TransactWriteError
from pynamodb.transactions import TransactWrite

from backend.domain.accounts import closed_key
from backend.domain.paging import Page
from backend.errors import ConflictError, UnauthenticatedError, UnavailableError
from backend.models.base import connection
from backend.models.people import AccountsModel

TRANSACTION_ATTEMPTS = 4
CONDITION_FAILED = "ConditionalCheckFailedException"
RETRYABLE = frozenset(
    {
        "InternalServerError",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "ThrottlingException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)


@contextmanager
def translated(conflict: str = "The state moved under you: read again.") -> Iterator[None]:
    """Translate what DynamoDB refuses into what the caller can do about it.

    Raises:
        ConflictError: a condition did not hold; says ``conflict``.
        UnavailableError: throttled, in conflict with another transaction, or out of reach.
    """
    try:
        yield
    except TransactWriteError as error:
        reasons = {reason.code for reason in error.cancellation_reasons if reason}
        if "ConditionalCheckFailed" in reasons:
            raise ConflictError(conflict) from error
        raise UnavailableError("The table is busy: try again.") from error
    except PynamoDBException as error:
        if error.cause_response_code == CONDITION_FAILED:
            raise ConflictError(conflict) from error
        if error.cause_response_code is None or error.cause_response_code in RETRYABLE:
            raise UnavailableError("The table is out of reach: try again.") from error
        raise


def transact(build: Callable[[TransactWrite], None], *, conflict: str, present: AbstractSet[str] = frozenset()) -> None:
    """Write several items, all or none; tried again where it met another transaction on the same items.

    Args:
        build: adds the writes, and no checks of their own.
        conflict: what to say where a condition does not hold.
        present: people who must not have deleted their account.

    Raises:
        ConflictError: a condition did not hold; says ``conflict``.
        UnauthenticatedError: one of these people has deleted their account.
        UnavailableError: other transactions were in the way every time.
    """
    for attempt in range(TRANSACTION_ATTEMPTS):
        try:
            with translated(conflict), TransactWrite(connection=connection()) as transaction:
                for user in sorted(present):
                    gone = AccountsModel.user.does_not_exist()
                    transaction.condition_check(AccountsModel, closed_key(user), condition=gone)
                build(transaction)
        except ConflictError as error:
            if "ConditionalCheckFailed" in _codes(error)[: len(present)]:  # checks come first, in their order
                raise UnauthenticatedError("The account was deleted: sign in with another.") from error
            raise
        except UnavailableError:
            if attempt == TRANSACTION_ATTEMPTS - 1:
                raise
        else:
            return


def only_returned_failed(error: ConflictError) -> bool:
    """Say whether the only conditions of a transaction that did not hold are of writes that ask for what stands there.

    (DynamoDB API reference, "TransactWriteItems": ``ReturnValuesOnConditionCheckFailure``.)
    """
    reasons = _reasons(error)
    failed = [reason for reason in reasons if reason and reason.code == "ConditionalCheckFailed"]
    return bool(failed) and all(reason.raw_item for reason in failed)


def _reasons(error: ConflictError) -> list[Any]:
    cause = error.__cause__
    return cause.cancellation_reasons if isinstance(cause, TransactWriteError) else []


def _codes(error: ConflictError) -> list[str | None]:
    return [reason.code if reason else None for reason in _reasons(error)]


def page_of(results: Any, after: str) -> Page[Any]:
    """Return what a limited query found as a page; ``after`` names the attribute whose value tells where it ended."""
    items = list(results)
    last: Mapping[str, Mapping[str, str]] | None = results.last_evaluated_key
    return Page(items=items, after=next(iter(last[after].values())) if last else None)
