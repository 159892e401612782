"""AWS IoT Core, locally: message broker, policies, rules, registry, shadows, provisioning.

One process, one event loop on uvloop that nothing may block. Each room stands alone; `main.py` plugs them together
through `ports.py`, and what they hand one another is in `message.py`.
"""
