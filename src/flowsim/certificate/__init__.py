"""How exact a result is: error bounds from independent evidence, and what the exact flow conserves."""

from ..invariants import Product, drift, find_products
from .certify import certify, witness
from .record import Certificate

__all__ = ["Certificate", "Product", "certify", "drift", "find_products", "witness"]
