"""``winback db upgrade``: bring the database to this version."""

import typer


def register(app: typer.Typer) -> None:
    """Add the commands of this group."""
    db = typer.Typer(help="The database.", no_args_is_help=True, rich_markup_mode=None)
    app.add_typer(db, name="db")

    @db.command()
    def upgrade() -> None:
        """Bring the database's schema to this version; may be repeated.

        Example: winback db upgrade
        """
        from winback.database.engine import make_engine
        from winback.database.engine import upgrade as upgrade_schema
        from winback.environment import read_environment

        engine = make_engine(read_environment().database_url)
        upgrade_schema(engine)
        engine.dispose()
        typer.echo("the database has the schema of this version")

    # A group of one command would be folded into its parent without this.
    @db.callback()
    def _group() -> None:
        """Bring the database to this version.

        Example: winback db upgrade
        """
