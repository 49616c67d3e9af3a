"""Every row of elementwise.def has a value and a derivative: they are proved to belong together, by symbols and not by numbers.

The rows are C. They are parsed here, and where a row chooses (x <= 0 ? ... : ...) it is cut into regions: in a region every comparison
has one answer, so value and derivative are smooth expressions there, and sympy shows that d value / dx * dy - derivative is 0. Regions
are found by exact rational points; each branch of each row must be met by one. Between regions, where two sides are equal, there may be
a kink: what a row takes there must lie between the derivatives of the two sides. Skipped (77) without sympy.
"""
import cmath
import fractions
import itertools
import pathlib
import re
import sys
import unittest

try:
    import mpmath
    import sympy
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

ROWS = pathlib.Path(__file__).resolve().parent.parent / "include" / "clgrad" / "elementwise.def"
Q = fractions.Fraction
mpmath.mp.dps = 120  # log(1 - a) at a = 1 - 1e-60 decides a branch of BCE

# Numbers that the rows can only write rounded, and what is meant: each must be the nearest double to it.
ROUNDED = {"1.1283791670955126": 2 / sympy.sqrt(sympy.pi), "0.7071067811865476": 1 / sympy.sqrt(2),
           "0.3989422804014327": 1 / sympy.sqrt(2 * sympy.pi), "1.5957691216057308": sympy.sqrt(8 / sympy.pi),
           "0.07135481627260025": sympy.sqrt(8 / sympy.pi) * sympy.Rational(44715, 10**6),
           "0.21406444881780073": 3 * sympy.sqrt(8 / sympy.pi) * sympy.Rational(44715, 10**6)}

# Where a derivative is on purpose not its value's: (row, variable): (where, what it is instead, why).
CHOSEN = {
    ("BCE", "a"): (lambda p: p["a"] * (1 - p["a"]) < Q(1, 10**12), "dz * (a - b) / R(1e-12)",
                   "PyTorch bounds a (1 - a) from below, so that the gradient stays finite at 0 and 1"),
    ("BCE", "b"): (lambda p: min(p["a"], 1 - p["a"]) < Q(1, 10**43), "dz * (LOG1P(-a) - LOG(a))",
                   "PyTorch's gradient of the target takes the logarithms without their bound of -100"),
}

# Where a row is not used: its front end refuses.
REFUSED = {"SOFTPLUS": lambda p: p["p0"] == 0, "ELU": lambda p: p["p2"] == 0}

NUMBERS = [Q(n) for n in ("-4 -3 -2 -1 -1/2 0 1/2 1 2 3 4 7/2 -7/2".split())]
SETTINGS = [Q(n) for n in ("-2 -1/2 0 1/2 1 3".split())]
SHARES = [Q(1, 4), Q(1, 2), Q(3, 4), Q(1, 10**13), Q(1, 10**60), 1 - Q(1, 10**13), 1 - Q(1, 10**60)]
STEP = Q(1, 10**9)  # from an edge to its sides
TOKEN = re.compile(r"\s*(\d+(?:\.\d+)?(?:e-?\d+)?|[A-Za-z]\w*|<=|>=|==|!=|\|\||&&|[-+*/<>?:(),])")
LEVELS = [("||",), ("&&",), ("==", "!="), ("<=", ">=", "<", ">"), ("+", "-"), ("*", "/")]


ZERO = ("number", "0.0")  # as the rows write it


class Parser:
    """One expression of C as nested tuples: (operator, operands...)."""

    def __init__(self, text):
        self.tokens = TOKEN.findall(text)
        assert "".join(self.tokens) == re.sub(r"\s", "", text), f"not understood: {text}"
        self.at = 0
        self.branches = 0

    def peek(self):
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def take(self, wanted=None):
        token = self.peek()
        assert wanted in (None, token), f"{wanted} expected, not {token}"
        self.at += 1
        return token

    def choice(self):
        condition = self.level(0)
        if self.peek() != "?":
            return condition
        self.branches += 1
        number = self.branches
        self.take("?")
        one = self.choice()
        self.take(":")
        return ("?", condition, one, self.choice(), number)

    def level(self, depth):
        if depth == len(LEVELS):
            return self.atom()
        left = self.level(depth + 1)
        while self.peek() in LEVELS[depth]:
            left = (self.take(), left, self.level(depth + 1))
        return left

    def atom(self):
        token = self.take()
        if token == "-":
            return ("-", ZERO, self.atom())
        if token == "(":
            inside = self.choice()
            self.take(")")
            return inside
        if self.peek() != "(":
            return ("number" if token[0].isdigit() else "name", token)
        self.take("(")
        arguments = [self.choice()]
        while self.peek() == ",":
            self.take(",")
            arguments.append(self.choice())
        self.take(")")
        return arguments[0] if token == "R" else (token, *arguments)


