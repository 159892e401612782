"""The rules engine of AWS IoT: SQL compiled at deploy, evaluated per message, actions under the rule's own role.

``parser`` (lark grammar → ``tree``) → ``compiler`` (closures over ``values`` and ``functions``) is pure: no clock, no
sockets; what it needs from outside comes in a ``Context``. ``engine`` plugs it into the broker, ``actions`` carries
results out, ``api`` serves the topic-rule operations. The order of pages followed: "AWS IoT SQL reference" and its
children, "AWS IoT rule actions", "Error handling (error action)", "Basic Ingest".
"""
