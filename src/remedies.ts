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
  'Find out what connects to the port: a scanner, a health check, a proxy. The log has its address. If it is a real client, update its driver, or report the problem.'

const STARTUP =
  'Find out what builds the startup packet: a home-made client, or a proxy that changes bytes. The log has its address.'

export const REMEDIES: Readonly<Record<string, Readonly<Partial<Record<ProblemKind, Remedy>>>>> = {
  Connecting: {
    'tls-required': when(
      'The client did not use TLS, and `client_tls_sslmode` is `require` or stricter.',
      'Set `sslmode=require` (or stricter) in the client. Or set `client_tls_sslmode = prefer`, which allows both.',
    ),
    'old-protocol': when('The client uses the protocol from before PostgreSQL 7.4.', 'Update its driver.'),
    'bad-startup-packet': when('The first bytes were not a startup packet of PostgreSQL.', NOT_THE_PROTOCOL),
    'not-postgres': when('The first bytes belonged to another protocol, such as HTTP.', NOT_THE_PROTOCOL),
    'bytes-after-ssl-request': when(
      'Unencrypted data followed the request for TLS. Somebody may be trying to inject data.',
      'Check for a proxy between the client and pgweir. If the driver itself sends the data, it is broken: update it.',
    ),
    'bytes-after-gss-request': when(
      'Unencrypted data followed the request for GSSAPI encryption.',
      'Do as for the message above. `gssencmode=disable` in the client avoids this request.',
    ),
    'repeated-encryption-request': when('The client asked for the same encryption twice.', STARTUP),
    'startup-without-terminator': when('The startup packet does not end with the required zero byte.', STARTUP),
    'startup-without-user': when('The startup packet names no user.', 'Add a user to the connection string.'),
    'name-too-long': when(
      'The name of a user or database, or another startup parameter, exceeds the limit.',
      'Shorten it. PostgreSQL itself accepts names of up to 63 bytes.',
    ),
    'unsupported-options': when(
      '`options` (or PGOPTIONS) contains something other than settings.',
      'Write `-c name=value`. If the options do not matter, add `options` to `ignore_startup_parameters`.',
    ),
    'bad-replication': when(
      'The startup parameter `replication` has a value that PostgreSQL does not accept either.',
      'Correct the connection string.',
    ),
  },

  'Logging in': {
    'password-failed': when(
      'The password is wrong, or there is no such user. The client is not told which.',
      'Check that the user is in `auth_file`, or found by `auth_query`, with the right secret. `SHOW USERS` lists the known users.',
    ),
    'sasl-failed': when(
      'The password is wrong, or there is no such user; the login used SCRAM.',
      'Do as for the message above. A SCRAM secret in `auth_file` must be copied completely from `pg_authid`, and again after a change of the password.',
    ),
    'trust-failed': when(
      '`auth_type` is `trust`, and there is no such user.',
      'Add the user to `auth_file`, or use `auth_query`.',
    ),
    'password-too-long': when(
      'The password, or the message that should contain it, exceeds the limit.',
      'Correct the client. A token that exceeds the limit cannot be used as a password.',
    ),
    'empty-password': when(
      'The client sent an empty password.',
      'Check that the application gets its password; usually an environment variable is not set.',
    ),
    'bad-sasl-mechanism': when(
      'The client chose an authentication method that pgweir did not offer.',
      'Update its driver.',
    ),
    'channel-binding-shortened': when(
      'The client uses TLS, and believes that pgweir does not offer to bind the login to it. Somebody in between may have removed that from the offer.',
      'Check for a proxy in between that terminates TLS. If it is intended, set `channel_binding=disable` in the client.',
    ),
    'channel-binding-failed': when(
      "The client saw another certificate than pgweir's.",
      'Do as for the message above: something in between terminates TLS with its own certificate.',
    ),
    'bad-sasl-message': when('A SCRAM message of the login is malformed.', 'Update the driver.'),
    'login-timeout': when(
      'The client did not finish its login within `client_login_timeout`.',
      'Check the client and the network. A load balancer that connects without sending anything should use `/readyz` instead.',
    ),
    'login-timeout-server-down': when(
      'The client authenticated, but pgweir could not ask a server for the parameters to report to it: no server could be opened, or all were busy.',
      'See the log for why no server can be opened. Then see [clients wait](#clients-wait).',
    ),
    'no-such-database': when(
      '`[databases]` has no entry with that name, and no entry `*`.',
      'Correct the name, or add an entry and run `RELOAD`. `SHOW DATABASES` lists the databases.',
    ),
    'database-disabled': when('`DISABLE` was run for the database.', 'Run `ENABLE` to allow clients again.'),
    'replication-without-database': when(
      'A client asks for physical replication, and no entry says from which PostgreSQL.',
      'Add the entry that the hint shows. See [replication](replication.md#which-database).',
    ),
    'hba-rejected': when(
      'The first matching rule of `auth_hba_file` says `reject`.',
      'Check the rules from the top. The log has the address, user and database of the client.',
    ),
    'hba-no-rule': when(
      'No rule of `auth_hba_file` matches the client.',
      'Add a rule and run `RELOAD`. Use `hostssl` lines for TLS, and `local` lines for unix sockets.',
    ),
    'certificate-failed': when(
      'The client presented no certificate, the name in it does not match the user, or there is no such user.',
      'Compare the name (CN) with the user and the map in `auth_ident_file`. `client_tls_sslmode` must be `verify-ca` or `verify-full`.',
    ),
    'ldap-failed': when(
      'The directory rejected the password, or could not be asked.',
      'See the log, which says if the directory could not be asked. See [directories](logging-in.md#directories).',
    ),
    'pam-failed': when(
      'PAM rejected the password or the account, or could not be asked.',
      'See the log, which gives the reason unless the user or the password is wrong. See [PAM](logging-in.md#pam).',
    ),
    'peer-failed': when(
      'The system user at the other end of the unix socket may not log in as this user, or there is no such user.',
      'Add a line to `auth_ident_file`, and the user to `auth_file`. pgweir must be able to read `/etc/passwd`; the log says if it is not.',
    ),
    'owner-unknown': when(
      'The method is `peer`, and pgweir cannot see which user is at the other end.',
      'Install the package koffi (`npm install` without `--omit=optional`), or use another method.',
    ),
    'auth-query-failed': when(
      '`auth_query`, or the query for the roles in a rule, failed or returned an unusable answer.',
      'See the log: `auth_query of … failed` has the reason. Usually `auth_user` may not read `pg_authid`, or cannot log in.',
    ),
    'console-not-allowed': when(
      'The user may not use the console.',
      'Add the user to `admin_users` or `stats_users`, and run `RELOAD`.',
    ),
  },

  Limits: {
    'too-many-clients': when(
      'There are already `max_client_conn` clients, for all databases together.',
      'Raise it, and the limit of open files, too: see [sizing](sizing.md#clients). `SHOW CLIENTS` shows who does not close connections.',
    ),
    'too-many-database-clients': when(
      'The database already has its maximum number of clients.',
      'Raise `max_db_client_connections`, in general or for the database; 0 is no limit.',
    ),
    'too-many-user-clients': when(
      'The user already has the maximum number of clients.',
      'Raise `max_user_client_connections`, in general or for the user; 0 is no limit.',
    ),
    'message-too-large': when(
      'A message is longer than `max_packet_size`.',
      'Raise the setting, or send less in one message.',
    ),
    'statement-too-large': when(
      'A named statement is too long to be kept for its client.',
      'Send it as an unnamed statement, or use COPY for large amounts of data.',
    ),
    'too-many-statements': when(
      'The prepared statements of a client have more text than is kept for one client.',
      'Deallocate statements, or prepare fewer; usually the texts contain values.',
    ),
    'query-wait-timeout': when(
      'The client waited for a server for `query_wait_timeout`, and none became free.',
      'See [clients wait](#clients-wait).',
    ),
  },

  Servers: {
    'server-login-failing': when(
      'PostgreSQL could not be reached, or refused the last attempt. Until the next attempt, new clients get the same answer at once.',
      'Check the cause in the message: host, port, firewall, `pg_hba.conf`, `max_connections`. pgweir retries automatically after `server_login_retry` at most.',
    ),
    'server-wrong-password-type': when(
      'PostgreSQL asks for an authentication method for which pgweir lacks the right kind of secret.',
      'See [how pgweir logs in to servers](logging-in.md#how-pgweir-logs-in-to-servers). The hint says what PostgreSQL asks for and what pgweir knows.',
    ),
    'any-without-forced-user': when(
      'With `auth_type = any` clients do not authenticate, and PostgreSQL asks for a password.',
      'Add a `user` and a `password` to the database in `[databases]`, or choose another `auth_type`.',
    ),
    'server-login-failed': when(
      'The login to PostgreSQL failed; the message has the reason.',
      'Check the reason, and the log of PostgreSQL.',
    ),
    'server-crashed': when(
      'The server closed the connection while it worked for the client: it crashed, was terminated or restarted, or the network failed.',
      'Check the log of PostgreSQL. Clients must connect again.',
    ),
    'server-nonsense': when(
      'The server sent something that the protocol does not allow. pgweir closed the connection, so that no client gets a wrong answer.',
      'Check what is between pgweir and PostgreSQL. If it is PostgreSQL itself, report the problem with the log.',
    ),
    'server-given-up': when(
      'The server had to be closed (a reload, `RECONNECT`, a host that moved), and because of `server_fast_close` its client, too.',
      'Connect again.',
    ),
    'replication-renewed': when(
      'The connection of a replication client was closed so that a new one is opened.',
      'Nothing: replication clients connect again, and continue where they stopped.',
    ),
    'replication-over': when('The replication client has disconnected, and its server was closed.', 'Nothing.'),
  },

  'Timeouts and cancels': {
    'query-timeout': when(
      'A query ran for longer than `query_timeout`. It was canceled, and its client and server were disconnected.',
      "Make the query faster, or raise the setting, possibly for one user only. PostgreSQL's `statement_timeout` does not close the connection.",
    ),
    'idle-transaction-timeout': when(
      'A client was idle in a transaction for longer than `idle_transaction_timeout`, while it held a server.',
      'Change the application to end its transactions before it does other work. The log has its address.',
    ),
    'transaction-timeout': when(
      'A transaction took longer than `transaction_timeout`.',
      'Do as for the message above. Long jobs can use a user with a higher limit.',
    ),
    'client-idle-timeout': when(
      'The client was idle for `client_idle_timeout`.',
      'Let it connect again, or raise the setting. A pool in the application should close idle connections earlier.',
    ),
    'wait-cancelled': when(
      'The client canceled a query that waited for a server or had not begun there, or a console command that waited.',
      'Nothing, if this was intended. Otherwise see [clients wait](#clients-wait).',
    ),
  },

  Statements: {
    'statement-mode-transaction': when(
      '`pool_mode = statement` does not allow transactions of several statements.',
      'Use transaction mode for this database or user: see [modes](modes.md).',
    ),
    'statement-unknown': when(
      'The client used a prepared statement that it does not have: it never prepared it, or has deallocated it.',
      'See [prepared statements](#prepared-statements-fail).',
    ),
    'statement-exists': when(
      'The client prepared a second statement with a name that it already uses.',
      'See [prepared statements](#prepared-statements-fail).',
    ),
    'stale-plan': when(
      "A table was changed, and the client's statement would now return other columns than before.",
      'Prepare the statement again; drivers that know the error do so. Change tables through the pool: see [auto_prepare](auto-prepare.md#tables-that-change).',
    ),
    'simple-query': when(
      '`disable_pqexec` is on, and the client sent a simple query.',
      'Use the extended protocol in the client, or turn the setting off (needs a restart).',
    ),
    'bad-message': when('A message of the client is malformed.', NOT_THE_PROTOCOL),
    'bad-length': when('A message of the client has an impossible length.', NOT_THE_PROTOCOL),
    'unknown-message': when('The client sent a message of an unknown type.', NOT_THE_PROTOCOL),
    'message-out-of-turn': when('The client sent a message that is not allowed at this point.', NOT_THE_PROTOCOL),
  },

  'What an administrator has done': {
    'client-killed': when('`KILL_CLIENT` was run for this client.', 'Nothing, or ask the administrator.'),
    'suspend-timeout': when(
      '`SUSPEND` waits until all data is delivered, and this connection did not receive its data within `suspend_timeout`.',
      'Check that the client still reads. It can connect again.',
    ),
    'database-removed': when(
      'The entry was removed from `[databases]`, or `KILL` was run.',
      'After `KILL`, run `RESUME`. Otherwise correct the name of the database in the client.',
    ),
    'server-shutting-down': when(
      'pgweir shuts down as soon as the running transactions end.',
      'Connect again: another pgweir should be running.',
    ),
    'pooler-shutting-down': when(
      'pgweir shuts down, and has disconnected the client.',
      'Connect again. To avoid disconnecting clients, see [without downtime](running.md#without-downtime).',
    ),
    'worker-ends': when('The process that served the client is being replaced (`RESTART WORKERS`).', 'Connect again.'),
    'internal-error': when(
      'A bug in pgweir. Only this client and its server were disconnected.',
      'Report it, with the log lines around `internal error`.',
    ),
  },

  'On the console': {
    'console-command': when('There is no such command.', 'Run `SHOW HELP`, or see [the console](console.md).'),
    'console-access': when('The user may only run `SHOW` commands.', 'Add the user to `admin_users`.'),
    'console-refused': when(
      'PgBouncer has the command, but pgweir does not.',
      'See [not supported](console.md#not-supported).',
    ),
    'reload-failed': when(
      'A file has an error. Nothing was changed.',
      'Run `pgweir check` on the file: it reports all errors, with file and line. Then run `RELOAD` again.',
    ),
    'console-database-needed': when('The command needs the name of a database.', 'Add it.'),
    'console-no-database': when('There is no such database.', 'See `SHOW DATABASES`.'),
    'console-own-database': when('The command cannot be used for the console itself.', 'Name another database.'),
    'not-paused': when(
      '`RESUME` was run, but nothing was paused.',
      'Nothing. If a database was paused by its name, run `RESUME` with its name.',
    ),
    'already-suspended': when(
      'Everything is paused or suspended already.',
      'If you need the other state, run `RESUME` first.',
    ),
    'suspended-while-paused': when(
      '`SUSPEND` was run while a database is paused.',
      'Run `RESUME` with its name first.',
    ),
    'suspension-ended': when(
      'Somebody ran `RESUME` before `SUSPEND` was complete.',
      'Ask who did, and run `SUSPEND` again.',
    ),
    'database-not-paused': when(
      '`RESUME` was run for a database that is not paused by its name.',
      'If everything is paused, run `RESUME` without a name.',
    ),
    'pause-ended': when('Somebody ran `RESUME` before `PAUSE` was complete.', 'Ask who did, and run `PAUSE` again.'),
    'client-unknown': when('There is no longer such a client.', 'See `SHOW CLIENTS`.'),
    'client-id-bad': when('The argument is not the id of a client.', 'Use the column `id` or `ptr` of `SHOW CLIENTS`.'),
    'shutting-down': when('pgweir is already shutting down.', 'Wait, or run `SHUTDOWN` to end it at once.'),
    'set-failed': when(
      'The setting does not accept the value; the hint has the reason.',
      'See [settings](settings.md).',
    ),
    'set-needs-restart': when(
      'A change of the setting needs a restart.',
      'Change the file, and see [without downtime](running.md#without-downtime).',
    ),
    'no-workers': when(
      '`RESTART WORKERS` was run, but there is only one process.',
      'Set `workers`, or restart: see [without downtime](running.md#without-downtime).',
    ),
    'restart-runs': when('`RESTART WORKERS` is already running.', 'Wait: `SHOW WORKERS` shows the progress.'),
    'console-several-commands': when(
      'One prepared statement contains several commands.',
      'Send them one by one, or as a simple query.',
    ),
    'console-parameters': when(
      'A command contains a parameter such as `$1`.',
      'Write the value into the text of the command.',
    ),
    'console-formats': when(
      'The driver asks for another number of columns than the command has.',
      'Report it, with the name of the driver.',
    ),
    'console-function-call': when(
      'A driver calls a function with the message FunctionCall of the protocol.',
      'Connect to a database for that, not to the console.',
    ),
    'console-too-many': when(
      'One connection has too many prepared statements or portals.',
      'Close some, or use a new connection.',
    ),
    'console-message-too-large': when('A command is too long.', 'Split it.'),
    'portal-unknown': when('The driver uses a portal that does not exist.', 'Report it, with the name of the driver.'),
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