def parse(text):
    parser = Parser(text)
    tree = parser.choice()
    assert parser.peek() is None, f"{text}: {parser.peek()} is left"
    return tree


def split(arguments):
    """The arguments of a macro's call, at commas that are not inside parentheses."""
    parts, depth = [""], 0
    for character in arguments:
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def read_rows(text):
    """[(name, value, {variable: derivative})], texts of C."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    rows = []
    for start in re.finditer(r"^CG_(UNARY|BINARY)\(", text, re.M):
        depth, end = 1, start.end()
        while depth > 0:
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        number, name, lower, value, *derivatives = split(text[start.end():end - 1])
        variables = ["x"] if start[1] == "UNARY" else ["a", "b"]
        assert len(derivatives) == len(variables), f"{name} has {len(derivatives)} derivatives"
        rows.append((name, value, dict(zip(variables, derivatives))))
    return rows


def number(value):
    """For arithmetic of exact fractions with what a function gave."""
    return mpmath.mpf(value.numerator) / value.denominator if isinstance(value, Q) else value


FUNCTIONS = {"ABS": abs, "LOG": mpmath.log, "LOG1P": lambda v: mpmath.log(1 + v), "EXP": mpmath.exp}
COMPARE = {"<": lambda d: d < 0, "<=": lambda d: d <= 0, ">": lambda d: d > 0, ">=": lambda d: d >= 0,
           "==": lambda d: d == 0, "!=": lambda d: d != 0}


def evaluate(tree, point, met):
    """What a side of a comparison is at a point: exact where no function is in it."""
    kind, *operands = tree
    if kind == "number":
        return Q(operands[0])
    if kind == "name":
        return point[operands[0]]
    if kind == "?":
        return evaluate(choose(tree, point, met), point, met)
    values = [evaluate(operand, point, met) for operand in operands]
    if kind in FUNCTIONS:
        return FUNCTIONS[kind](number(values[0])) if kind != "ABS" else abs(values[0])
    if not all(isinstance(value, Q) for value in values):
        values = [number(value) for value in values]
    one, other = values
    return {"+": one + other, "-": one - other, "*": one * other}[kind] if kind != "/" else one / other


def holds(tree, point, met):
    """Whether a condition holds; `met` gets every comparison with its sign."""
    kind, one, other = tree
    if kind in ("||", "&&"):
        answers = [holds(one, point, met), holds(other, point, met)]
        return any(answers) if kind == "||" else all(answers)
    if one == other:
        return False  # x != x asks for NaN, which no number is
    difference = evaluate(one, point, met) - evaluate(other, point, met)
    if isinstance(difference, mpmath.mpc):
        raise ValueError("no real number")
    met.append((str(one), str(other), (difference > 0) - (difference < 0)))
    return COMPARE[kind](difference)


def choose(tree, point, met):
    _, condition, one, other, branch = tree
    taken = holds(condition, point, met)
    met.append((branch, taken))
    return one if taken else other


def smooth(tree, point, met):
    """The tree without choices: what it is in the region of this point. |u| is a choice, too."""
    if tree[0] in ("number", "name"):
        return tree
    if tree[0] == "?":
        return smooth(choose(tree, point, met), point, met)
    if tree[0] == "ABS":
        inside = ("<", tree[1], ZERO)
        negative = holds(inside, point, met)
        inner = smooth(tree[1], point, met)
        return ("-", ZERO, inner) if negative else inner
    return (tree[0], *(smooth(operand, point, met) for operand in tree[1:]))


def edges(met):
    """The pairs of sides that are equal."""
    return {entry[:2] for entry in met if len(entry) == 3 and entry[2] == 0}


def text(point):
    return ", ".join(f"{name} = {value}" for name, value in point.items())


SYMBOLIC = {"EXP": sympy.exp, "EXPM1": lambda v: sympy.exp(v) - 1, "LOG": sympy.log, "LOG1P": lambda v: sympy.log(1 + v),
            "SQRT": sympy.sqrt, "SIN": sympy.sin, "COS": sympy.cos, "TANH": sympy.tanh, "ERF": sympy.erf,
            "POW": lambda a, b: a**b, "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b,
            "/": lambda a, b: a / b}


def literal(text):
    if text in ROUNDED:
        assert float(ROUNDED[text].evalf(40)) == float(text), f"{text} is not the double nearest to {ROUNDED[text]}"
        return ROUNDED[text]
    assert len(text.replace(".", "")) < 10, f"what is {text}? It looks rounded: say in ROUNDED what is meant"
    return sympy.Rational(str(Q(text)))


def expression(tree, symbols):
    kind, *operands = tree
    if kind == "number":
        return literal(operands[0])
    if kind == "name":
        return symbols[operands[0]]
    return SYMBOLIC[kind](*(expression(operand, symbols) for operand in operands))


def is_zero(difference, at):
    """Proved 0; False with certainty where it is not 0 at the point, which is quick."""
    if difference == 0:
        return True
    if abs(sympy.N(difference.subs(at), 30)) > 1e-20:
        return False
    return any(step(difference) == 0 for step in (sympy.expand, lambda d: sympy.cancel(sympy.together(d)), sympy.simplify))


def branches_of(tree):
    """(number, taken) of every choice in a tree, but not what only NaN takes."""
    found = set() if tree[0] != "?" else {(tree[4], False)} | ({(tree[4], True)} if tree[1][1] != tree[1][2] else set())
    return found.union(*(branches_of(part) for part in tree if isinstance(part, tuple)))


class Row:
    """One derivative of one row."""

    def __init__(self, name, value, variable, derivative):
        self.name, self.variable = name, variable
        self.value, self.derivative = parse(value), parse(derivative)
        self.names = [n for n in ("x", "a", "b", "p0", "p1", "p2") if re.search(rf"\b{n}\b", f"{value} {derivative}")]
        sides = {"value": self.value, "derivative": self.derivative}
        self.branches = {(side, *branch) for side, tree in sides.items() for branch in branches_of(tree)}
        self.chosen = CHOSEN.get((name, variable))
        self.regions = self.edges = self.chosen_met = 0

    def points(self):
        numbers = SHARES if self.name == "BCE" else NUMBERS
        spaces = [SETTINGS if name.startswith("p") else numbers for name in self.names]
        if self.name == "BCE":
            spaces[self.names.index("b")] = SHARES[:3]
        refused = REFUSED.get(self.name, lambda p: False)
        points = (dict(zip(self.names, values)) for values in itertools.product(*spaces))
        return (point for point in points if not refused(point))

    def resolve(self, point):
        """(value, derivative) without choices at a point, and what was met on the way."""
        met_value, met_derivative = [], []
        value = smooth(self.value, point, met_value)
        derivative = smooth(self.derivative, point, met_derivative)
        for side, met in (("value", met_value), ("derivative", met_derivative)):
            self.branches -= {(side, *entry) for entry in met if len(entry) == 2}
        return value, derivative, tuple(met_value + met_derivative)

    def symbols(self, point):
        """x, a and b with the sign that they have in the region; parameters are not 0."""
        signs = {name: {"positive": True} if v > 0 else {"negative": True} if v < 0 else {"real": True}
                 for name, v in point.items()}
        made = {n: sympy.Symbol(n, real=True, nonzero=True) if n[0] == "p" else sympy.Symbol(n, **signs[n]) for n in point}
        return {**made, "dy": sympy.Symbol("dy", real=True), "dz": sympy.Symbol("dz", real=True)}

    def fixed(self, point, symbols, names):
        return {symbols[name]: sympy.Rational(str(point[name])) for name in names}

    def derivative_of(self, derivative, value, symbols):
        return expression(derivative, {**symbols, "y": expression(value, symbols)})

    def prove(self):
        seen, wrong = set(), []
        for point in self.points():
            try:
                value, derivative, met = self.resolve(point)
            except (ZeroDivisionError, ValueError):
                continue  # outside of the domain
            signs = tuple((v > 0) - (v < 0) for name, v in point.items() if name[0] != "p")
            edge = len(edges(met))
            if edge > 1 or (edge == 0 and 0 in signs):
                continue  # a corner, where edges meet and anything may be written; inside a region other points stand for it
            if edge:
                met += self.around(point)
            known = (met, signs, self.chosen is not None and self.chosen[0](point))
            if known in seen:
                continue
            seen.add(known)
            wrong += self.check_edge(point) if edge else self.check_region(point, value, derivative)
        return wrong

    def beside(self, point, step):
        return {**point, self.variable: point[self.variable] + step}

    def around(self, point):
        return self.resolve(self.beside(point, -STEP))[2] + self.resolve(self.beside(point, STEP))[2]

    def check_region(self, point, value, derivative):
        symbols = self.symbols(point)
        says = self.derivative_of(derivative, value, symbols)
        flow = symbols["dy" if self.variable == "x" else "dz"]
        truth = sympy.diff(expression(value, symbols), symbols[self.variable]) * flow
        if self.chosen is not None and self.chosen[0](point):
            self.chosen_met += 1
            truth = expression(parse(self.chosen[1]), symbols)
        self.regions += 1
        at = {**self.fixed(point, symbols, point), flow: 1}
        if is_zero(says - truth, at):
            return []
        return [f"{self.name}: the derivative by {self.variable} where {text(point)} is written {says}, and is {truth}"]

    def check_edge(self, point):
        """What is written on an edge must lie between the slopes of the value on both sides of it (or along it, where it runs along)."""
        symbols = self.symbols(point)
        at = {**self.fixed(point, symbols, point), symbols["dy"]: 1, symbols["dz"]: 1}
        value, derivative, _ = self.resolve(point)
        here = complex(self.derivative_of(derivative, value, symbols).subs(at))
        before, after = (complex(self.slope(self.beside(point, step), symbols).subs(at)) for step in (-STEP, STEP))
        if not all(cmath.isfinite(v) for v in (here, before, after)):
            return []
        self.edges += 1
        if abs(before - here) + abs(here - after) - abs(before - after) < 1e-12:  # on the way from one to the other
            return []
        return [f"{self.name}: the derivative by {self.variable} on the edge {text(point)} is written {here:g}, "
                f"between {before:g} and {after:g}"]

    def slope(self, point, symbols):
        return sympy.diff(expression(self.resolve(point)[0], symbols), symbols[self.variable])


def prove(text, only=None):
    """(what is wrong, the rows proved)."""
    rows = [Row(name, value, variable, derivative) for name, value, derivatives in read_rows(text)
            for variable, derivative in derivatives.items() if only in (None, name)]
    wrong = []
    for row in rows:
        wrong += row.prove()
        if row.branches:
            wrong.append(f"{row.name}: no point reaches the branches {sorted(row.branches)}")
        if row.chosen is not None and row.chosen_met == 0:
            wrong.append(f"{row.name}: no point is where its derivative was chosen: {row.chosen[2]}")
    return wrong, rows


def planted(text):
    """Every row in turn with one wrong derivative: its own, a thousandth larger."""
    for name, value, derivatives in read_rows(text):
        for variable, derivative in derivatives.items():
            if not derivative.startswith("dz * R(0.0)"):  # a thousandth of nothing is nothing
                yield name, variable, (name, value, variable, f"({derivative}) * R(1.001)")


class Derivatives(unittest.TestCase):
    def test_every_derivative_of_every_row_is_that_of_its_value(self):
        wrong, rows = prove(ROWS.read_text())
        self.assertEqual(wrong, [])
        self.assertEqual(len({row.name for row in rows}), ROWS.read_text().count("\nCG_UNARY(") + ROWS.read_text().count("\nCG_BINARY("))
        print(f"{len(rows)} derivatives of {len({row.name for row in rows})} rows are proved in {sum(row.regions for row in rows)} "
              f"regions and on {sum(row.edges for row in rows)} edges", flush=True)

    def test_a_derivative_a_thousandth_wrong_is_found_in_every_row(self):
        for name, variable, row in planted(ROWS.read_text()):
            with self.subTest(row=name, variable=variable):
                self.assertNotEqual(Row(*row).prove(), [])

    def expect(self, old, new, message):
        text = ROWS.read_text()
        self.assertEqual(text.count(old), 1, old)
        wrong, _ = prove(text.replace(old, new), message.split(":")[0])
        self.assertRegex("\n".join(wrong), message)

    def test_planted_mistakes_are_named(self):
        self.expect("R(0.0) : x, x <= R(0.0) ? R(0.0) : dy)", "R(0.0) : x, dy)",
                    "RELU: the derivative by x where x = -4 is written dy, and is 0")
        self.expect("dy * (R(1.0) - y * y))", "dy * (R(1.0) - y))", "TANH: the derivative by x where")
        self.expect("dz / b, -dz * (a / b / b))", "dz / b, dz * (a / b / b))", "DIV: the derivative by b where")
        self.expect("x > R(0.0) ? dy : (x < R(0.0) ? -dy : R(0.0)))", "x > R(0.0) ? dy : (x < R(0.0) ? -dy : R(2.0) * dy))",
                    r"ABS: the derivative by x on the edge x = 0 is written 2\+0j, between -1\+0j and 1")
        self.expect("dy * R(1.1283791670955126) *", "dy * R(1.128) *", "ERF: the derivative by x where")

    def test_a_rounded_number_must_be_one_that_is_known(self):
        text = ROWS.read_text().replace("1.1283791670955126", "1.1283791670955127")
        with self.assertRaisesRegex(AssertionError, "what is 1.1283791670955127"):
            prove(text, "ERF")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
