"""What does coverage find in the parsers that are written by hand? ``python -m tests.readers.fuzz PARSER``

atheris changes the bytes of a file until it reaches new lines of a reader; anything but a Graph or a
ModelError of one line is a finding, which it writes to a file. It is no dependency: ``pip install atheris``.
What stands behind PARSER goes to libFuzzer:

    python -m tests.readers.fuzz pir -max_total_time=60              from the corpus beside this file
    python -m tests.readers.fuzz pir --keep -max_total_time=60       and what reaches more is added

``tests/readers/test_fuzz.py`` reads the corpus in every run of the tests, without atheris.
"""
