"""As known at t: features from the rows, and the versions of rows, that were known before floor(as_of).

1. A version of an event is known since its ingested_at and until the next one of its event is (``versions.py``); the
   committed one for ever. The ordinary answer at T is made from committed versions; what it must not contain, or lacks, are
   the rows with e < T <= g: they happened before T and became known, or ceased to count, at T or later. As signed rows:
       committed version     +row at (e, g = step of its knowledge)
       superseded version    +row at (e, g), -row at (e, step of the next version's knowledge)
   Only rows with g > e can be in flight at any T. These few are kept by (class of lateness, entity, e) (``late.py``).
2. A lookup finds the rows in flight of each probe: a class holds latenesses in [2^c, 2^(c + 1)), so it needs the rows with
   T - 2^(c + 1) < e < T, about half of which are in flight: the cost follows what is found (``compute/windows/in_flight.py``).
3. Sums: ordinary difference minus the signed sums of the rows in flight inside the window.
4. Whatever is not a sum is answered again where rows are in flight: the totals before the first of them are right, and the
   entity's known rows from there to T are folded once more on top of them (``tail.py``).
"""
