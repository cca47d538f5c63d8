"""What is done when something happens: load, decide, save, publish; whole batches at once.

Handlers of events and the use cases behind the API stand side by side: both work on a `Tx` and
leave committing to whoever opened it.
"""
