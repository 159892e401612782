"""Doors: one module per function of the template. Parse, call one service, answer. They never import each other."""
