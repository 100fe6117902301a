"""coursekit: recurrent networks, input optimisation, GANs and text-to-image, with exercises that check themselves.

The map (imports run downwards only; nothing heavy is imported here)::

    errors  course  runtime          what went wrong; where things are; device, seeds, threads
    datasets                         rendered worlds whose truth is known
    models  training                 networks that later units build on; straight loops that yield records
    plots  widgets                   figures with alt text; sliders with a static fallback
    checks                           evidence, comparison, verdict, score: knows no exercise
    exercises                        what is asked (asked/) and what is known about it (known/)
    grading                          sandbox, workers, judge, gradebook, report
    cli                              the `coursekit` command

In a notebook: ``from coursekit.exercises import check, hint, progress``.
"""

__version__ = "0.1.0"
