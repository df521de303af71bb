"""The command line: every command stands in a file of its own. Help texts are in English and Chinese."""

import typer

from guanjia.cli import (
    dead_letters,
    docs,
    import_log,
    kpi,
    properties,
    report,
    serve,
    sign_in,
    simulate,
    workflow,
)

app = typer.Typer(no_args_is_help=True, help="Guanjia | 管家：物业服务承诺引擎", rich_markup_mode=None)
app.command("serve")(serve.make_command(before_start=simulate.offer_simulation))
app.command("sign-in")(sign_in.print_sign_in_link)
app.command("docs")(docs.write_docs)
app.add_typer(kpi.app, name="kpi")
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(workflow.app, name="workflow")
app.command("properties")(properties.check_properties)
app.command("import")(import_log.import_event_log)
app.command("simulate")(simulate.simulate)
app.command("report")(report.print_report)
