"""The fault harness: `aidmesh chaos` breaks what a mesh is made of and counts what it lost."""
