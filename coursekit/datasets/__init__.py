"""Rendered worlds: data whose truth is known, drawn on demand, without a download.

The map (nothing is imported here; import the module you need)::

    worlds       every world by its name: worlds.world("birds").draw(64, generator=generator(0))
    world        what a world is: Sample, Card, World, PictureWorld
    cards        data cards as Markdown

    birds        birds with known attributes, and captions that can be parsed
    flowers      flowers, likewise
    sprites      films of one shape in motion, likewise
    scenes       two things and their relation, likewise, with boxes; scene_questions: questions about them, with answers
    digits       handwritten digits, rendered and real
    faces        faces: smile, glasses, age, hair, turn, light, skin
    rooms        rooms with windows at known boxes
    seasons      one landscape in summer and in winter
    facades      plans of house fronts and the fronts themselves
    things       the classes of the network that unit 02 dreams with
    toy2d        points in the plane whose density and modes are known

    real         MNIST, CIFAR-10, CUB and others, where their files are at hand: real.load("mnist")

    tasks        what unit 01 trains on, as worlds; the functions behind them take any length:
    sequences    tasks on symbols: parity, recall, adding, reversal, counting, arithmetic, XML
    signals      tasks on frames: chords, formants, pen strokes (also reachable through sequences)
    reviews      short reviews in which word order decides the sentiment
    translation  an English-Dutch toy grammar whose words reorder

    text         Vocabulary: strings to padded batches of ids, and back
    grammar      what the caption grammars share: writing, and reading back
    canvas       shapes as distances, painted over one another
    arguments    the checks that all of them share

Every draw takes its own ``generator`` (see ``coursekit.runtime.generator``): equal seeds give equal data,
and torch's global generator is never touched.
"""
