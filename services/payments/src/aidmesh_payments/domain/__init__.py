"""Pure decisions about money: no I/O, no clock, ids and times are passed in."""
