"""When something happens: conditions, the theory's moments, and the search for sign changes inside a step."""

from .event import Direction, Event, all_of, crossing, of_probe
from .exclude import COARSE_POINTS, FEW_POINTS, is_far, may_cross, undecided
from .kinks import kinks
from .phases import Phase, phases
from .regions import leaves_phase1_region, leaves_phase2_region
from .roots import POINTS, sign_changes
from .saddle import saddle
from .scan import MAX_POINTS, Candidate, Found, search
from .standard import (
    attention_moves,
    common_word_turns,
    gradient_below,
    loss_below,
    margin_reached,
    mlp_aligned,
    phase1_end,
)

__all__ = [
    "COARSE_POINTS",
    "FEW_POINTS",
    "MAX_POINTS",
    "POINTS",
    "Candidate",
    "Direction",
    "Event",
    "Found",
    "Phase",
    "all_of",
    "attention_moves",
    "common_word_turns",
    "crossing",
    "gradient_below",
    "is_far",
    "kinks",
    "leaves_phase1_region",
    "leaves_phase2_region",
    "loss_below",
    "margin_reached",
    "may_cross",
    "mlp_aligned",
    "of_probe",
    "phase1_end",
    "phases",
    "saddle",
    "search",
    "sign_changes",
    "undecided",
]
