"""Inventories as Markdown: one entry for each resource, with its arguments as Terraform names them.

`parse` gives back what was rendered, for values without line breaks and with single blanks.
"""

from collections.abc import Iterator, Mapping

Fields = dict[str, str]  # settings.tier: db-custom-2-7680
Entries = dict[str, Fields]  # by the resource

_WIDTH = 120


def render(sections: Mapping[str, Entries]) -> str:
    """A heading for each section, and its entries."""
    return "".join(f"\n## {title}\n\n{''.join(_lines(entries))}" for title, entries in sorted(sections.items()))


def render_stack(stack: str, resources: Entries) -> str:
    """A stack's resources by their addresses, under a heading for each type."""
    types: dict[str, Entries] = {}
    for address, fields in resources.items():
        type_name, name = address.split(".", 1)
        types.setdefault(type_name, {})[name] = fields
    sections = {f"{type_name}: {len(entries)}": entries for type_name, entries in types.items()}
    return f"# {stack}\n\n{len(resources)} resources of {len(types)} types.\n{render(sections)}"


def _lines(entries: Entries) -> Iterator[str]:
    for title, fields in sorted(entries.items()):
        yield from (f"{line}\n" for line in _entry(title, fields))


def _entry(title: str, fields: Fields) -> list[str]:
    """One line if it fits and its commas are not ambiguous, else a line for each field and element of a long list."""
    shown = [f"{name} {value}".rstrip() for name, value in sorted(fields.items())]
    line = f"- {title}: {', '.join(shown)}" if shown else f"- {title}"
    if len(line) <= _WIDTH and not any(", " in field for field in shown):
        return [line]
    long = [field.replace("; ", "\n    - ") if len(field) > _WIDTH else field for field in shown]
    return [f"- {title}", *(f"  - {field}" for field in long)]


def parse(text: str) -> dict[str, Entries]:
    """The sections of a text; what stands before the first heading is not part of any."""
    _, *sections = f"\n{text}".split("\n## ")
    return {title: _entries(lines) for title, *lines in (section.split("\n") for section in sections)}


def parse_stack(text: str) -> Entries:
    """The resources of a stack by their addresses."""
    sections = parse(text).items()
    return {
        f"{title.partition(':')[0]}.{name}": fields for title, entries in sections for name, fields in entries.items()
    }


def _entries(lines: list[str]) -> Entries:
    entries: Entries = {}
    fields: Fields = {}
    name = ""
    for line in lines:
        if line.startswith("    - "):
            fields[name] += f"; {line.removeprefix('    - ')}"
        elif line.startswith("  - "):
            name, _, fields[name] = line.removeprefix("  - ").partition(" ")
        elif line.startswith("- "):
            title, _, shown = line.removeprefix("- ").partition(": ")
            fields = entries[title] = {}
            for field in shown.split(", ") if shown else []:
                name, _, fields[name] = field.partition(" ")
    return entries
