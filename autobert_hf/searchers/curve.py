"""Steps of a final training after which the held-out loss is recorded."""

POINTS = 10
# The loss is always recorded at these token counts, so that curves of different runs can be compared.
MILESTONES = (300_000, 1_000_000, 3_000_000, 10_000_000)

Curve = list[tuple[int, float]]


def curve_points(steps: int, tokens_per_step: int, inherited: int = 0) -> set[int]:
    """Steps (1 to `steps`) to record the loss after: ten evenly spaced, and the milestones less `inherited` tokens."""
    even = {round(steps * (index + 1) / POINTS) for index in range(POINTS)}
    milestones = {round((tokens - inherited) / tokens_per_step) for tokens in MILESTONES}
    return {step for step in even | milestones if 0 < step <= steps} | {steps}
