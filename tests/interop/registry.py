"""The list of interop cases and the mark that puts a function on it."""
import dataclasses
import typing


@dataclasses.dataclass
class Entry:
    name: str
    function: typing.Callable
    alone: bool  # measures load: nothing runs beside it
    fast: bool   # wants the optimised build


CASES = []


def case(function=None, *, alone=False, fast=False):
    """Marks a case; its name is the function's."""
    def mark(target):
        CASES.append(Entry(target.__name__, target, alone, fast))
        return target
    return mark(function) if function else mark
