"""The numbers that the paper leaves open."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Constants:
    """The numbers that "small", "bounded" and "about" stand for in the rules; every one is reported with the verdicts.

    **Fields:** `small`: what counts as small against its scale, or as a small loss; `vanishing`: a loss below it
    vanishes; `bounded`: what counts as bounded by a constant; `balanced`: bound on the gap of Lemma 4.4; `exponent`:
    how far a fitted exponent may be from its prediction; `identity`: an exact identity must hold to this many
    tolerances.
    """

    small: float = 0.1
    vanishing: float = 0.1
    bounded: float = 10.0
    balanced: float = 1.0
    exponent: float = 0.1
    identity: float = 100.0


DEFAULT = Constants()
