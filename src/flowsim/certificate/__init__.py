"""How exact a result is: error bounds from independent evidence, and what the exact flow conserves."""

from ..invariants import Law, Pair, Product, drift, find, find_products
from .certify import certify, second, verifying
from .record import Certificate, Uncertified
from .together import Evidence, evidence

__all__ = [
    "Certificate",
    "Evidence",
    "Law",
    "Pair",
    "Product",
    "Uncertified",
    "certify",
    "drift",
    "evidence",
    "find",
    "find_products",
    "second",
    "verifying",
]
