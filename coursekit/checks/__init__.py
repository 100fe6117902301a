"""The engine: what an exercise is, how evidence is gathered, compared and judged, how a score is shown.

It knows no exercise. Data flows one way::

    declare   Question (asked) and Key (known): the declarative objects
    draws     seeded inputs                        ─┐
    evidence  plain data out of a student's object ─┤
    codec     evidence as bytes and back           ─┤
    compare   expected against got                 ─┼─> judge: Verdict ─> score: a float with a display
"""
