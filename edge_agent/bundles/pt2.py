"""Pure. A `.pt2` is code: what may be in one that is loaded. Only what our builder writes passes.

Measured on torch 2.13: loading one runs pickles (sample inputs, weights marked so, custom objects),
evaluates the text of every symbolic expression, and a program's graph is turned into Python source
with the names that stand in the file. This refuses all of that before torch sees a byte. It is a
second lock: the first is that only publishers with the right `code` may publish one.
"""

import ast
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from protocol.errors import UntrustedError

Json = Any  # what json.loads returns

MODEL = "models/model.json"
WEIGHTS = "data/weights/model_weights_config.json"
CONSTANTS = "data/constants/model_constants_config.json"
SAMPLES = "data/sample_inputs/model.pt"
FORMAT = "archive_format"
_NEEDED = {MODEL, WEIGHTS, CONSTANTS, FORMAT}

_ENTRY = re.compile(
    r"data/weights/weight_\d{1,6}|data/constants/tensor_\d{1,6}|archive_version|byteorder"
    r"|\.data/(version|serialization_id)"
    + "".join("|" + re.escape(name) for name in (*sorted(_NEEDED), SAMPLES))
)
_PAYLOAD = re.compile(r"(weight|tensor)_\d{1,6}")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
_OPERATOR = re.compile(
    r"torch\.ops\.(aten|prims|quantized_decomposed)\.(?!from_file|save)[a-z0-9_]+\.[A-Za-z0-9_]+"
    r"|torch\.sym_(int|float|max|min|not|sum|ite)"
    r"|_operator\.(getitem|add|sub|mul|floordiv|truediv|mod|neg|pow|eq|ne|lt|le|gt|ge|and_|or_)"
    r"|math\.(ceil|floor|trunc)"
)
_FUNCTIONS = {
    "Symbol", "Integer", "Float", "Rational", "Mod", "Max", "Min", "Abs", "FloorDiv", "CleanDiv",
    "CeilDiv", "PythonMod", "ModularIndexing", "Where", "Eq", "Ne", "Lt", "Le", "Gt", "Ge",
    "And", "Or", "Not", "TruncToInt", "CeilToInt", "FloorToInt", "RoundToInt", "ToFloat",
    "IntTrueDiv", "FloatTrueDiv", "PowByNatural", "FloatPow",
}  # fmt: skip
_NODES = (
    ast.Expression, ast.Constant, ast.Name, ast.Load, ast.Call, ast.keyword,
    ast.BinOp, ast.UnaryOp, ast.Compare, ast.operator, ast.unaryop, ast.cmpop,
)  # fmt: skip
_CONTAINERS = {None, "builtins.tuple", "builtins.list", "builtins.dict"}
_REFUSED = {"as_custom_obj", "as_operator"}
_HARMLESS = {"stack_trace"}
_MAX_EXPRESSION = 2000
MAX_JSON_BYTES = 64 << 20


def screen(data: bytes) -> None:
    """Raise `UntrustedError` for a `.pt2` that could do more than compute."""
    files = _entries(data)
    for config in (WEIGHTS, CONSTANTS):
        _screen_payloads(files[config])
    model = files[MODEL]
    # 10. It brings no guards: their text is run.
    if model.get("guards_code"):
        raise UntrustedError("a .pt2 with guards, which are code")
    for each in files.values():
        for key, value in _walk(each):
            _screen_value(key, value)


