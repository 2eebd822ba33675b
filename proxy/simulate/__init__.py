"""The recorded traffic through another configuration, on a clock of its own.

    record.py   the ledger's rows as requests
    history.py  what a target did on record, drawn from by seed
    inject.py   outages, slowness and prices that are supposed
    course.py   the draft's routes, made ready
    world.py    health, measures and places, as the engine keeps them
    limits.py   the draft's limits and queue; money.py its budgets
    journey.py  one request, carried by the machine of proxy/core/attempt.py
    run.py      all of them, in the order of time
    tally.py    what came of it; the record goes through the same sums
    view.py     as text and as JSON

What decides is the core that live traffic uses: `choose`, the machine, health. Nothing here reads a clock, and all that
is random comes from one seed.
"""
