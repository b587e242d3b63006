"""`sensitivities`: families of problems along which a run is differentiated."""
