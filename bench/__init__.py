"""Programs that measure the product beside a baseline in one run: they print ratios and assert nothing."""
