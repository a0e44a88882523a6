/** Generates docs/console.md from the tables of commands, topics and noise. */

import { COMMANDS, usageOf } from './commands.ts'
import { NOISE } from './noise.ts'
import { REFUSED_TOPICS, TOPICS } from './show/topics.ts'
import { VARIABLES } from './variables.ts'

/** Returns the whole of docs/console.md. A test compares them; `npx vitest run test/unit/admin/reference.test.ts -u` rewrites the file. */
export function consolePage(): string {
  const topics = [...TOPICS].map(([name, { help, columns }]) => {
    const rows = (columns ?? []).map((column) => [code(column.name), column.type, column.meaning])
    return `### SHOW ${name.toUpperCase()}\n\n${help}\n\n${table(['column', 'type', 'meaning'], rows)}`
  })
  return `${[
    INTRODUCTION,
    '## Commands',
    table(
      ['command', 'what it does'],
      [...COMMANDS].map(([name, command]) => [
        code(command.columns ? `${name.toUpperCase()} …` : usageOf(name, command)),
        command.help,
      ]),
    ),
    COMMANDS_EXPLAINED,
    '## SHOW',
    '`SHOW HELP` returns the list of commands as a notice.',
    ...topics,
    '## Not supported',
    'These commands of PgBouncer return an error (0A000):',
    table(
      ['command', 'why not, and what to use instead'],
      [...REFUSED_TOPICS].map(([name, why]) => [code(`SHOW ${name.toUpperCase()}`), `${why}.`]),
    ),
    '## What drivers send',
    NOISE_INTRODUCTION,
    NOISE.map(({ like }) => `- ${code(like)}`).join('\n'),
    VARIABLES_INTRODUCTION,
    [...VARIABLES.keys()].map(code).join(', '),
  ].join('\n\n')}\n`
}

const INTRODUCTION = `# The console

<!-- Generated from src/admin: change the tables there, then run \`npx vitest run test/unit/admin/reference.test.ts -u\`. -->

The console is a database named \`pgweir\`. It can also be reached as \`pgbouncer\`, so that tools made for PgBouncer find it. \`psql -h 127.0.0.1 -p 6432 -U ada pgweir -c 'show pools'\`
shows the pools. Users in \`admin_users\` may run every command, and users in \`stats_users\` may run only the SHOW commands. With \`auth_type = any\` every user may run every
command. Other users are not let in. Connections to the console do not count toward \`max_client_conn\`.

Commands are not case-sensitive, and \`SELECT x\` is the same as \`SHOW x\`. Several commands may be sent at once, separated by \`;\`: if one of them is invalid,
none is run. The console supports both query protocols, with named statements, row limits and binary results, but no parameters, so any driver can use it.
A command that fails returns an ERROR, which is also logged; the connection stays open.

\`pgweir console\` works without psql. \`pgweir console 'show pools'\` prints a table. With \`-x\` it prints each column on a line of its own, and with \`--json\` an array of objects on one
line for each command; numbers are JSON numbers unless JavaScript would change them. Several commands can be given as several arguments, separated by \`;\`, or through a
pipe. It stops at the first ERROR, which it prints to standard error, and exits with status 1 (or 2 if there is no connection). Without a command it shows a prompt with completion,
history, \`\\x\` and \`\\watch\`. It finds the pooler by \`--host\` and \`--port\`, by PGHOST and PGPORT, or by \`--config pgweir.ini\`; otherwise it tries \`/tmp\` and then 127.0.0.1. Through the unix
socket, the operating-system user that runs pgweir needs no password. Otherwise the password comes from PGPASSWORD, ~/.pgpass or the terminal.

Columns have the same names, order and types as in PgBouncer, with these differences:

- Times are in UTC, as in the log.
- \`wait\` of SHOW CLIENTS counts only while a client is queued, not while its query runs.
- \`ptr\` is the name that the log uses for a client or server, not a memory address.
- A cancel request is counted in SHOW POOLS, but is not a row of SHOW CLIENTS or SHOW SERVERS.
- A command with wrong arguments is reported as an invalid command, where PgBouncer sometimes says \`bad arguments\`.`

const COMMANDS_EXPLAINED = `PAUSE, KILL, SUSPEND and WAIT_CLOSE are answered as soon as what they wait for has happened. A cancel request (Ctrl-C in psql) or the end of the
connection ends the wait, but does not undo the command. RESUME ends a PAUSE before it is complete; the connection that waits for the PAUSE then gets an error. While a
database is paused, its clients keep their sessions and wait, for \`query_wait_timeout\` at most. New clients are let in as long as pgweir knows the parameters that
a server would report to them.

To move a database: \`PAUSE app\`, change its line in the file, \`RELOAD\`, \`RESUME app\`. Its clients notice nothing but a wait. Without PAUSE and RESUME, each client continues
at the new place with its next transaction.

Differences from PgBouncer:

- RELOAD applies all changes or, if there is an error in any file, none. The log lists what has changed, and what needs a restart.
- SET of a setting that needs a restart is an error.
- A session keeps the \`pool_mode\` that it logged in with.
- PAUSE of something that is already paused is not an error, and waits, too.
- SUSPEND does not affect the console. New clients can log in, and then wait like the others. No timeout except suspend_timeout disconnects a client while SUSPEND lasts.
- KILL cancels the queries that run, and is answered once the servers are closed.
- WAIT_CLOSE waits only for the servers that are already to be replaced when it is run.
- SHUTDOWN tells clients why they are disconnected. WAIT_FOR_CLIENTS does not wait for clients of the console.

Signals do the same as commands, as in PgBouncer:

| signal | command |
| --- | --- |
| SIGHUP | RELOAD |
| SIGUSR1 | PAUSE |
| SIGUSR2 | RESUME |
| SIGTERM | SHUTDOWN WAIT_FOR_CLIENTS |
| SIGINT | SHUTDOWN WAIT_FOR_SERVERS |
| SIGQUIT | SHUTDOWN |

SIGINT after SIGTERM or SHUTDOWN WAIT_FOR_CLIENTS makes the shutdown wait for servers only. A SIGTERM or SIGINT that would change nothing, for example because it is sent
a second time, acts as SHUTDOWN, no matter how the shutdown was started. After that, any of these signals ends the process by force. (\`pgweir demo\` stops at the first Ctrl-C.)`

const NOISE_INTRODUCTION = `Drivers and tools send some SQL automatically. The console answers it so that they work. Transactions have no effect, but the console reports their status.`

const VARIABLES_INTRODUCTION = `For these variables, \`SHOW\` returns the console's value. \`SET\` changes nothing, and says so in a notice:`

function code(text: string): string {
  return `\`${text}\``
}

function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(headings), line(headings.map(() => '---')), ...rows.map(line)].join('\n')
}
