"""Which of many pairs of models part, and in what? Each located on its images, their faults merged."""
