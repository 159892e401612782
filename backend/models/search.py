"""The index of the fleet."""

from pynamodb.attributes import UnicodeAttribute

from backend.models.base import Table


class SearchModel(Table):
    """That a device stands under a term."""

    class Meta:
        table_name = "search"

    term = UnicodeAttribute(hash_key=True)
    """``attribute#{name}={value}`` or ``firmware#{firmware}``."""
    thing = UnicodeAttribute(range_key=True)
