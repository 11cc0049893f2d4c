"""How deep a syntax tree is, found without recursion: its nodes level by level.

In: a tree. Out: a node that lies too deep for what recurses later.
"""

from __future__ import annotations

from derive.language.tree import Argument, Node, children


def too_deep(root: Node, limit: int) -> Node | None:
    """A node that lies more than ``limit`` levels below ``root``; found without recursion.

    An argument lies on the level of its call, so that ``f(f(x))`` is as deep as it looks.
    """
    level: list[Node] = [root]
    for _ in range(limit + 1):
        below = [child for node in level for child in children(node)]
        level = [c.value if isinstance(c, Argument) else c for c in below]
    return level[0] if level else None
