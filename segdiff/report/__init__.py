"""How is an answer shown? Each form is a function of a report, in a module of its own.

Nothing is imported here, so that a form that is not wanted costs nothing.
"""
