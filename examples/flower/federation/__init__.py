"""A federation of ten clients, one series or one panel: see the README beside it."""
