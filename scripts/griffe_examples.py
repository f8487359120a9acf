"""An extension of Griffe: Markdown of docstrings, functions named as their module, and settings.

A field of a recipe is `setting(default, help=...)`: the reference shows the default alone, and the
help as the field's description.
"""

import ast
import re

import griffe

_DEFAULTS = ("setting", "dataclasses.field")
_ITEM = re.compile(r"\s*- ")


class Examples(griffe.Extension):
    """Puts fences around `>>>` examples and an empty line before each list.

    A package that exports a function `read` of its module `read` has both by one name; where
    Python finds the function Griffe finds the module.
    """

    def on_package(self, *, pkg, loader, **kwargs):
        """Gives the exported functions their names in all packages."""
        packages = [pkg]
        while packages:
            package = packages.pop()
            modules = [item for item in package.members.values() if not item.is_alias]
            packages += [item for item in modules if item.is_module and item.is_init_module]
            for name in map(str, package.exports or []):
                module = package.members.get(name)
                if module is not None and not module.is_alias and module.is_module:
                    target = module.members[name]
                    # The module is in no package any more, where it would be met.
                    self.on_object(obj=target, loader=loader)
                    package.set_member(name, griffe.Alias(name, target, parent=package))

    def on_object(self, *, obj, loader, **kwargs):
        """Rewrites the docstring of one object, when all of its package is loaded."""
        if obj.is_class:
            show_settings(obj)
        if not obj.is_alias and obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)


def show_settings(cls):
    """Shows `setting(default, help=...)` of a dataclass as the default and a line of Args."""
    constructor = cls.members.get("__init__")
    if constructor is None or constructor.is_alias or not constructor.is_function:
        return
    described = []
    for parameter in constructor.parameters:
        call = parameter.default
        if not isinstance(call, griffe.ExprCall) or str(call.function) not in _DEFAULTS:
            continue
        values = {a.name: a.value for a in call.arguments if isinstance(a, griffe.ExprKeyword)}
        first = next((a for a in call.arguments if not isinstance(a, griffe.ExprKeyword)), None)
        default = values.get("default_factory", first)
        is_made = "default_factory" in values or str(default) in ("dict", "list")
        parameter.default = f"{default}()" if is_made else default
        if "help" in values:
            described.append(f"    {parameter.name}: {ast.literal_eval(str(values['help']))}.")
    if described and cls.docstring is not None and "Args:" not in cls.docstring.value:
        cls.docstring.value += "\n\nArgs:\n" + "\n".join(described)


def as_markdown(text):
    """Returns a docstring with fences around its examples and its lists set apart."""
    if "```pycon" in text:
        return text
    lines, fence, in_list = [], None, False
    for line in [*text.split("\n"), ""]:
        indent = line[: len(line) - len(line.lstrip())]
        if fence is None and line.lstrip().startswith(">>> "):
            fence = indent
            lines.append(f"{fence}```pycon")
        elif fence is not None and not line.strip():
            lines.append(f"{fence}```")
            fence = None
        elif fence is None and _ITEM.match(line) and lines and lines[-1].strip() and not in_list:
            lines.append("")
        in_list = fence is None and bool(line.strip()) and (in_list or bool(_ITEM.match(line)))
        lines.append(line)
    return "\n".join(lines[:-1])
