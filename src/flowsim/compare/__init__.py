"""Which solver buys how much accuracy for how much work, and how far an optimizer's steps are from the flow."""

from ..descent import Drift, EventShift, against_flow
from .descent_order import DescentOrder, FittedOrder, descent_order, fitted_orders
from .methods import known
from .order import Order, fit_order
from .record import Comparison, Run
from .work_precision import work_precision

__all__ = [
    "Comparison",
    "DescentOrder",
    "Drift",
    "EventShift",
    "FittedOrder",
    "Order",
    "Run",
    "against_flow",
    "descent_order",
    "fit_order",
    "fitted_orders",
    "known",
    "work_precision",
]
