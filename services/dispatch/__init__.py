"""dispatch: every case, from the accepted demand to its end: workflow, engineer, clocks, history."""
