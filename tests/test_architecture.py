"""The house rules that a program can hold."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "luthier"

# Low to high. A unit imports units of lower rows only, never a neighbour in its own row.
ROWS = (
    ("errors",),
    ("signal", "wording"),
    ("spec",),
    ("yaml_source",),
    ("data", "metrics", "model"),
    ("tasks",),
    ("adapters", "checkpoint", "placement"),
    ("inference", "interop", "planner", "training"),
    ("evaluation",),
    ("reports",),
    ("recipe",),
    ("resolve",),
    ("run",),
    ("cli",),
    ("__main__",),
)
ROW = {unit: row for row, units in enumerate(ROWS) for unit in units}
BANNED_NAMES = {"utils", "util", "common", "helpers", "helper", "misc", "core", "manager"}
BANNED_WORDS = {"hasattr", "pickle", "d_model", "n_embd", "hidden_size", "num_heads"}
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
MAX_ARGUMENTS = 8
KNOWS_A_RECIPE = {"recipe", "resolve", "run", "cli", "__init__"}
MAY_IMPORT_INSIDE = {"cli", "__init__"}  # so that `luthier --help` does not wait for torch
OPTIONAL = {
    "av", "gguf", "gguf.quants", "huggingface_hub", "huggingface_hub.errors", "mlflow",
    "nltk.stem.porter", "rouge_score", "sacrebleu", "tensorboard",
    "torch.utils.tensorboard", "transformers", "wandb",
}  # fmt: skip


def modules() -> dict[str, ast.Module]:
    """The syntax tree of each file, by dotted name below the package."""
    trees = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(file.relative_to(PACKAGE).with_suffix("").parts)
        trees[name.removesuffix(".__init__")] = ast.parse(file.read_text())
    return trees


MODULES = modules()


def unit_of(module: str) -> str:
    return module.split(".")[0]


def imports(tree: ast.AST) -> Iterator[str]:
    """The luthier modules that `tree` imports, at the top or inside, below the package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            if node.module == "luthier":
                yield from (alias.name for alias in node.names)
            elif node.module.startswith("luthier."):
                base = node.module.removeprefix("luthier.")
                yield from (
                    f"{base}.{alias.name}" if f"{base}.{alias.name}" in MODULES else base
                    for alias in node.names
                )
        elif isinstance(node, ast.Import):
            yield from (
                alias.name.removeprefix("luthier.")
                for alias in node.names
                if alias.name.startswith("luthier.")
            )


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def layering_faults(module: str, tree: ast.AST) -> list[str]:
    here = unit_of(module)
    if here == "__init__":
        return []  # it names its own parts lazily
    return [
        f"{module} imports {target}"
        for target in imports(tree)
        if unit_of(target) != here and ROW[unit_of(target)] >= ROW[here]
    ]


