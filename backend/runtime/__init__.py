"""What every handler shares: HTTP, identity, logs. It knows documents and errors, and nothing of any use case."""
