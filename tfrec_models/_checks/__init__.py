"""Checks of arguments and tensors."""