def lines_without_docstring(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    total = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        total -= (first.end_lineno or first.lineno) - first.lineno + 1
    return total


def test_every_unit_has_a_row() -> None:
    assert {unit_of(name) for name in MODULES} - {"__init__"} <= set(ROW)


def test_imports_run_one_way() -> None:
    faults = [fault for name, tree in MODULES.items() for fault in layering_faults(name, tree)]
    assert faults == []


def test_no_cycles_between_files() -> None:
    graph = {name: set(imports(tree)) & set(MODULES) for name, tree in MODULES.items()}
    graph["__init__"] = set()  # it names its own parts lazily
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " → ".join((*trail, name))
        if name not in done:
            for target in graph[name] - {name}:
                visit(target, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_sizes() -> None:
    for module, tree in MODULES.items():
        path = PACKAGE / (module.replace(".", "/") + ".py")
        path = path if path.exists() else PACKAGE / module.replace(".", "/") / "__init__.py"
        path = path if path.exists() else PACKAGE / "__init__.py"
        assert len(path.read_text().splitlines()) <= MAX_FILE_LINES, module
        for function in functions(tree):
            where = f"{module}.{function.name}"
            assert lines_without_docstring(function) <= MAX_FUNCTION_LINES, where
            arguments = function.args.posonlyargs + function.args.args + function.args.kwonlyargs
            named = [argument for argument in arguments if argument.arg not in ("self", "cls")]
            # Each option of a command is an argument of the function that it is made from.
            assert len(named) <= MAX_ARGUMENTS or unit_of(module) == "cli", where
            if not function.name.startswith("_"):
                assert function.args.kwarg is None, f"{where} takes any keyword"


def test_names() -> None:
    parts = {part for name in MODULES for part in name.split(".")}
    assert not parts & BANNED_NAMES


def test_words() -> None:
    for module, tree in MODULES.items():
        nodes = list(ast.walk(tree))
        names = {node.id for node in nodes if isinstance(node, ast.Name)}
        names |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
        names |= {node.arg for node in nodes if isinstance(node, ast.arg)}
        assert not names & BANNED_WORDS, module


def test_nothing_is_unpickled_and_nothing_is_swallowed() -> None:
    for module, tree in MODULES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in UNPICKLING, f"{module}: {called}"
                if called in {"np.load", "numpy.load"}:
                    given = {word.arg: ast.unparse(word.value) for word in node.keywords}
                    assert given.get("allow_pickle") == "False", f"{module}: {ast.unparse(node)}"
            if isinstance(node, ast.ExceptHandler):
                caught = ast.unparse(node.type) if node.type else "everything"
                assert caught not in {"Exception", "everything"}, f"{module}: except {caught}"


def test_inner_imports_are_for_the_command_line_and_extras() -> None:
    for module, tree in MODULES.items():
        if unit_of(module) in MAY_IMPORT_INSIDE:
            continue
        for node in (inner for function in functions(tree) for inner in ast.walk(function)):
            if isinstance(node, ast.Import):
                assert {alias.name for alias in node.names} <= OPTIONAL, module
            if isinstance(node, ast.ImportFrom):
                assert node.module in OPTIONAL, f"{module} imports {node.module} inside"


def test_who_knows_a_recipe() -> None:
    for module, tree in MODULES.items():
        known = {unit_of(target) for target in imports(tree)}
        assert "recipe" not in known or unit_of(module) in KNOWS_A_RECIPE, module


def test_public_things_have_docstrings() -> None:
    for module, tree in MODULES.items():
        assert not tree.body or ast.get_docstring(tree), f"{module} has no docstring"
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                assert ast.get_docstring(node), f"{module}.{node.name} has no docstring"


def test_class_depth() -> None:
    """A class is an interface or final: at most one of luthier's own above it.

    Specs three, since they inherit fields and no behaviour: `Spec`, `BlockSpec`, and what the
    sublayers of a Transformer have in common.
    """
    classes = [
        node
        for tree in MODULES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    ]
    own = {node.name: [ast.unparse(base) for base in node.bases] for node in classes}

    def depth(name: str) -> int:
        return 1 + max((depth(base) for base in own[name] if base in own), default=0)

    for name in own.keys() - ERROR_TREE:
        assert depth(name) <= (4 if "Spec" in name else 2), name


ERROR_TREE = {node.name for node in ast.walk(MODULES["errors"]) if isinstance(node, ast.ClassDef)}
UNPICKLING = {
    "torch.load", "torch.save", "joblib.load", "pickle.load", "pickle.loads", "marshal.loads",
    "eval", "exec",
}  # fmt: skip


def test_the_layering_test_can_fail() -> None:
    tree = ast.parse("def f():\n    from luthier.run.pipeline import train")
    assert layering_faults("training.loop", tree) == ["training.loop imports run.pipeline"]


def test_files_of_tests_have_names_of_their_own() -> None:
    """pytest takes two of the same name for one."""
    names = [file.name for file in Path(__file__).parent.rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
