"""The commands and their options. What they do is elsewhere, and imported when they run.

Exit status: 0 fine; 1 the configuration has problems, or what was asked for could not be done;
2 the command line itself is wrong.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from proxy.cli.keys_commands import keys
from proxy.core.ability import CAPABILITIES

if TYPE_CHECKING:
    from proxy.ledger.spend import By

CONFIG = Path("routes.yaml")
FILE = click.Path(path_type=Path, dir_okay=False)
_config = click.option("--config", "-c", type=FILE, default=CONFIG, show_default=True, help="The configuration.")


def _version(context: click.Context, _option: click.Parameter, asked: bool) -> None:
    if asked and not context.resilient_parsing:
        from proxy import __version__

        click.echo(f"wayline {__version__}")
        context.exit()


def colours() -> bool:
    """Only on a terminal, and not where the user wants none (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit status: 0 fine, 1 problems (of the configuration, or in doing it), 2 wrong command line.",
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print the version."
)
def wayline() -> None:
    """One OpenAI-compatible endpoint in front of every model."""


wayline.add_command(keys)


@wayline.command()
@_config
@click.option("--host", help="Listen here instead of where the configuration says.")
@click.option("--port", type=click.IntRange(0, 65535), help="The same for the port (0: any free one).")
@click.option("--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes that share it.")
def serve(config: Path, host: str | None, port: int | None, workers: int) -> None:
    """Serve until told to stop.

    SIGTERM drains, SIGHUP loads the configuration again.
    """
    from proxy.app import serve as run

    sys.exit(run(config, host=host, port=port, workers=workers))


@wayline.command()
@click.argument("file", type=FILE, required=False)
@click.option("--config", "-c", type=FILE, help="The same as FILE.  [default: routes.yaml]")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def check(file: Path | None, config: Path | None, as_json: bool) -> None:
    """Check a configuration and draw what it means.

    Shows its routes, prices, what is left out and why. Starts nothing and calls no backend. Problems go to
    standard error, each with its file, line and column.
    """
    from proxy.cli.check import run

    if file and config and file != config:
        raise click.UsageError("give the file once: as FILE or with --config")
    sys.exit(run(file or config or CONFIG, as_json=as_json, colour=colours()))


@wayline.command()
@click.argument("since", default="today")
@_config
@click.option("--ledger", type=FILE, help="The ledger's database, instead of asking the configuration where it is.")
@click.option("--until", help="Up to, and without, this day.")
@click.option(
    "--by",
    type=click.Choice(["route", "target", "backend", "key", "agent", "tag", "hour", "day", "month"]),
    default="route",
    show_default=True,
)
@click.option("--route", multiple=True, help="Only this route; may be given several times.")
@click.option("--key", multiple=True, help="Likewise for the name of a caller's key.")
@click.option("--agent", multiple=True, help="Likewise for an agent.")
@click.option("--tag", multiple=True, help="Likewise for a tag.")
@click.option("--utc", is_flag=True, help="Hours, days and months are those of UTC, not local time.")
@click.option("--json", "form", flag_value="json", help="For programs.")
@click.option("--csv", "form", flag_value="csv", help="For spreadsheets.")
def spend(
    since: str,
    config: Path,
    ledger: Path | None,
    until: str | None,
    by: By,
    route: tuple[str, ...],
    key: tuple[str, ...],
    agent: tuple[str, ...],
    tag: tuple[str, ...],
    utc: bool,
    form: str | None,
) -> None:
    """What was spent. SINCE is today, yesterday, a span like 7d, 30d or 12h, or a date like 2026-11-01."""
    from proxy.cli.spend import run
    from proxy.ledger.spend import Only

    only, shape = Only(route, key, agent, tag), form or "table"
    sys.exit(run(since, until, by, only, config=config, ledger=ledger, utc=utc, form=shape, colour=colours()))


