"""A checked experiment becomes objects, which run: `run`, `verify`, `compare`, each with its folder."""
