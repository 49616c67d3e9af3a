"""A page of docs that a program writes a part of: what stands from one mark to another, the marks included."""
import pathlib
import sys


def read(path, marks):
    page = path.read_text()
    if any(page.count(mark) != 1 for mark in marks):
        sys.exit(f"{pathlib.Path(sys.argv[0]).name}: {path} has not both marks once: {marks[0]} and {marks[1]}")
    return page


def write(path, marks, lines):
    page = read(path, marks)
    head, tail = page.split(marks[0])[0], page.split(marks[1])[1]
    path.write_text(head + "\n".join(lines) + tail)