@wayline.command()
@click.argument("request_id", metavar="ID")
@_config
@click.option("--ledger", type=FILE, help="The ledger's database, instead of asking the configuration where it is.")
@click.option("--utc", is_flag=True, help="Times in UTC, not local time.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def why(request_id: str, config: Path, ledger: Path | None, utc: bool, as_json: bool) -> None:
    """Why a request went where it went, and what became of it.

    ID is what its answer had in x-wayline-request-id, or the beginning of that. Exit status 1 where nothing is on
    record of it.
    """
    from proxy.cli.why import run

    sys.exit(run(request_id, config=config, ledger=ledger, utc=utc, as_json=as_json))


@wayline.command()
@click.option("--config", "-c", type=FILE, help="The configuration.  [default: routes.yaml]")
@click.option("--route", "-r", required=True, help="The route that is asked for.")
@click.option("--input", "size", type=click.IntRange(0), default=1000, show_default=True, help="Tokens of input.")
@click.option("--output", type=click.IntRange(1), help="Tokens that the answer may have.")
@click.option("--tools", "needs", flag_value="tools", multiple=True, help="It brings tools.")
@click.option("--vision", "needs", flag_value="vision", multiple=True, help="It brings pictures.")
@click.option("--audio", "needs", flag_value="audio", multiple=True, help="It brings sound.")
@click.option("--files", "needs", flag_value="files", multiple=True, help="It brings documents.")
@click.option("--json-schema", "needs", flag_value="json_schema", multiple=True, help="Its answer keeps to a schema.")
@click.option("--reasoning", "needs", flag_value="reasoning", multiple=True, help="It asks for reasoning.")
@click.option("--embeddings", "needs", flag_value="embeddings", multiple=True, help="It asks for vectors.")
@click.option("--several", "needs", flag_value="n", multiple=True, help="It asks for several answers (n).")
@click.option("--logprobs", "needs", flag_value="logprobs", multiple=True, help="It asks for logprobs.")
@click.option("--audio-output", "needs", flag_value="audio_output", multiple=True, help="It asks for sound.")
@click.option("--prefer", default="", help="What it asks of targets, as in the header x-wayline-prefer.")
@click.option("--key", default="", help="The name of the caller's key: its budgets, tags and rules.")
@click.option("--hour", type=click.IntRange(0, 23), help="The hour of the day, for rules.  [default: now]")
@click.option("--down", multiple=True, help="A target or backend that is out of order; may be given several times.")
@click.option("--server", default="", metavar="URL", help="Ask a running server, by what it has measured.")
@click.option("--admin-key", default="", envvar="WAYLINE_ADMIN_KEY", show_envvar=True, help="Its admin key.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def explain(
    config: Path | None,
    route: str,
    size: int,
    output: int | None,
    needs: tuple[str, ...],
    prefer: str,
    key: str,
    hour: int | None,
    down: tuple[str, ...],
    server: str,
    admin_key: str,
    as_json: bool,
) -> None:
    """Which targets a request would try, in which order, and why others are left out.

    It is the choice that live traffic gets too, of targets of which nothing was measured yet; with --server, by what
    that one knows now (then --config is a draft that it does not have in force). Nothing is sent. Exit status 1 where
    no target is left.
    """
    from proxy.cli.explain import Wanted, run

    wanted = Wanted(route, size, output, frozenset(needs), prefer, key, down, hour)
    sys.exit(run(config, wanted, as_json=as_json, server=server, admin_key=admin_key))


class _Together(click.Command):
    """`--down NAME 10:00-11:00`: words that belong to one option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        from proxy.simulate.inject import joined

        return super().parse_args(ctx, joined(args))


@wayline.command(cls=_Together)
@click.option("--log", type=FILE, help="The ledger's database.  [default: where the configuration says]")
@_config
@click.option("--since", help="From then on: today, yesterday, a span like 7d or 12h, or a date (and time).")
@click.option("--until", help="Up to, and without, then.")
@click.option(
    "--down",
    multiple=True,
    metavar="NAME [TIME]",
    help="A target or backend refuses, always or at a time: 10:00-11:00 of each day, or one date/another.",
)
@click.option(
    "--slow", multiple=True, metavar="[NAME] xN [TIME]", help="It, or all of them, takes N times as long: openai x2."
)
@click.option(
    "--price", multiple=True, metavar="NAME IN/OUT", help="Its price, dollars per million tokens: openai 2.5/10."
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of all that is drawn by lot.")
@click.option("--utc", is_flag=True, help="Days and hours are those of UTC, not local ones.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def simulate(
    log: Path | None,
    config: Path,
    since: str | None,
    until: str | None,
    down: tuple[str, ...],
    slow: tuple[str, ...],
    price: tuple[str, ...],
    seed: int,
    utc: bool,
    as_json: bool,
) -> None:
    """The recorded traffic through another configuration, beside what really came of it.

    By the ledger alone, on a clock of its own: nothing is sent. --down, --slow and --price suppose something, and may
    be given several times.
    """
    from proxy.cli.simulate import Wanted, run

    wanted = Wanted(log, config, since, until, down, slow, price, seed, utc)
    sys.exit(run(wanted, as_json=as_json))


@wayline.group(invoke_without_command=True)
@_config
@click.option("--provider", multiple=True, help="Only backends of this name or type; may be given several times.")
@click.option(
    "--capability",
    multiple=True,
    type=click.Choice(CAPABILITIES),
    help="Only models that can do this, as far as it is known; may be given several times.",
)
@click.option("--free", is_flag=True, help="Only models that cost nothing.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_context
def models(
    context: click.Context,
    config: Path,
    provider: tuple[str, ...],
    capability: tuple[str, ...],
    free: bool,
    as_json: bool,
) -> None:
    """What each configured backend offers: its own list, asked now, with contexts, prices and capabilities.

    Prices are US dollars per million tokens in and out; `?` is unknown.
    """
    if context.invoked_subcommand is None:
        from proxy.cli.models import Wanted, run

        sys.exit(run(config, Wanted(provider, capability, free), as_json=as_json, colour=colours()))


@models.command("pull")
@click.argument("name", metavar="BACKEND/MODEL")
@_config
def pull(name: str, config: Path) -> None:
    """Pull a model into an Ollama, with its progress."""
    from proxy.cli.pull import run

    sys.exit(run(name, config))


@wayline.command()
@click.option("--markdown", is_flag=True, help="A table of every key instead.")
def schema(markdown: bool) -> None:
    """Print the JSON schema of routes.yaml, for editors."""
    from proxy.config.schema import as_text, reference

    click.echo(reference() if markdown else as_text(), nl=False)


@wayline.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell.

    bash: eval "$(wayline completion bash)" in ~/.bashrc; zsh the same in ~/.zshrc;
    fish: wayline completion fish > ~/.config/fish/completions/wayline.fish
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:
        raise click.ClickException(f"no completion for {shell}")
    click.echo(kind(wayline, {}, "wayline", "_WAYLINE_COMPLETE").source())
