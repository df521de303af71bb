"""The words that a definition may use: what they do is told in `case.rules`, which has exactly these."""

ROLES = frozenset({"source", "engineer", "dispatcher", "quality", "operations", "manager", "admin"})

GUARDS = frozenset(
    {"other_judge", "other_signer", "countersigned", "unsigned", "explained", "consented", "outside_scope"}
)

EFFECTS = frozenset(
    {
        "assign", "unassign", "exclude", "lapse", "escalate", "work", "complete", "inspect", "judge",
        "countersign", "explain", "consent", "revoke", "urge", "fold", "unfold",
    }
)  # fmt: skip
