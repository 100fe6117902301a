"""coursekit: recurrent networks, input optimisation, GANs and text-to-image, with exercises that check themselves.

The map (imports run downwards only; nothing heavy is imported here)::

    errors  files  course  runtime   what went wrong; whole files; where things are; device, precision, seeds, threads
    shipped                          the weights in data/, checked against its manifest
    datasets                         rendered worlds whose truth is known, and real data sets behind the same interface
    oracles  metrics  losses         what a picture shows; measures of features; one function for each equation
    models  training                 networks that units build on; straight loops that yield records, checkpoints
    plots  widgets  live             figures with alt text; sliders with a static fallback; a panel that follows a training
    checks                           evidence, comparison, verdict, score: knows no exercise
    exercises                        what is asked (asked/) and what is known about it (known/)
    grading                          sandbox, workers, judge, gradebook, report
    cli                              the `coursekit` command

In a notebook: ``from coursekit.exercises import check, hint, progress``.
"""

__version__ = "0.1.0"
