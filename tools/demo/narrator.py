"""What the demo prints: steps with their numbers, expectations seen or missed, and a table at the end."""

import time
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table


@dataclass(slots=True)
class Expectation:
    """Something that had to be seen."""

    step: str
    text: str
    seen: bool
    detail: str


@dataclass(slots=True)
class Narrator:
    """Collects and prints; not shared between threads."""

    console: Console = field(default_factory=lambda: Console(highlight=False, soft_wrap=True))
    began: float = field(default_factory=time.monotonic)
    expectations: list[Expectation] = field(default_factory=list)
    took: list[tuple[str, float]] = field(default_factory=list)
    _step: str = ""
    _step_began: float = 0.0

    def step(self, number: int, title: str) -> None:
        """Begin a step."""
        self.end_step()
        self._step, self._step_began = str(number), time.monotonic()
        at = time.monotonic() - self.began
        self.console.print(f"\n[bold]{number}. {title}[/bold] [dim](at {at:.0f} s)[/dim]")

    def end_step(self) -> None:
        """Note how long the current step took."""
        if self._step:
            self.took.append((self._step, time.monotonic() - self._step_began))
        self._step = ""

    def say(self, text: str) -> None:
        """A line of the story."""
        self.console.print(f"   {text}", markup=False)

    def expect(self, text: str, *, seen: bool, detail: str = "") -> bool:
        """An outcome that had to be seen; gives `seen` back."""
        self.expectations.append(Expectation(self._step, text, seen, detail))
        mark = "[green]seen[/green]  " if seen else "[red]MISSED[/red]"
        self.console.print(f"   {mark} {text}" + (f" [dim]({detail})[/dim]" if detail else ""))
        return seen

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self.began

    def measure(self, text: str, value: float, limit: float, unit: str) -> None:
        """A number with its goal: said, and not an outcome, because it depends on what else the machine does."""
        kept = "within" if value <= limit else "[yellow]over[/yellow]"
        self.console.print(f"   {kept} {text}: {value:.1f} {unit}, goal {limit:g} {unit}")

    def summary(self) -> bool:
        """Print the table; whether everything was seen."""
        self.end_step()
        table = Table(title="what had to be seen", title_justify="left")
        for column in ("step", "expected", "seen", "numbers"):
            table.add_column(column)
        for e in self.expectations:
            table.add_row(e.step, e.text, "yes" if e.seen else "[red]NO[/red]", e.detail)
        self.console.print()
        self.console.print(table)
        steps = ", ".join(f"{name}: {seconds:.0f} s" for name, seconds in self.took)
        self.console.print(f"seconds by step: {steps}; in all {time.monotonic() - self.began:.0f} s")
        return bool(self.expectations) and all(e.seen for e in self.expectations)
