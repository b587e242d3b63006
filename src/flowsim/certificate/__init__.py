"""How exact a result is: error bounds from independent evidence, and what the exact flow conserves."""

from ..invariants import Product, drift, find_products
from .certify import certify, verifying
from .record import Certificate, Uncertified

__all__ = ["Certificate", "Product", "Uncertified", "certify", "drift", "find_products", "verifying"]
