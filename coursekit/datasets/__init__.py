"""Rendered worlds: data whose truth is known, drawn on demand, without a download.

The map (nothing is imported here; import the module you need)::

    sequences    tasks on symbols: parity, recall, adding, reversal, counting, arithmetic, XML
    signals      tasks on frames: chords, formants, pen strokes (also reachable through sequences)
    text         Vocabulary: strings to padded batches of ids, and back
    reviews      short reviews in which word order decides the sentiment
    translation  an English-Dutch toy grammar whose words reorder
    birds        pictures of birds with known attributes, and captions that can be parsed
    arguments    the checks that all of them share

Every draw takes its own ``generator`` (see ``coursekit.runtime.generator``): equal seeds give equal data,
and torch's global generator is never touched.
"""
