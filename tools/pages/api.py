"""``docs/api.md``: the public names of hierpets, from their signatures and docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

import hierpets
from tools.pages.roles import to_markdown

__all__ = ["api_page"]

GROUPS = {
    "Functions": (
        "load",
        "train",
        "grow",
        "forget",
        "evaluate",
        "audit",
        "compare",
        "plan",
        "read_boxes",
        "read_names",
    ),
    "Predicting": (
        "Predictor",
        "Prediction",
        "Region",
        "Box",
        "BoxFile",
        "PredictOptions",
        "Photo",
        "NamedPhoto",
        "Limits",
        "Taxonomy",
        "Leaf",
        "Names",
    ),
    "Results": ("TrainResult", "GrowResult", "ForgetResult", "Evaluation", "Comparison", "Audit", "Plan", "ModelId"),
    "Settings": ("TrainConfig", "AuditSettings"),
}
HEAD = """# The Python API

What `import hierpets` offers. Names are imported on first use, so the import itself is light. Generated from the
docstrings by `python tools/reference.py api`.

What takes long takes `progress`, a function that is called as `progress(task, done, total)`: how many pieces of the
task, a text, are done of its total, which is None as long as it is not known.
"""
ERRORS = """## Errors

What a caller of these functions and of a `Predictor` can cause is a `HierpetsError` with a message of one line per
problem; an option or a setting that does not exist is a `ConfigError`, any other keyword that does not exist or is
missing is Python's `TypeError`. A model built by hand, such as `PredictOptions(alpha=2)`, a `TrainConfig`, `Box` or
`Taxonomy`, raises pydantic's `ValidationError`, a `ValueError`; the same values as arguments, as in
`predict(photo, alpha=2)` or `train(data, seed=-1)`, are a `ConfigError`.
"""
LINES = 100  # longest signature, in characters, that is written on one line


def api_page() -> str:
    """Return the whole page.

    :raises ValueError: a public name is in none of the :data:`GROUPS`.
    """
    named = {name for names in GROUPS.values() for name in names}
    errors = [name for name in hierpets.__all__ if name.endswith("Error")]
    missing = set(hierpets.__all__) - named - set(errors) - {"__version__"}
    if missing:
        raise ValueError(f"no group for the public names {', '.join(sorted(missing))}")
    parts = [HEAD]
    for title, names in GROUPS.items():
        parts += [f"## {title}\n", *(_entry(name).rstrip() + "\n" for name in names)]
    parts.append(ERRORS)
    parts += [f"- `{name}`: {to_markdown(_summary(getattr(hierpets, name)))}" for name in errors]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(parts)).rstrip() + "\n"


def _entry(name: str) -> str:
    public = getattr(hierpets, name)
    public = public if inspect.isclass(public) else inspect.unwrap(public)
    if not inspect.isclass(public) and not inspect.isfunction(public):
        what = "a path, an address, the bytes of a file, pixels uint8 [H, W, 3] in RGB or [H, W] in gray, a PIL image"
        return f"### {name}\n\n`{_type_text(public)}`: {what}.\n"
    lines = [f"### {name}\n"]
    if not inspect.isclass(public):
        lines += [_code(_signature(name, public)), _doc(public)]
    else:
        lines += [_doc(public), *_members(name, public)]
    return "\n".join(lines)


def _members(name: str, cls: type) -> Iterator[str]:
    """Yield the fields, then the properties, then the public methods that the class itself defines."""
    if issubclass(cls, BaseModel):
        yield "| field | default | meaning |\n|---|---|---|"
        for key, field in cls.model_fields.items():
            default = "" if field.is_required() else f"`{_default(field.get_default(call_default_factory=True))}`"
            yield f"| `{key}` | {default if len(default) <= LINES else ''} | {field.description or ''} |"
        yield ""
    elif names := _fields(cls):
        yield f"Fields: {', '.join(f'`{name}`' for name in names if not name.startswith('_'))}.\n"
    for key, member in vars(cls).items():
        if key.startswith("_"):
            continue
        if isinstance(member, property) or type(member).__name__ == "cached_property":
            getter: Any = member.fget if isinstance(member, property) else member.func
            text = to_markdown(inspect.getdoc(getter) or "")
            yield f"- `.{key}`" + (f": {text}" if text else "")
    for key, member in vars(cls).items():
        function = member.__func__ if isinstance(member, classmethod) else member
        if not key.startswith("_") and inspect.isfunction(function):
            yield f"\n#### {name}.{key}\n\n{_code(_signature(key, function))}\n{_doc(function)}"


def _fields(cls: type) -> tuple[str, ...]:
    """Return the names of the fields of a dataclass or a named tuple."""
    return tuple(field.name for field in fields(cls)) if is_dataclass(cls) else getattr(cls, "_fields", ())


def _signature(name: str, function: Callable[..., Any]) -> str:
    """Format a signature, on several lines if one would be too long."""
    signature = inspect.signature(function)
    shown = list(_parameters(signature))
    returns = f" -> {signature.return_annotation}" if signature.return_annotation is not signature.empty else ""
    line = f"{name}({', '.join(shown)}){returns}"
    if len(line) <= LINES:
        return line
    return f"{name}(\n" + "".join(f"    {parameter},\n" for parameter in shown) + f"){returns}"


def _parameters(signature: inspect.Signature) -> Iterator[str]:
    stars: dict[Any, str] = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    keyword_only = False
    for parameter in signature.parameters.values():
        if parameter.name in ("self", "cls"):
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not keyword_only:
            keyword_only = True
            yield "*"
        keyword_only = keyword_only or parameter.kind is parameter.VAR_POSITIONAL
        text = stars.get(parameter.kind, "") + parameter.name
        text += f": {parameter.annotation}" if parameter.annotation is not parameter.empty else ""
        yield text + (f" = {_default(parameter.default)}" if parameter.default is not parameter.empty else "")


def _default(value: Any) -> str:
    if isinstance(value, (str, Path)):
        return f'"{value}"'
    return value.__name__ if callable(value) else repr(value)


def _doc(public: Any) -> str:
    text = inspect.getdoc(public) or ""
    body, *raises = re.split(r"^:raises ", text, flags=re.M)
    lines = [to_markdown(body.strip()), ""]
    for item in raises:
        error, _, why = item.partition(":")
        lines.append(f"- raises `{error.strip()}`: {to_markdown(' '.join(why.split()))}")
    return "\n".join(lines) + ("\n" if raises else "")


def _summary(public: Any) -> str:
    return " ".join((inspect.getdoc(public) or "").split("\n\n")[0].split())


def _type_text(alias: Any) -> str:
    return str(alias).replace("typing.", "").replace("ForwardRef('", "").replace("')", "")


def _code(text: str) -> str:
    return f"```python\n{text}\n```\n"
