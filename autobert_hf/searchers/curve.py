"""Where the curve of a final training is taken."""

POINTS = 10
# Token counts at which the loss is always taken, so that curves of different runs can be laid beside each other.
MILESTONES = (300_000, 1_000_000, 3_000_000, 10_000_000)

Curve = list[tuple[int, float]]


def curve_points(steps: int, tokens_per_step: int, inherited: int = 0) -> set[int]:
    """After which of the `steps` steps."""
    even = {round(steps * (index + 1) / POINTS) for index in range(POINTS)}
    milestones = {round((tokens - inherited) / tokens_per_step) for tokens in MILESTONES}
    return {step for step in even | milestones if 0 < step <= steps} | {steps}
