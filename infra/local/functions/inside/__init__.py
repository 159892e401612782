"""What runs inside a worker process, or beside it: standard library only, started by path and never imported by us."""