def _entries(data: bytes) -> dict[str, Json]:
    """The JSON files of the archive, whose other entries are all permitted."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = _permitted(data, archive)
            # 6. It says that it is one: no older form, which is all pickle.
            if _NEEDED - infos.keys() or archive.read(infos[FORMAT]) != b"pt2":
                raise UntrustedError("a .pt2 of another form")
            texts = {name: archive.read(infos[name]) for name in (MODEL, WEIGHTS, CONSTANTS)}
        return {name: json.loads(text) for name, text in texts.items()}
    except (zipfile.BadZipFile, ValueError, KeyError, EOFError, RecursionError) as error:
        raise UntrustedError("a .pt2 that is no torch archive") from error


def _permitted(data: bytes, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    # 1. It is one zip and nothing before, behind or beside it.
    if not data.startswith(b"PK\x03\x04") or archive.comment or data[-22:-18] != b"PK\x05\x06":
        raise UntrustedError("a .pt2 with something around its archive")
    infos: dict[str, zipfile.ZipInfo] = {}
    roots = set()
    for info in archive.infolist():
        root, _, name = info.filename.partition("/")
        roots.add(root)
        # 2. Each entry is one that a program needs: no compiled code, no extra files.
        if not _ENTRY.fullmatch(name):
            raise UntrustedError(f"a .pt2 with an entry {name[:100]!r}")
        # 3. It stands there once, below the one root.
        if name in infos or len(roots) > 1:
            raise UntrustedError(f"a .pt2 with {name[:100]!r} twice")
        # 4. It is as large as it looks.
        if info.compress_type != zipfile.ZIP_STORED or _too_large(info, name):
            raise UntrustedError(f"a .pt2 with {name[:100]!r} compressed or too large")
        infos[name] = info
    # 5. Sample inputs, which are a pickle, are empty.
    if SAMPLES in infos and infos[SAMPLES].file_size:
        raise UntrustedError(
            "a .pt2 with sample inputs, which are a pickle",
            "`tiermesh bundles build` writes them empty",
        )
    return infos


def _too_large(info: zipfile.ZipInfo, name: str) -> bool:
    return name.endswith(".json") and info.file_size > MAX_JSON_BYTES


def _screen_payloads(config: Json) -> None:
    payloads = config.get("config") if isinstance(config, dict) else None
    if not isinstance(payloads, dict):
        raise UntrustedError("a .pt2 whose weights are not listed")
    for payload in payloads.values():
        # 7. Nothing is marked as a pickle.
        if not isinstance(payload, dict) or payload.get("use_pickle") is not False:
            raise UntrustedError("a .pt2 with a pickle among its weights")
        # 8. Nothing is a custom object: weights and constants are plain numbers.
        if not _PAYLOAD.fullmatch(str(payload.get("path_name"))):
            raise UntrustedError("a .pt2 with a custom object")


def _screen_value(key: str, value: Json) -> None:
    if key in _REFUSED or (key == "custom_obj_values" and value):
        raise UntrustedError(f"a .pt2 with {key}")
    screening = _SCREENS.get(key)
    if screening is not None:
        screening(value)


def _screen_expression(value: Json) -> None:
    # 9. Every expression is arithmetic: its text is evaluated.
    if not (isinstance(value, str) and _arithmetic(value)):
        raise UntrustedError(f"a .pt2 with code in an expression: {str(value)[:60]!r}")


def _screen_target(value: Json) -> None:
    # 11. Every operator is one that computes.
    if not _OPERATOR.fullmatch(str(value)):
        raise UntrustedError(f"a .pt2 that calls {str(value)[:100]!r}")


def _screen_name(value: Json) -> None:
    # 12. Names are plain: they become source.
    if not _IDENTIFIER.fullmatch(str(value) or "_"):
        raise UntrustedError(f"a .pt2 with a name {str(value)[:60]!r}")


def _screen_metadata(value: Json) -> None:
    # 14. Nodes remember nothing that would be brought back to life.
    if not isinstance(value, dict) or value.keys() - _HARMLESS:
        raise UntrustedError("a .pt2 whose nodes carry metadata")


def _screen_spec(value: Json) -> None:
    if value in ("", None):
        return
    try:
        spec = json.loads(value)
    except (ValueError, TypeError, RecursionError) as error:
        raise UntrustedError("a .pt2 with a malformed tree") from error
    for key, kind in _walk(spec):
        # 13. Inputs and outputs are held by tuples, lists and dictionaries.
        if key == "type" and kind not in _CONTAINERS:
            raise UntrustedError(f"a .pt2 with a tree of {str(kind)[:60]!r}")


_SCREENS: Mapping[str, Callable[[Json], None]] = {
    "expr_str": _screen_expression,
    "target": _screen_target,
    "name": _screen_name,
    "in_spec": _screen_spec,
    "out_spec": _screen_spec,
    "metadata": _screen_metadata,
}


def _arithmetic(text: str) -> bool:
    """Whether an expression is numbers, symbols and permitted functions of them."""
    if len(text) > _MAX_EXPRESSION:
        return False
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return all(_computes(node) for node in ast.walk(tree))


def _computes(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Name(id=name)):
            return name in _FUNCTIONS
        case ast.Call():
            return False
        case ast.Name(id=name):
            return not name.startswith("_")
        case ast.Constant(value=str(word)):
            return _IDENTIFIER.fullmatch(word) is not None and not word.startswith("_")
        case ast.Constant(value=value):
            return value is None or isinstance(value, int | float)
        case _:
            return isinstance(node, _NODES)


def _walk(value: Json) -> Iterator[tuple[str, Json]]:
    """Every key and value of every dictionary within."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Mapping):
            yield from each.items()
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)
