"""Rust sources as a tree of items, as far as taking single items out of a file needs it.

An item that does not compile is blanked in place, so that byte offsets and line numbers of the
compiler's messages stay those of the original file.
"""

import re

_TOKEN = re.compile(
    rb"""//[^\n]*                              # comments
       | /\*.*?\*/
       | b?c?r(?P<hashes>\#*)".*?"(?P=hashes)  # raw strings
       | b?c?"(?:[^"\\]|\\.)*"                 # strings
       | b?'(?:[^'\\\n]|\\[^\n]+?)'            # characters, but no lifetimes
       | [{}()\[\];]""",
    re.VERBOSE | re.DOTALL,
)
# Items that end with `;`, even if they have braces before it.
_STATEMENT = re.compile(rb"(pub(\([^)]*\))?\s+)?(use|const|static|type|extern)\b(?!\s+fn\b)")
_ATTRIBUTES = re.compile(rb"(\s*(#!?\[[^\n]*\]|//[^\n]*))*\s*")
_MODULE = re.compile(rb"(pub(\([^)]*\))?\s+)?mod\s+(?:r#)?(\w+)\s*\{")
_FUNCTION = re.compile(rb"(?:pub\s+)?(?:async\s+)?fn\s+(\w+)")
_TEST = re.compile(rb"#\[(tokio::)?test\b")


class Item:
    """One item: bytes `start..end` of its file, and what is in it if it is a module."""

    def __init__(self, text, start, end, parent):
        self.start, self.end, self.parent = start, end, parent
        self.body = start + _ATTRIBUTES.match(text[start:end]).end()
        head = text[self.body : end]
        function = _FUNCTION.match(head)
        module = _MODULE.match(head)
        self.is_test = bool(function and _TEST.search(text[start : self.body]))
        self.is_use = bool(re.match(rb"(pub\s+)?use\b", head))
        self.is_macro_call = bool(re.match(rb"[\w:]+!", head))
        self.name = function and function[1].decode()
        self.children = []
        if module:
            self.name = module[3].decode()
            inside = self.body + module.end()
            self.children = items(text, inside, end - 1, self)

    def path(self):
        """The names of the enclosing modules and of the item, joined."""
        above = self.parent.path() if self.parent else ""
        return "::".join(part for part in (above, self.name or "") if part)

    def walk(self):
        """The item and everything in it."""
        yield self
        for child in self.children:
            yield from child.walk()


def items(text, start=0, end=None, parent=None):
    """The items between two offsets of a file."""
    end = len(text) if end is None else end
    found, depth, first, position = [], 0, start, start

    def close(at):
        nonlocal first
        if text[first:at].strip():
            lead = len(text[first:at]) - len(text[first:at].lstrip())
            found.append(Item(text, first + lead, at, parent))
        first = at

    while token := _TOKEN.search(text, position, end):
        position = token.end()
        symbol = token[0]
        if symbol in b"{([" and len(symbol) == 1:
            depth += 1
        elif symbol in b"})]" and len(symbol) == 1:
            depth -= 1
            head = text[first:position]
            head = head[_ATTRIBUTES.match(head).end() :]
            # An attribute is part of the item that follows it.
            if depth == 0 and symbol == b"}" and not _STATEMENT.match(head):
                close(position)
        elif symbol == b";" and depth == 0:
            close(position)
    return found


def item_at(found, offset):
    """The innermost item that has `offset`, or nothing."""
    for item in found:
        if item.start <= offset < item.end:
            return item_at(item.children, offset) or item
    return None


def tests_in(item):
    """The tests in an item."""
    return [inner for inner in item.walk() if inner.is_test]


def blanked(text, start, end):
    """`text` with spaces between two offsets; line ends stay."""
    return text[:start] + re.sub(rb"[^\n]", b" ", text[start:end]) + text[end:]
