"""What every table shares."""

import contextlib
from functools import cache

from botocore import __version__ as botocore_version
from botocore.config import Config
from botocore.session import Session
from pynamodb.connection import Connection, TableConnection
from pynamodb.models import Model


class _Connection(Connection):
    """A client that says who calls in words of its own: botocore puts its longer ones together twice a request.

    A tenth of a warm call's CPU, measured. (botocore reference, "Config": ``user_agent``.)
    """

    @property
    def session(self) -> Session:
        """Return the session that the client is made of."""
        session = super().session
        session.set_default_client_config(Config(user_agent=f"fieldline Botocore/{botocore_version}"))
        return session


@cache
def connection() -> Connection:
    """Return what all tables and transactions share: making a client costs more CPU than a hundred calls on it."""
    return _Connection()


class Table(Model):
    """A table whose name the composition binds."""

    @classmethod
    def bind(cls, table_name: str) -> None:
        """Say which table this model stands for; once per container, or per test."""
        cls.Meta.table_name = table_name
        cls._connection = None

    @classmethod
    def _get_connection(cls) -> TableConnection:
        bound, shared = super()._get_connection(), connection()
        if bound.connection is not shared:
            with contextlib.suppress(ValueError):  # it knows the table already
                shared.add_meta_table(bound.get_meta_table())
            bound.connection = shared
        return bound
