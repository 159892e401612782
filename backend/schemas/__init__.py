"""Documents on the wire, HTTP and MQTT, to and from domain objects. marshmallow lives here."""
