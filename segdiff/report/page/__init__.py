"""How is an answer shown as one HTML file? Everything in it, nothing from elsewhere.

What is drawn is computed here in Python and stands in the file as SVG; a small script of its own sorts, folds
and follows. Names from model files are untrusted: templates escape them, and a strict policy lets nothing run
but that script.
"""
