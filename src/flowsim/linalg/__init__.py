"""Linear algebra from products with a symmetric matrix alone."""

from .lanczos import Tridiagonal, lanczos
from .spectra import Extremes, extremes, hessian_product, quadrature

__all__ = ["Extremes", "Tridiagonal", "extremes", "hessian_product", "lanczos", "quadrature"]
