"""What is simulated: frozen specs, the catalog, the loader. No clock, no SimPy."""
