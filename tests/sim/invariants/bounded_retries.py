"""BoundedRetries."""

from tests.sim.invariants.played import Played
from workflows.policies import POLICIES

CALLS_MAX = 5_000  # of all activities of one play; a day of heartbeats at six a minute is more than any of them lasts


class BoundedRetries:
    """No activity is attempted more often than its policy allows, and no workflow calls without end."""

    def broken(self, played: Played) -> list[str]:
        wrong = []
        for run in played.play.runs:
            for activity in run.activities_ever.values():
                policy = POLICIES[activity.asked.activity_type]
                most = (
                    policy.attempts
                    or 1 + activity.asked.schedule_to_close_timeout.ToTimedelta().total_seconds() / policy.retry_first_s
                )
                if activity.attempts > most:
                    wrong.append(
                        f"{activity.asked.activity_type} was attempted {activity.attempts} times, allowed {most:.0f}"
                    )
        calls = len(played.world.calls)
        return [*wrong, f"{calls} calls"] if calls > CALLS_MAX else wrong
