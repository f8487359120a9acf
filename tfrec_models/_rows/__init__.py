"""Rows of tables: sparse gradients by row, variables in pieces."""
