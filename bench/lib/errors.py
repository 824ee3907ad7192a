"""The one exception of the benchmarks' own."""


class Void(Exception):
    """What was measured says nothing: a side lacks a feature, an answer was wrong, a process came or went. Exit status 2."""
