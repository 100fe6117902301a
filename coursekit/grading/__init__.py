"""Grading: a stranger's notebook in, evidence out of a sandbox, a verdict from a process that never ran its code.

::

    results   limits, jobs and what became of them (plain values)
    sandbox   what a submission may see and do
    worker    the warm process; one fork of it for each submission
    cells     a notebook's cells in IPython: outputs, time limit, answers
    frames    what crosses the border, and how it is checked
    pool      hands out jobs, keeps the clock, collects what comes back
"""
