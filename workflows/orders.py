"""What people ask of a deployment while it runs: pause, resume, promote, abort."""

from dataclasses import dataclass


@dataclass(slots=True)
class Orders:
    """What people asked for while it runs."""

    paused_by: str = ""
    aborted_by: str = ""
    promotions: int = 0

    last_by: str = ""

    def resume(self, by: str) -> None:
        """Go on."""
        self.paused_by, self.last_by = "", by

    def promote(self, by: str) -> None:
        """One share need not be baked or judged any longer."""
        self.promotions += 1
        self.resume(by)

    def abort(self, by: str) -> None:
        """Stop and go back."""
        self.aborted_by = by

    def take_promotion(self) -> bool:
        """Whether a promotion was asked for; it counts once."""
        taken, self.promotions = self.promotions > 0, 0
        return taken
