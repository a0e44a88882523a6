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
    'SHOW HELP sends a notice with the list of commands.',
    ...topics,
    '## Not supported',
    'PgBouncer has this, and it is answered with an error (0A000):',
    table(
      ['command', 'why not, and what there is instead'],
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

The console is a database named \`pgweir\`; \`pgbouncer\` is the same, so that tools made for PgBouncer find it. \`psql -p 6432 pgweir -c 'show pools'\`
shows the pools. Users named in \`admin_users\` may run everything, those in \`stats_users\` all that only looks (with \`auth_type = any\` everyone is an
admin); others are not let in. The console does not count in \`max_client_conn\`.

A command is not case-sensitive, and \`SELECT x\` is the same as \`SHOW x\`. Several commands may be sent at once, with \`;\` between them: if one of them is
none, none is run. Both query protocols are understood, with named statements, row limits and binary results, but no parameters: any driver will do.
What goes wrong is an ERROR that the log repeats; the connection lives on.

\`pgweir console\` needs no psql: \`pgweir console 'show pools'\` prints a table, \`-x\` each column on a line of its own, \`--json\` an array of objects on one line for each
command, with numbers as numbers unless JavaScript would change them. Several commands stand in several arguments or have \`;\` between them, or come by a
pipe. The first ERROR ends it: standard error has it, and the exit status is 1 (2 if there is no connection). Without a command it is a prompt with completion,
history, \`\\x\` and \`\\watch\`. It finds the pooler by \`--host\` and \`--port\`, PGHOST and PGPORT, \`--config pgweir.ini\`, or else in \`/tmp\` and on 127.0.0.1; by the unix socket
whoever runs the pooler needs no password, and else PGPASSWORD, ~/.pgpass or the terminal is asked.

Columns have the names, the order and the types of PgBouncer's. What differs:

- Moments are UTC, as in the log.
- \`wait\` of SHOW CLIENTS counts only while a client is queued, not while its query runs.
- \`ptr\` is the name that the log gives to a client or server, not an address in memory.
- A cancel request is counted in SHOW POOLS, and is no row of SHOW CLIENTS and SHOW SERVERS.
- Wrong arguments of a command are an invalid command, where PgBouncer sometimes says \`bad arguments\`.`

const COMMANDS_EXPLAINED = `PAUSE, KILL, SUSPEND and WAIT_CLOSE are answered the moment what they wait for has happened. A cancel request (Ctrl-C in psql), or the end of the
connection, ends the wait, and not what was begun; RESUME ends a PAUSE before it is complete, and who waits for it gets an error. While a
database is paused its clients keep their sessions and wait, at most for \`query_wait_timeout\`; new ones are let in as long as it is known what
a server would tell them.

To move a database: \`PAUSE app\`, change its line in the file, \`RELOAD\`, \`RESUME app\`. Its clients notice a pause. Without one, each goes on at
the new place with its next transaction.

What differs from PgBouncer:

- RELOAD changes everything or, if anything is wrong in a file, nothing; the log tells what is different, and what must wait for a restart.
- SET of what takes a restart is an error, and does not pretend.
- A session keeps the \`pool_mode\` that it logged in with.
- PAUSE of what is paused is no error, and waits too.
- SUSPEND leaves the console alone, lets new clients log in (they wait with the others then), and drops nobody for a timeout while it lasts.
- KILL is answered once the servers are closed, and cancels what they run.
- WAIT_CLOSE waits for the servers that are given up when it is asked, and not for those that are given up later.
- SHUTDOWN tells clients why they are dropped. WAIT_FOR_CLIENTS does not wait for those of the console.

Signals do the same as commands, as in PgBouncer:

| signal | command |
| --- | --- |
| SIGHUP | RELOAD |
| SIGUSR1 | PAUSE |
| SIGUSR2 | RESUME |
| SIGTERM | SHUTDOWN WAIT_FOR_CLIENTS |
| SIGINT | SHUTDOWN WAIT_FOR_SERVERS |
| SIGQUIT | SHUTDOWN |

SIGINT hastens what SIGTERM or SHUTDOWN WAIT_FOR_CLIENTS has begun. SIGTERM or SIGINT that has nothing left to begin or to hasten, the same one again for instance, is
SHUTDOWN, whoever began the end; any signal for the end after that ends the process by force. (\`pgweir demo\` stops at the first Ctrl-C.)`

const NOISE_INTRODUCTION = `Drivers and tools send some SQL of their own accord, and the console answers so that they go on. A transaction has no effect, but its status is told.`

const VARIABLES_INTRODUCTION = `\`SHOW\` of these answers what the console is like; \`SET\` of these changes nothing, and says so in a notice:`

function code(text: string): string {
  return `\`${text}\``
}

function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(headings), line(headings.map(() => '---')), ...rows.map(line)].join('\n')
}
