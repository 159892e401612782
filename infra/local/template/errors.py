"""What can be wrong with a template; every message begins with the logical id and the path it concerns."""


class TemplateError(Exception):
    """The template cannot be deployed as it stands: correct the named place.

    Args:
        logical_id: the resource, parameter, condition or output concerned; "" for the document itself.
        message: the cause, and the cure where there is one.
        path: the property inside the resource, ``GlobalSecondaryIndexes[0].IndexName``; "" for the whole of it.
    """

    def __init__(self, logical_id: str, message: str, path: str = "") -> None:
        place = f"{logical_id}.{path}".strip(".").replace(".[", "[")
        super().__init__(f"{place}: {message}" if place else message)
        self.logical_id = logical_id
        self.path = path
