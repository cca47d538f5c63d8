"""`aidmesh verify`: recomputes from databases and streams what the mesh promises."""
