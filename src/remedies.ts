/** What each row of THE error table means and what to do about it, for docs/troubleshooting.md. Not used at run time. */

import { PROBLEMS, type ProblemKind, type ProblemRow } from './problems.ts'

export interface Remedy {
  readonly means: string
  /** Begins with an imperative verb, or says that there is nothing to do. */
  readonly remedy: string
}

function when(means: string, remedy: string): Remedy {
  return { means, remedy }
}

/** The remedy for most violations of the protocol. */
const NOT_THE_PROTOCOL =
  'Look at what speaks to the port: a scanner, a health check, a proxy. The log has its address. With a real client, update its driver, or report it.'

const STARTUP =
  'Look at what builds the startup packet: a home-made client, or something in between that changes bytes. The log has its address.'

export const REMEDIES: Readonly<Record<string, Readonly<Partial<Record<ProblemKind, Remedy>>>>> = {
  Connecting: {
    'tls-required': when(
      'The client came without TLS, and `client_tls_sslmode` is `require` or stricter.',
      'Give the client `sslmode=require` (or stricter). Or set `client_tls_sslmode = prefer`, which takes both.',
    ),
    'old-protocol': when('The client speaks the protocol of before PostgreSQL 7.4.', 'Update its driver.'),
    'bad-startup-packet': when('The first bytes were no startup packet of PostgreSQL.', NOT_THE_PROTOCOL),
    'not-postgres': when('The first bytes were those of another protocol, such as HTTP.', NOT_THE_PROTOCOL),
    'bytes-after-ssl-request': when(
      'Bytes in the clear came behind the request for TLS. Somebody in between may try to slip something in.',
      'Find out what sits between the client and pgweir. A driver that does it by itself is broken: update it.',
    ),
    'bytes-after-gss-request': when(
      'The same, behind the request for encryption by GSSAPI.',
      'See above. `gssencmode=disable` in the client leaves that request out.',
    ),
    'repeated-encryption-request': when('The client asked twice for the same encryption.', STARTUP),
    'startup-without-terminator': when('The startup packet does not end as it has to.', STARTUP),
    'startup-without-user': when('The startup packet names no user.', 'Give a user in the connection string.'),
    'name-too-long': when(
      'The name of a user or database, or another startup parameter, is over the limit.',
      'Shorten it. PostgreSQL itself takes names of 63 bytes.',
    ),
    'unsupported-options': when(
      '`options` (or PGOPTIONS) has something else than settings in it.',
      'Write `-c name=value`. If it does not matter, put `options` into `ignore_startup_parameters`.',
    ),
    'bad-replication': when(
      'The startup parameter `replication` has a value that PostgreSQL does not know either.',
      'Correct the connection string.',
    ),
  },

  'Logging in': {
    'password-failed': when(
      'The password is wrong, or there is no such user: the client is not told which.',
      'Look whether the user is in `auth_file`, or found by `auth_query`, with the right secret. `SHOW USERS` lists those that are known.',
    ),
    'sasl-failed': when(
      'The same, by SCRAM.',
      'As above. A SCRAM secret in `auth_file` has to be copied as a whole from `pg_authid`, and again when the password is changed.',
    ),
    'trust-failed': when(
      'With `auth_type = trust` there is no such user.',
      'Put the user into `auth_file`, or use `auth_query`.',
    ),
    'password-too-long': when(
      'The password, or the message that should be one, is over the limit.',
      'Correct the client. A token that is longer than that cannot be a password.',
    ),
    'empty-password': when(
      'The client sent an empty password.',
      'Look whether the secret has reached the application: an unset variable is the usual reason.',
    ),
    'bad-sasl-mechanism': when('The client chose a way to log in that it was not offered.', 'Update its driver.'),
    'channel-binding-shortened': when(
      'The client has TLS, and believes that pgweir cannot bind the login to it. Somebody in between may have taken that out of the offer.',
      'Look for a proxy between the two that ends TLS. If it is meant to be there, use `channel_binding=disable` in the client.',
    ),
    'channel-binding-failed': when(
      'The client has seen another certificate than that of pgweir.',
      'As above: something in between ends TLS with a certificate of its own.',
    ),
    'bad-sasl-message': when('A message of the login by SCRAM is not as it has to be.', 'Update the driver.'),
    'login-timeout': when(
      'The client did not finish its login within `client_login_timeout`.',
      'Look at the client or the network. A load balancer that connects and stays silent should ask `/readyz` instead.',
    ),
    'login-timeout-server-down': when(
      'The login was right, but pgweir could ask no server what to tell the client: none could be opened, or all were busy.',
      'Look in the log why no server can be opened. Then see [clients wait](#clients-wait).',
    ),
    'no-such-database': when(
      'No entry of `[databases]` has that name, and there is no `*`.',
      'Correct the name, or add an entry and `RELOAD`. `SHOW DATABASES` lists them.',
    ),
    'database-disabled': when('`DISABLE` was run for the database.', 'Run `ENABLE` when it may be used again.'),
    'replication-without-database': when(
      'A follower asks for physical replication, and no entry says of which server.',
      'Add the entry that the hint shows. See [replication](replication.md#which-database).',
    ),
    'hba-rejected': when(
      'The first rule of `auth_hba_file` that fits says `reject`.',
      'Look at the rules from the top. The log has the address, user and database of the client.',
    ),
    'hba-no-rule': when(
      'No rule of `auth_hba_file` fits the client.',
      'Add a rule, and `RELOAD`. For TLS there are `hostssl` lines, for unix sockets `local` ones.',
    ),
    'certificate-failed': when(
      'The client showed no certificate, or its name is not that of the user, or there is no such user.',
      'Compare the name (CN) with the user and the map in `auth_ident_file`. `client_tls_sslmode` has to be `verify-ca` or `verify-full`.',
    ),
    'ldap-failed': when(
      'The directory did not take the password, or could not be asked.',
      'Look into the log: it says so if the directory could not be asked. See [directories](logging-in.md#directories).',
    ),
    'peer-failed': when(
      "The system's user at the other end of the unix socket may not be this user, or there is no such user.",
      'Add a line to `auth_ident_file`, and the user to `auth_file`. pgweir has to be able to read `/etc/passwd`: the log says so where it is not.',
    ),
    'owner-unknown': when(
      'By the method `peer`, and pgweir cannot see who is at the other end.',
      'Install the package koffi (`npm install` without `--omit=optional`), or use another method.',
    ),
    'auth-query-failed': when(
      '`auth_query`, or the question for roles of a rule, could not be asked or gave nonsense.',
      'Look into the log: `auth_query of … failed` says why. The usual reasons: `auth_user` may not read `pg_authid`, or cannot log in.',
    ),
    'console-not-allowed': when(
      'The user is no one who may use the console.',
      'Name it in `admin_users` or `stats_users`, and `RELOAD`.',
    ),
  },

  Limits: {
    'too-many-clients': when(
      'There are `max_client_conn` clients already, all databases together.',
      'Raise it, and the limit of open files with it: see [sizing](sizing.md#clients). `SHOW CLIENTS` tells who does not close connections.',
    ),
    'too-many-database-clients': when(
      'The database has as many clients as it may have.',
      'Raise `max_db_client_connections`, in general or for the database; 0 is no limit.',
    ),
    'too-many-user-clients': when(
      'The user has as many clients as it may have.',
      'Raise `max_user_client_connections`, in general or for the user; 0 is no limit.',
    ),
    'message-too-large': when('A message is longer than `max_packet_size`.', 'Raise it, or send less at once.'),
    'statement-too-large': when(
      'A statement with a name is too long to be kept for its client.',
      'Have the driver send it without a name, or use COPY for so much data.',
    ),
    'too-many-statements': when(
      'A client has more text in prepared statements than is kept for one.',
      'Have it deallocate, or prepare fewer: the usual reason are values within the texts.',
    ),
    'query-wait-timeout': when(
      'The client has waited for a server for `query_wait_timeout`, and none came free.',
      'See [clients wait](#clients-wait).',
    ),
  },

  Servers: {
    'server-login-failing': when(
      'PostgreSQL could not be reached, or has refused the last attempt. Until the next one, clients that come get the same answer at once.',
      'Look at the cause in the message: host, port, firewall, `pg_hba.conf`, `max_connections`. It is tried again by itself after at most `server_login_retry`.',
    ),
    'server-wrong-password-type': when(
      'PostgreSQL asks for a proof that cannot be made of what pgweir knows of the user.',
      'See the table of [what servers are logged in to with](logging-in.md#what-servers-are-logged-in-to-with); the hint says what is asked for and what is known.',
    ),
    'any-without-forced-user': when(
      'With `auth_type = any` nobody has proved to be anybody, and PostgreSQL asks for a password.',
      'Give the database a `user` and a `password` in `[databases]`, or choose another `auth_type`.',
    ),
    'server-login-failed': when(
      'The login to PostgreSQL has failed, and the message says by what.',
      'Look at the reason, and in the log of PostgreSQL.',
    ),
    'server-crashed': when(
      'The server closed the connection while it worked for the client: it crashed, was ended or restarted, or the network broke.',
      'Look into the log of PostgreSQL. Clients connect again.',
    ),
    'server-nonsense': when(
      'What the server sent is not the protocol. The connection was closed, so that nobody gets a wrong answer.',
      'Look at what sits between pgweir and PostgreSQL. If it is PostgreSQL itself, report it with the log.',
    ),
    'server-given-up': when(
      'The server was to be closed (a reload, `RECONNECT`, a host that moved), and `server_fast_close` does not let it wait for its client.',
      'Connect again.',
    ),
    'replication-renewed': when(
      'The connection of a follower was ended so that it is opened anew.',
      'Nothing: followers connect again, and go on where they were.',
    ),
    'replication-over': when('The follower has left, and its server with it.', 'Nothing.'),
  },

  'Timeouts and cancels': {
    'query-timeout': when(
      'A query ran for longer than `query_timeout`. It was cancelled, and client and server were ended.',
      'Make the query faster, or raise the setting, for a user if need be. `statement_timeout` of PostgreSQL leaves the connection alone.',
    ),
    'idle-transaction-timeout': when(
      'A client was idle in a transaction for longer than `idle_transaction_timeout`, and kept a server from others.',
      'Have the application end its transactions before it does something else. The log has its address.',
    ),
    'transaction-timeout': when(
      'A transaction took longer than `transaction_timeout`.',
      'As above; long jobs may have a user with a limit of its own.',
    ),
    'client-idle-timeout': when(
      'The client did nothing for `client_idle_timeout`.',
      'Have it connect again, or raise the setting. A pool in the application should close idle connections before.',
    ),
    'wait-cancelled': when(
      'The client cancelled its query while it waited for a server (or a command of the console that waited).',
      'Nothing, if somebody meant it. Otherwise see [clients wait](#clients-wait).',
    ),
  },

  Statements: {
    'statement-mode-transaction': when(
      '`pool_mode = statement` allows no transactions of several statements.',
      'Use transaction mode for this database or user: see [modes](modes.md).',
    ),
    'statement-unknown': when(
      'The client used a prepared statement that it does not have: it never prepared it, or has deallocated it.',
      'See [prepared statements](#prepared-statements-fail).',
    ),
    'statement-exists': when(
      'The client prepared a second statement under a name of its own.',
      'See [prepared statements](#prepared-statements-fail).',
    ),
    'stale-plan': when(
      "A table was changed, and the client's statement would give other columns than it was told.",
      'Have it prepare again; drivers that know the error do so. Run changes of tables through the pool: see [auto_prepare](auto-prepare.md#tables-that-change).',
    ),
    'simple-query': when(
      '`disable_pqexec` is on, and the client sent a simple query.',
      'Have it use the extended protocol, or turn the setting off (it takes a restart).',
    ),
    'bad-message': when('A message of the client is not as the protocol has it.', NOT_THE_PROTOCOL),
    'bad-length': when('A message of the client has an impossible length.', NOT_THE_PROTOCOL),
    'unknown-message': when('The client sent a message of a type that there is not.', NOT_THE_PROTOCOL),
    'message-out-of-turn': when('The client sent a message that does not belong there.', NOT_THE_PROTOCOL),
  },

  'What an administrator has done': {
    'client-killed': when('`KILL_CLIENT` was run for this client.', 'Nothing, or ask who did.'),
    'suspend-timeout': when(
      '`SUSPEND` waits until all that was said is delivered, and this connection did not take it within `suspend_timeout`.',
      'Look whether the client still reads. It may connect again.',
    ),
    'database-removed': when(
      'The entry was taken out of `[databases]`, or `KILL` was run.',
      'After `KILL`, run `RESUME`. Otherwise correct the name that the client asks for.',
    ),
    'server-shutting-down': when(
      'pgweir ends, as soon as transactions are over.',
      'Connect again: another pgweir should be there.',
    ),
    'pooler-shutting-down': when(
      'pgweir ends, and has sent the client away.',
      'Connect again. To have no client notice, see [without downtime](running.md#without-downtime).',
    ),
    'worker-ends': when('The process that served the client is being replaced (`RESTART WORKERS`).', 'Connect again.'),
    'internal-error': when(
      'A mistake of pgweir. Only this client and its server were ended.',
      'Report it, with the lines of the log around `internal error`.',
    ),
  },

  'On the console': {
    'console-command': when('There is no such command.', 'Run `SHOW HELP`, or see [the console](console.md).'),
    'console-access': when('The user may only look.', 'Name it in `admin_users`.'),
    'console-refused': when(
      'PgBouncer has the command, and pgweir has not.',
      'See [not supported](console.md#not-supported).',
    ),
    'reload-failed': when(
      'A file has an error. Nothing was changed.',
      'Run `pgweir check` on the file: it tells all of them, with file and line. Then `RELOAD` again.',
    ),
    'console-database-needed': when('The command is for one database.', 'Name it.'),
    'console-no-database': when('There is no such database.', 'See `SHOW DATABASES`.'),
    'console-own-database': when('The console is no database that could be paused.', 'Name another.'),
    'not-paused': when(
      '`RESUME`, and nothing was paused.',
      'Nothing. A database that was paused by its name is resumed by its name.',
    ),
    'already-suspended': when('All is paused or suspended already.', 'Run `RESUME` first, if you want the other.'),
    'suspended-while-paused': when('`SUSPEND`, while a database is paused.', 'Run `RESUME` with its name first.'),
    'suspension-ended': when('Somebody ran `RESUME` before `SUSPEND` was complete.', 'Ask who did, and run it again.'),
    'database-not-paused': when(
      '`RESUME` of a database that is not paused by its name.',
      'If all is paused, `RESUME` without a name.',
    ),
    'pause-ended': when('Somebody ran `RESUME` before `PAUSE` was complete.', 'Ask who did, and run it again.'),
    'client-unknown': when('There is no such client any more.', 'See `SHOW CLIENTS`.'),
    'client-id-bad': when('That is no id of a client.', 'Take the column `id` or `ptr` of `SHOW CLIENTS`.'),
    'shutting-down': when('pgweir ends already.', 'Wait, or hasten it with `SHUTDOWN`.'),
    'set-failed': when('The value does not fit the setting; the hint says why.', 'See [settings](settings.md).'),
    'set-needs-restart': when(
      'The setting takes a restart.',
      'Change the file, and see [without downtime](running.md#without-downtime).',
    ),
    'no-workers': when(
      '`RESTART WORKERS`, and there is only one process.',
      'Set `workers`, or restart: see [without downtime](running.md#without-downtime).',
    ),
    'restart-runs': when('`RESTART WORKERS` is under way.', 'Wait: `SHOW WORKERS` tells how far it is.'),
    'console-several-commands': when(
      'One prepared statement has several commands.',
      'Send them one by one, or as a simple query.',
    ),
    'console-parameters': when('A command has `$1` in it.', 'Write the value into the text.'),
    'console-formats': when(
      'The driver asks for other columns than the command has.',
      'Report it, with the name of the driver.',
    ),
    'console-function-call': when(
      "A driver calls a function by the protocol's FunctionCall.",
      'Use a database for that, not the console.',
    ),
    'console-too-many': when(
      'One connection has too many prepared statements or portals.',
      'Close some, or use a new connection.',
    ),
    'console-message-too-large': when('A command is too long.', 'Split it.'),
    'portal-unknown': when('The driver names a portal that there is not.', 'Report it, with the name of the driver.'),
    'portal-exists': when('The driver opens a portal twice.', 'Report it, with the name of the driver.'),
  },
}

/** Returns the second part of docs/troubleshooting.md, without its heading. */
export function remediesPage(): string {
  return Object.entries(REMEDIES)
    .map(
      ([topic, remedies]) =>
        `### ${topic}\n\n| message | what it means | what to do |\n| --- | --- | --- |\n${rowsOf(remedies)}\n`,
    )
    .join('\n')
}

function rowsOf(remedies: Readonly<Partial<Record<ProblemKind, Remedy>>>): string {
  return Object.entries(remedies)
    .map(([kind, { means, remedy }]) => {
      const { message, sqlstate }: ProblemRow = PROBLEMS[kind as ProblemKind]
      return `| \`${message.replaceAll('|', '\\|')}\` (${sqlstate}) | ${means} | ${remedy} |`
    })
    .join('\n')
}
