"""Grading: a stranger's notebook in, evidence out of a sandbox, a verdict from a process that never ran its code.

::

    results     limits, jobs and what became of them (plain values)
    sandbox     what a submission may see and do
    frames      what crosses the border, and how it is checked
    worker      the warm process: it forks for each submission
    submission  the fork's life: close the sandbox, run the cells, probe the answers
    cells       a notebook's cells in IPython: outputs, time limit
    warm        the parent's hold on the warm process
    running     a submission between being handed out and its result
    scratch     the folder that it works in
    pool        hands out jobs, keeps the clock, collects what comes back
"""
