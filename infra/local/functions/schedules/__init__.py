"""Amazon EventBridge, as far as time makes its events: scheduled rules, and EventBridge Scheduler."""
