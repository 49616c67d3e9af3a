"""Finds the faults that can be planted in a text: small, plausible mistakes of five kinds, by patterns alone."""
import re
from collections import defaultdict
from dataclasses import dataclass

from alarm_lib import text as source

KINDS = ("sign", "factor", "dropped term", "transposed operand", "off by one")

# What is about places rather than values: a wrong place reads what happens to be there, so such faults are planted where there is no other.
PLACE_LINE = re.compile(r"(const |unsigned )?(ulong2?|uint|int|size_t|u?int\d+_t|bool|__global|if)\b")
PLACE_CALL = re.compile(r"\b(v?load|v?store|put|VLOAD|VSTORE|min|row_sum|memcpy|memset)\w*\([^()]*$")
# Where an item's share ends: a difference of unsigned numbers is beyond everything for the first item and before their own start for all others,
# so that the first does all of it: the same result, later. The sum's second part is dropped instead.
SHARE_END = re.compile(r"ulong first = .*\bend = min\(first $|\bend_row = min\(\(place\.x $")
# How much of the work a thread takes at least, and how much memory it may use: no result is made of them.
ROOM = re.compile(r"\bcpu_parallel\(\w+, [^,]+, [^,]*$|\bcpu_scratch\(")
# What is asked of memory beforehand: no result is made of it, wherever it lies.
PREFETCH = re.compile(r"prefetch")
# Three times nothing is nothing, three times infinity is infinity, and three times true is true.
SAME_TIMES_THREE = re.compile(r"R\(0\.0\)|0(?:\.0f?)?|-?INFINITY|(?:[^?]*(?:&&|\|\||[<>=!]=)[^?]*)")
PLACE_NAME = re.compile(r"^[-+ *]*\w*(_at|stride\w*|batch|lda?b?c?)\b")


@dataclass(frozen=True)
class Fault:
    file: str
    function: str
    kind: str
    begin: int
    end: int
    new: str       # in the place of text[begin:end]
    line: int
    old_line: str  # the line before and after, without what is around it: what people read and what equivalents match
    new_line: str
    minor: bool    # in arithmetic of places rather than of values

    def key(self):
        return f"{self.file}:{self.function}:{self.kind}:{self.begin}:{self.new}"

    def __str__(self):
        return f"{self.file}:{self.line}: {self.kind} in {self.function}: {self.old_line}  =>  {self.new_line}"


