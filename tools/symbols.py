"""Which statements of a module give one name a meaning and do nothing else, and which names a piece of code says.

Such a statement is a `symbol`: a constant, a class, a function. It can matter only to code that says its
name: as a name, an attribute, an import or in a text. Whatever else is done when a module is read is no symbol.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Mapping

Function = ast.FunctionDef | ast.AsyncFunctionDef
QUIET = frozenset(
    """about bool bytes cache chr compile contextmanager decode dict digest encode enumerate field flag float format
    frozenset fromkeys get get_args getLogger hexdigest int items join keys len list lower maketrans map max min number
    object partial property range reference references repr replace reversed round seconds set sha256 sorted split str
    strip sum text texts token_hex tuple union upper values words zip""".split()
)
"""Functions that change nothing, by their last name, those that declare settings among them; what begins with a capital
is a constructor, which does not, either."""
QUIET_DECORATORS = frozenset(
    """abstractmethod asynccontextmanager cache cached_property classmethod contextmanager dataclass final
    lru_cache overload override property runtime_checkable setter staticmethod total_ordering unique""".split()
)
SPECIAL = frozenset(("__all__", "__version__"))
"""Names with underscores on both sides that only who says them looks at."""
_WORD = re.compile(r"[A-Za-z_]\w*")


def symbol(statement: ast.stmt, once: frozenset[str]) -> str:
    """The name that it gives a meaning; empty where it is no symbol. once: names with one meaning in their module."""
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            quiet = _is_quiet(value)
        case ast.AnnAssign(target=ast.Name(id=name), value=value):
            quiet = value is not None and _is_quiet(value)
        case ast.ClassDef(name=name):
            quiet = _is_quiet_class(statement)
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            quiet = _is_quiet_function(statement)
        case _:
            return ""
    hides = name in vars(builtins) or (name.startswith("__") and name not in SPECIAL)
    return name if quiet and name in once and not hides else ""


def _is_quiet(value: ast.AST) -> bool:
    loud = (ast.Await, ast.Yield, ast.YieldFrom, ast.NamedExpr)
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, loud) or (isinstance(one, ast.Call) and not _is_quiet_call(one)):
            return False
        if not isinstance(one, ast.Lambda):
            left += ast.iter_child_nodes(one)
    return True


def _last_name(node: ast.AST) -> str:
    return str(getattr(node, "attr", getattr(node, "id", "")))


def _is_quiet_call(call: ast.Call) -> bool:
    name = _last_name(call.func)
    return name in QUIET or name.lstrip("_")[:1].isupper()


def _is_quiet_decorator(node: ast.AST) -> bool:
    given = [*node.args, *node.keywords] if isinstance(node, ast.Call) else []
    named = node.func if isinstance(node, ast.Call) else node
    return _last_name(named) in QUIET_DECORATORS and all(map(_is_quiet, given))


def _is_quiet_function(found: Function) -> bool:
    given = [one for one in (*found.args.defaults, *found.args.kw_defaults) if one]
    return all(map(_is_quiet, given)) and all(map(_is_quiet_decorator, found.decorator_list))


def _is_quiet_class(found: ast.ClassDef) -> bool:
    """Whether making it changes nothing else. No class of the product has a hook for that, which a test says."""
    parts: list[ast.AST] = [*found.bases, *(one.value for one in found.keywords)]
    for one in found.body:
        if isinstance(one, Function):
            if not _is_quiet_function(one):
                return False
        elif isinstance(one, ast.ClassDef):
            if not _is_quiet_class(one):
                return False
        elif not isinstance(one, ast.Pass):
            parts.append(one)
    return all(map(_is_quiet, parts)) and all(map(_is_quiet_decorator, found.decorator_list))


def said(node: ast.AST, bound: Mapping[str, str]) -> list[str]:
    """Names that it says, in texts and for what it imports, too; not in a docstring. bound: what names of imports stand
    for."""
    found, left = set[str](), [node]
    while left:
        one = left.pop()
        match one:
            case ast.Expr(value=ast.Constant()) | ast.Name(ctx=ast.Store()):
                continue
            case ast.Global(names=names):
                found.update(names)
            case ast.Name(id=name):
                found.update((name, *words(bound.get(name, ""))))
            case ast.Attribute(attr=name) | ast.keyword(arg=str(name)):
                found.add(name)
            case ast.Constant(value=str(text)):
                found.update(words(text))
            case ast.alias(name=name):
                found.update(words(name))
        left += ast.iter_child_nodes(one)
    return sorted(found)


def words(text: str) -> list[str]:
    """Whatever in it can be a name."""
    return _WORD.findall(text)
