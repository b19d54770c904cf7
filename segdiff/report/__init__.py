"""How is a report shown? Each form is a function of :class:`segdiff.result.Report`, in a module of its own.

Nothing is imported here, so that a form that is not wanted costs nothing.
"""
