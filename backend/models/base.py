"""What every table shares."""

from pynamodb.models import Model


class Table(Model):
    """A table whose name the composition binds."""

    @classmethod
    def bind(cls, table_name: str) -> None:
        """Say which table this model stands for; once per container, or per test."""
        cls.Meta.table_name = table_name
        cls._connection = None