class Finder:
    """The faults of one function of a file. `add` takes what stands in the text and what is to stand there."""

    def __init__(self, file, text, code, function):
        self.file, self.text, self.code, self.function = file, text, code, function
        self.body = code[function.begin:function.end]
        self.faults = []
        self.headers = self.loop_headers()

    def loop_headers(self):
        return [(match.end(), source.closing(self.code, match.end() - 1))
                for match in re.finditer(r"\b(?:for|while) \(", self.code[:self.function.end])
                if match.start() >= self.function.begin]

    def add(self, kind, begin, end, new):
        line_begin = self.text.rfind("\n", 0, begin) + 1
        line_end = self.text.find("\n", end)
        line_end = len(self.text) if line_end < 0 else line_end
        if ROOM.search(self.text[line_begin:begin]) or re.fullmatch(r"cpu_\w+_bytes", self.function.name) or \
                PREFETCH.search(self.function.name + self.text[line_begin:line_end]):
            return
        tidy = lambda line: re.sub(r"\s+", " ", line.replace("\\\n", " ").rstrip("\\ ")).strip()
        old_line = tidy(self.text[line_begin:line_end])
        new_line = tidy(self.text[line_begin:begin] + new + self.text[end:line_end])
        minor = bool(PLACE_LINE.match(old_line)) or bool(PLACE_CALL.search(self.text[line_begin:begin])) or \
            bool(PLACE_NAME.search(self.code[end - 1:end + 24]))
        self.faults.append(Fault(self.file, self.function.name, kind, begin, end, new,
                                 self.text.count("\n", 0, begin) + 1, old_line, new_line, minor))

    def matches(self, pattern):
        """Matches outside loop headers and indices."""
        for match in re.finditer(pattern, self.body):
            at = match.start() + self.function.begin
            in_header = any(begin <= at < end for begin, end in self.headers)
            opened = self.code[self.code.rfind("\n", 0, at) + 1:at]
            if not in_header and opened.count("[") <= opened.count("]"):
                yield at, match.end() + self.function.begin, match

    def term_end(self, at):
        """Where the term that begins at `at` ends: at an operator of the same or a lower rank."""
        depth = 0
        for i in range(at, self.function.end):
            depth += (self.code[i] in "([{") - (self.code[i] in ")]}")
            ends = self.code[i] in ",;?:" or re.match(r" (?:[-+<>]|[<>=!]=|&&?|\|\|?|<<|>>) |\\\n", self.code[i:i + 4])
            if depth < 0 or (depth == 0 and i > at and ends):
                return i
        return self.function.end

    def signs(self):
        for at, end, match in self.matches(r"(?<=[\w)\]]) ([-+])(?=\s+[\w(*&-])"):
            if SHARE_END.search(self.code[self.code.rfind("\n", 0, at) + 1:at + 1]):
                continue
            self.add("sign", at + 1, end, "-" if match.group(1) == "+" else "+")
        for at, end, match in self.matches(r" ([-+])="):
            self.add("sign", at, end, " -=" if match.group(1) == "+" else " +=")
        for at, end, _ in self.matches(r"(?<=[(?:,=] )-(?=[A-Za-z(])|(?<=\()-(?=[\w(])|(?<=return )-(?=[\w(])"):
            if self.code[at + 1:at + 3] != "1L":
                self.add("sign", at, end, "")
        for at, end, match in self.matches(r"scale = (1\.0)(?=[,;}])"):
            self.add("sign", end - 3, end, "-1.0")

    def factors(self):
        for at, end, _ in self.matches(r"(?<=[\w)\]]) \* (?=[\w(])"):
            if not re.search(r"\b(float|real|double|void|char|long|int|const|struct|cg_\w+|\w+_t) \* $", self.code[:end][-30:]):
                self.add("factor", at, end, " * 3 * ")
        for at, end, _ in self.matches(r"(?<=[\w)\]]) (\+=|-=) |(?<=\]) = (?!\{)"):
            stop = self.code.find(";", end)
            if self.code[stop - 1] != "}" and not SAME_TIMES_THREE.fullmatch(self.text[end:stop]):
                self.add("factor", end, stop, f"3 * ({self.text[end:stop]})")
        for at, end, _ in self.matches(r"scale = 1\.0(?=[,;}])"):
            self.add("factor", end - 3, end, "3.0")

    def dropped_terms(self):
        for at, end, _ in self.matches(r"(?<=[\w)\]]) [-+](?=\s+[\w(*&-])"):
            self.add("dropped term", at, self.term_end(end + 1), "")
        for at, end, _ in self.matches(r"[\w.\[\]>*(-]+ [-+]= [^;{}]*;"):
            self.add("dropped term", at, end, ";")
        for at, end, _ in self.matches(r"(?<=    )(?:cg_grad_\w+|cg_ops_sum\w*|emit\w*|\w+_backward\w*|put\w*)\((?=[^;{}]*\);)"):
            if self.code[:at].rstrip().endswith((";", "{", "}", ":", "\\")):
                self.add("dropped term", at, self.code.find(";", end), "(void)0")

    def transposed_operands(self):
        for at, end, match in self.matches(r"\bflipped\((?=\w+\))"):
            self.add("transposed operand", at, end, "(")
        for at, end, match in self.matches(r"(?<=[ (])(!?)((?:\w+(?:->|\.))+transpose\w*)(?= \?|\)|;|,)"):
            self.add("transposed operand", at, end, match.group(2) if match.group(1) else "!" + match.group(2))
        for at, end, _ in self.matches(r"\binputs\[\] = \{"):
            parts = source.arguments(self.code, end, source.closing(self.code, end - 1))
            for (a, b), (c, d) in zip(parts, parts[1:]):
                first, second = self.text[a:b].strip(), self.text[c:d].strip()
                self.add("transposed operand", a, d, f"{second}, {first}")
        for match in re.finditer(r"\b([a-z]\w*) \* (\w+) \+ ([a-z]\w*)\b(?!\()", self.body):
            row, length, column = match.groups()
            at, end = match.start() + self.function.begin, match.end() + self.function.begin
            if row != column and "." not in self.code[end:end + 1] and self.code[at - 1] in "[( +" and "->" not in self.code[end:end + 2]:
                self.add("transposed operand", at, end, f"{column} * {length} + {row}")
        for at, end, match in self.matches(r"(?<![\w.>\])])([A-Za-z]\w*) ([-/]) ([A-Za-z]\w*)\b(?![\w.(\[]|->)"):
            self.add("transposed operand", at, end, f"{match.group(3)} {match.group(2)} {match.group(1)}")

    def off_by_one(self):
        for begin, end in self.headers:
            parts = self.code[begin:end].split(";")
            if len(parts) != 3:
                continue
            step = re.match(r"\s*(?:(\w+)(?:\+\+|--)|(\w+) [-+]= ([^,]+))", parts[2])
            size = "1" if not step or step.group(1) else step.group(3).strip()
            bound = re.match(r"(\s*\w+) (<|>=|>) ", parts[1])
            if bound and not (bound.group(2) == "<" and not step):
                at = begin + len(parts[0]) + 1
                new = {"<": f"{bound.group(1)} + {size} < ", ">=": f"{bound.group(1)} > ", ">": f"{bound.group(1)} > 1 + "}[bound.group(2)]
                self.add("off by one", at, at + bound.end(), new)
            first = re.match(r"(?:[\w ]* )?\w+ = ", parts[0])
            if first and step:
                at = begin + first.end()
                stop = source.arguments(self.code, at, begin + len(parts[0]))[0][1]
                self.add("off by one", at, stop, f"{self.text[at:stop]} + {size}")

    def whole_value(self):
        """A row of elementwise.def is one value."""
        begin = self.function.begin + len(self.body) - len(self.body.lstrip())
        end = self.function.begin + len(self.body.rstrip())
        if self.text[begin:end].endswith("* R(0.0)"):  # what flows back through a comparison: nothing, of either sign
            return
        self.add("sign", begin, end, f"-({self.text[begin:end]})")
        self.add("factor", begin, end, f"R(3.0) * ({self.text[begin:end]})")

    def all(self, is_row):
        if is_row:
            self.whole_value()
        self.signs()
        self.factors()
        self.dropped_terms()
        self.transposed_operands()
        self.off_by_one()
        return [fault for fault in self.faults if fault.new_line != fault.old_line]


