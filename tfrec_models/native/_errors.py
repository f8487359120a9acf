"""Why there are no kernels."""


class BuildError(Exception):
    """The kernels could not be compiled or tested; the message says why in one line."""


class UnloadableError(BuildError):
    """The kernels cannot be loaded or tested here, whatever their flags."""


class CacheError(Exception):
    """The cache cannot be used; the message says why in one line, and how to fix it."""
