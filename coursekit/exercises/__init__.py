"""The exercises and what a notebook needs of them: ``from coursekit.exercises import check, hint, progress``.

One package for each unit. Inside it ``asked/`` holds the questions (text, inputs, probes) and ``known/`` the answer
keys (reference, mistakes, alternatives); modules of one name belong together, and a new object in such a pair is a new
exercise: notebook, grade, tests and documentation follow from it.
"""

from coursekit.exercises.check import check, hint
from coursekit.exercises.progress import progress

__all__ = ["check", "hint", "progress"]
