"""A Markdown table that is readable in a terminal."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Table:
    """A table. Without columns, it prints its title only."""

    title: str
    columns: Sequence[str]
    lines: list[Sequence[str]] = field(default_factory=list)

    def add(self, *cells: str) -> None:
        self.lines.append(cells)

    def __str__(self) -> str:
        if not self.columns:
            return f"**{self.title}**"
        rows = [self.columns, *self.lines]
        widths = [max(len(row[at]) for row in rows) for at in range(len(self.columns))]
        head, *body = (" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
        rule = " | ".join("-" * width for width in widths)
        return "\n".join([f"**{self.title}**", "", *(f"| {line} |" for line in (head, rule, *body))])
