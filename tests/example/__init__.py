"""How was the example in ``segdiff/example`` made, and does it show what it should?"""
