"""Pure decisions of intake: no I/O, clocks and ids are passed in."""
