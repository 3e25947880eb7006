"""Stanford CS231n's networks for captions."""
