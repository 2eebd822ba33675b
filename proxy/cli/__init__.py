"""The command line. Nothing heavy is imported before the command that needs it runs."""


def main() -> None:
    """`wayline`; ends the process with the command's exit status."""
    from proxy.cli.commands import wayline

    wayline(prog_name="wayline")
