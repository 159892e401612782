"""Ports carried out on AWS. Foreign exceptions end here."""
