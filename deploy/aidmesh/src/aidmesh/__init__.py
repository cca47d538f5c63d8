"""The operators' command: run, provision, check and demonstrate a mesh."""
