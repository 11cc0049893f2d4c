"""Includes: the text of other files in the place of `include "file.gc"`.

In: the tree of a model and the file it was read from. Out: the tree with the blocks, functions, rules, constants and
dims of the included files, so that the text and the digest of the model cover them. Only files in the model's folder
are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

from derive.errors import SourceError
from derive.language import tree
from derive.language.lexer import MAX_BYTES
from derive.language.parse import parse

MAX_DEPTH = 20
INCLUDED = tree.Block | tree.Function | tree.Rule | tree.Init | tree.ConstDecl | tree.Dims


def included(syntax: tree.Tree, file: Path) -> tree.Tree:
    """The model with what its includes hold; a file that is included twice is read once.

    Raises SourceError for what is no file in the model's folder, or holds what is not to be included.
    """
    if not any(isinstance(s, tree.Include) for s in syntax.statements):
        return syntax
    size = 0 if syntax.span is None else len(syntax.span.source.text)
    own = PurePosixPath(file.name)
    files = _Files(file.resolve().parent, size)
    return replace(syntax, statements=tuple(files.statements(syntax, [own], [file.resolve()])))


class _Files:
    """The files below one folder that were read so far."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder, self.size = folder, size
        self.seen: set[Path] = set()

    def statements(self, syntax: tree.Tree, names: list[PurePosixPath], files: list[Path]) -> Iterator[tree.Statement]:
        """The statements of the file that ``names`` and ``files`` end with; before it stand those that lead to it."""
        for node in syntax.statements:
            if isinstance(node, tree.Include):
                yield from self.include(node, names, files)
            elif len(files) > 1 and not isinstance(node, INCLUDED):
                held = "block, fn, rule, init, const, dims and include"
                raise SourceError(
                    f"`{_word(node)}` is not included: an included file holds {held}",
                    node.span,
                    hint=f"write this line in {names[0]}",
                )
            else:
                yield node

    def include(self, node: tree.Include, names: list[PurePosixPath], files: list[Path]) -> Iterator[tree.Statement]:
        """The statements of the file that is included here, unless it was read before."""
        name = names[-1].parent / self.checked(node)
        file = self.found(node, name)
        if file in files:
            way = " -> ".join(map(str, [*names[files.index(file) :], name]))
            raise SourceError(f"{name} includes itself: {way}", node.span, hint="take out one of these includes")
        if file in self.seen:
            return
        if len(files) > MAX_DEPTH:
            raise SourceError(f"files include files, more than {MAX_DEPTH} deep", node.span)
        self.seen.add(file)
        syntax = parse(self.text(node, file, name), str(name), part=True)
        yield from self.statements(syntax, [*names, name], [*files, file])

    @staticmethod
    def checked(node: tree.Include) -> PurePosixPath:
        """The path as it is written: relative, downwards, with slashes."""
        path = PurePosixPath(node.path)
        why = None
        if not node.path.strip() or not path.name:
            why = "names no file"
        elif "\\" in node.path or ":" in node.path or not node.path.isprintable():
            why = "is written with letters, digits and / only"
        elif path.is_absolute() or ".." in path.parts:
            why = "leaves the model's folder"
        if why is not None:
            hint = 'a path begins in the folder of this file: include "blocks/mlp.gc"'
            raise SourceError(f'"{node.path}" {why}', node.span, hint=hint)
        return path

    def found(self, node: tree.Include, name: PurePosixPath) -> Path:
        """The file itself, which must lie in the folder, wherever links lead."""
        try:
            file = (self.folder / name).resolve(strict=True)
        except (OSError, RuntimeError):
            hint = "a path begins in the folder of the file that includes"
            raise SourceError(f"there is no file {name} in the model's folder", node.span, hint=hint) from None
        if not file.is_relative_to(self.folder):
            raise SourceError(f"{name} is a link out of the model's folder", node.span, hint="copy the file into it")
        if not file.is_file():
            raise SourceError(f"{name} is not a file", node.span)
        return file

    def text(self, node: tree.Include, file: Path, name: PurePosixPath) -> str:
        """The text, as far as the limit for the whole model lets it be read."""
        try:
            with file.open("rb") as stream:
                found = stream.read(MAX_BYTES - self.size + 1)
            text = found.decode("utf-8")
        except OSError as error:
            raise SourceError(f"cannot read {name}: {error.strerror}", node.span) from None
        except UnicodeDecodeError:
            if len(found) <= MAX_BYTES - self.size:
                raise SourceError(f"{name} is not UTF-8 text", node.span) from None
            text = ""
        self.size += len(found)
        if self.size > MAX_BYTES:
            raise SourceError("the model and what it includes are longer than 1 MB", node.span)
        return text


def _word(node: tree.Statement) -> str:
    """What a statement begins with."""
    match node:
        case tree.Declaration(kind):
            return kind
        case tree.Assignment(name):
            return f"{name.name} = …"
        case tree.ModelName():
            return "model"
    return type(node).__name__.lower()
