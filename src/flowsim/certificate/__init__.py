"""How exact a result is: error bounds from independent evidence, and what the exact flow conserves."""

from ..invariants import Law, Pair, Product, drift, find, find_products
from .certify import certify, verifying
from .record import Certificate, Uncertified

__all__ = [
    "Certificate",
    "Law",
    "Pair",
    "Product",
    "Uncertified",
    "certify",
    "drift",
    "find",
    "find_products",
    "verifying",
]
