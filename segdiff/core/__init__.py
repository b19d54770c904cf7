"""The nouns: a graph, an edit, an error between tensors, an answer; what every other room speaks of."""
