"""The index of the fleet on DynamoDB: one item a term and thing, and nothing else in it."""

from backend.adapters.dynamo import page_of, translated
from backend.domain.paging import Page
from backend.models.search import SearchModel


class DynamoSearchIndex:
    """Devices by term."""

    def __init__(self, table: str) -> None:
        SearchModel.bind(table)

    def things(self, term: str, *, limit: int, after: str | None) -> Page[str]:
        """Return the things that stand under a term, in order."""
        start = {"term": {"S": term}, "thing": {"S": after}} if after else None
        with translated():
            page = page_of(SearchModel.query(term, limit=limit, last_evaluated_key=start), "thing")
        return Page(items=[item.thing for item in page.items], after=page.after)
