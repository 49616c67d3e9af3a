"""The hot loop in a kernel's machine code: the innermost cycle of its control flow with the most multiply-adds."""
import dataclasses


@dataclasses.dataclass
class Line:
    label: str | None
    op: str | None
    text: str
    goes_to: str | None = None  # a branch's label
    always: bool = False  # an unconditional branch
    fma: int = 0


def blocks_of(lines):
    starts = {0} | {i for i, l in enumerate(lines) if l.label} | {i + 1 for i, l in enumerate(lines) if l.goes_to}
    starts = sorted(s for s in starts if s < len(lines))
    blocks = [lines[a:b] for a, b in zip(starts, starts[1:] + [len(lines)])]
    at = {b[0].label: i for i, b in enumerate(blocks) if b and b[0].label}
    follow = []
    for i, block in enumerate(blocks):
        last = block[-1]
        next_ones = [] if last.always or i + 1 == len(blocks) else [i + 1]
        follow.append(next_ones + ([at[last.goes_to]] if last.goes_to in at else []))
    return blocks, follow


def components(nodes, follow):
    """Strongly connected ones with a cycle (Tarjan, without recursion)."""
    nodes, index, low, stack, on, result = set(nodes), {}, {}, [], set(), []
    for root in sorted(nodes):
        work = [(root, iter(()))] if root not in index else []
        if work:
            index[root] = low[root] = len(index)
            stack.append(root)
            on.add(root)
            work = [(root, iter(follow[root]))]
        while work:
            node, others = work[-1]
            other = next((o for o in others if o in nodes), None)
            if other is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    group = set()
                    while not group or node not in group:
                        member = stack.pop()
                        on.discard(member)
                        group.add(member)
                    if len(group) > 1 or node in follow[node]:
                        result.append(group)
            elif other not in index:
                index[other] = low[other] = len(index)
                stack.append(other)
                on.add(other)
                work.append((other, iter(follow[other])))
            elif other in on:
                low[node] = min(low[node], index[other])
    return result


def innermost(nodes, follow):
    for group in components(nodes, follow):
        inner = list(innermost(group - {min(group)}, follow))
        yield from inner or [group]


def hot_loop(lines):
    """Its instructions; empty when no loop has a multiply-add."""
    if not lines:
        return []
    blocks, follow = blocks_of(lines)
    loops = [[l for i in sorted(group) for l in blocks[i] if l.op] for group in innermost(range(len(blocks)), follow)]
    best = max(loops, key=lambda body: sum(l.fma for l in body), default=[])
    return best if any(l.fma for l in best) else []
