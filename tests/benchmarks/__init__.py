"""What does segdiff cost, beside running the two models and beside Polygraphy?"""
