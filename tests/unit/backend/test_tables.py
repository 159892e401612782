"""What all tables share."""

import pytest

from backend.models.base import connection
from backend.models.devices import DevicesModel
from backend.models.readings import QuarantineModel, ReadingsModel


@pytest.fixture
def no_client(monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    connection.cache_clear()
    yield
    connection.cache_clear()


@pytest.mark.usefixtures("no_client")
def test_all_tables_and_transactions_speak_through_one_client():
    for model in (DevicesModel, QuarantineModel, ReadingsModel):
        model.bind(f"some-{model.Meta.table_name}")
        assert model._get_connection().connection is connection()
        model.bind(f"some-{model.Meta.table_name}")  # composed anew, as every test does
        assert model._get_connection().get_meta_table().table_name == model.Meta.table_name


@pytest.mark.usefixtures("no_client")
def test_the_client_names_itself_in_words_that_are_put_together_once():
    assert connection().client.meta.config.user_agent.startswith("fieldline Botocore/1.")