def concerned(file, code):
    """The functions of a file that the alarm is about."""
    if file.endswith(".def"):
        return source.rows(code) + source.updates(code)
    everything = source.functions(code)
    if file.startswith("src/ops/"):
        rules = [f for f in everything if "backward" in f.name or f.name.startswith("cg_ops_sum")]
        return source.with_callees(code, rules, [f for f in everything if not f.name.startswith("cg_")])
    if file.startswith("cl/"):
        return everything
    loops = [f for f in everything if re.search(r"\b(for|while) \(", code[f.begin:f.end])]
    return source.with_callees(code, loops, everything)


def in_file(file, text):
    """Every fault of a file, in its order."""
    code = source.masked(text)
    found = []
    for function in concerned(file, code):
        found += Finder(file, text, code, function).all(file.endswith("elementwise.def"))
    unique = {fault.key(): fault for fault in found}
    return sorted(unique.values(), key=lambda fault: (fault.begin, KINDS.index(fault.kind), fault.new))


def spread(faults, count):
    """`count` of them, values before places, from the first to the last."""
    ordered = sorted(faults, key=lambda fault: fault.minor)
    values = [fault for fault in ordered if not fault.minor]
    pool = values if len(values) >= count else ordered[:max(count, len(values))]
    if len(pool) <= count:
        return pool
    return [pool[i * (len(pool) - 1) // max(count - 1, 1)] for i in range(count)]


def selected(faults, count):
    """At most `count` of each kind in each function; 0: all."""
    groups = defaultdict(list)
    for fault in faults:
        groups[fault.file, fault.function, fault.kind].append(fault)
    chosen = {fault.key() for group in groups.values() for fault in (spread(group, count) if count else group)}
    return [fault for fault in faults if fault.key() in chosen]
