"""Embedding tables and their lookups."""
