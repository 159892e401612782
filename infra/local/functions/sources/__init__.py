"""Event sources that Lambda reads itself: queues and table streams.

Those that push (rules, S3, schedules) just invoke.
"""
