"""The backend: what runs in AWS Lambda. See bootstrap.py for how it is put together.

handlers > bootstrap > services | adapters | runtime > models | schemas > ports > domain > errors | config
"""
