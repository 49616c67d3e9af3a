"""C and OpenCL C as text: what is code, and where the functions are. It relies on the layout that clang-format gives."""
import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Function:
    """A function, a macro of several lines, or an expression of a row of elementwise.def: text[begin:end] is its body."""
    name: str
    begin: int
    end: int


COMMENT_OR_LITERAL = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
DIRECTIVE = re.compile(r"^[ \t]*#[ \t]*(?!define\b)\w+[^\n]*", re.M)
DEFINITION = re.compile(r"^(?!typedef|struct|#)[A-Za-z_][^;{}#=]*?\b(\w+)\([^;{}]*\)\s*\{", re.M)
MACRO = re.compile(r"^#define (\w+)(?:\([^)]*\))?[^\n]*\\\n(?:[^\n]*\\\n)*[^\n]*", re.M)
ROW = re.compile(r"^CG_(UNARY|BINARY)\(", re.M)
UPDATE = re.compile(r"^CG_UPDATE\(\w+, (\w+), \{", re.M)


def masked(text):
    """The same text with blanks for comments, literals and directives but #define, so that places stay what they were."""
    blank = lambda match: re.sub(r"[^\n]", " ", match.group())
    return DIRECTIVE.sub(blank, COMMENT_OR_LITERAL.sub(blank, text))


def closing(code, at):
    """The place of the bracket that closes the one at `at`."""
    depth = 0
    for i in range(at, len(code)):
        depth += (code[i] in "([{") - (code[i] in ")]}")
        if depth == 0:
            return i
    return len(code)


def arguments(code, begin, end):
    """The places [begin, end) of what stands between the commas of code[begin:end]."""
    parts, depth, start = [], 0, begin
    for i in range(begin, end):
        depth += (code[i] in "([{") - (code[i] in ")]}")
        if code[i] == "," and depth == 0:
            parts.append((start, i))
            start = i + 1
    return parts + [(start, end)]


def functions(code):
    """The functions and macros of masked text, in their order."""
    found = [Function(match.group(1), match.end(), closing(code, match.end() - 1)) for match in DEFINITION.finditer(code)]
    found += [Function(match.group(1), match.start() + len("#define "), match.end()) for match in MACRO.finditer(code)]
    return sorted(found, key=lambda function: function.begin)


def rows(code):
    """The formula and the derivatives of each row of elementwise.def: relu, relu_backward."""
    found = []
    for match in ROW.finditer(code):
        parts = arguments(code, match.end(), closing(code, match.end() - 1))
        name = code[slice(*parts[2])].strip()
        found += [Function(name + ("_backward" if i > 0 else ""), *part) for i, part in enumerate(parts[3:])]
    return found


def updates(code):
    """The statements of each row of updates.def."""
    return [Function(match.group(1), match.end(), closing(code, match.end() - 1)) for match in UPDATE.finditer(code)]


def with_callees(code, chosen, everything):
    """`chosen` and, again and again, the functions of the same file whose names their bodies mention."""
    todo, done = list(chosen), []
    while todo:
        function = todo.pop()
        if function not in done:
            done.append(function)
            words = set(re.findall(r"\w+", code[function.begin:function.end]))
            todo += [other for other in everything if other.name in words]
    return sorted(done, key=lambda function: function.begin)
