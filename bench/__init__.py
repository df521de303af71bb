"""Programs that measure the product beside a baseline in the same run: ratios are printed, nothing asserted."""
