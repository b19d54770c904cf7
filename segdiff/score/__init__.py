"""How many points do two models, or two folders of masks, lie apart, and where do the points go?"""
