/** THE error table: every expected problem that clients or operators may see, with its SQLSTATE and message. To add a problem, add a row. */

export type Severity = 'ERROR' | 'FATAL'

export interface ProblemRow {
  /** https://www.postgresql.org/docs/current/errcodes-appendix.html */
  readonly sqlstate: string
  /** FATAL if and only if the connection ends. */
  readonly severity: Severity
  /** PgBouncer's text if it has one, since scripts match it. `{name}` is replaced by the detail of that name. */
  readonly message: string
  /** What to do; names the setting. */
  readonly hint?: string
  /** A hint for the log only: something that a client must not learn before it has logged in, or can do nothing about. */
  readonly logHint?: string
  /** For an error that imitates one of Postgres: the routine in Postgres that reports it. Some drivers look at it. */
  readonly routine?: string
}

function fatal(sqlstate: string, message: string, hint?: string): ProblemRow {
  return hint === undefined ? { sqlstate, severity: 'FATAL', message } : { sqlstate, severity: 'FATAL', message, hint }
}

function error(sqlstate: string, message: string, hint?: string): ProblemRow {
  return { ...fatal(sqlstate, message, hint), severity: 'ERROR' }
}

/** Adds a hint for the log only. */
function logged<Row extends ProblemRow>(logHint: string, row: Row): Row & { readonly logHint: string } {
  return { ...row, logHint }
}

/** The hint for most violations of the protocol. */
const NOT_THE_PROTOCOL =
  'Check what is at this address: a scanner, a health check, a proxy, or a driver that needs an update.'

const IN_BETWEEN = 'Check for a proxy between the client and the pooler that changes the data.'

/** An error that imitates one of Postgres. */
function postgresError(sqlstate: string, message: string, routine: string): ProblemRow {
  return { ...error(sqlstate, message), routine }
}

export const PROBLEMS = {
  // The protocol
  'tls-required': fatal('28000', 'SSL required', 'The setting is client_tls_sslmode.'),
  'old-protocol': fatal(
    '08P01',
    'old V2 protocol not supported',
    'Use a client that speaks protocol 3.0 (PostgreSQL 7.4 or later).',
  ),
  'bad-startup-packet': fatal('08P01', 'bad packet header: {reason}', 'This port speaks the PostgreSQL protocol.'),
  'not-postgres': fatal(
    '08P01',
    'bad packet header: this looks like {what}',
    'This port speaks the PostgreSQL protocol.',
  ),
  'bytes-after-ssl-request': logged(IN_BETWEEN, fatal('08P01', 'received unencrypted data after SSL request')),
  'bytes-after-gss-request': logged(
    IN_BETWEEN,
    fatal('08P01', 'received unencrypted data after GSSAPI encryption request'),
  ),
  'repeated-encryption-request': logged(
    NOT_THE_PROTOCOL,
    fatal('08P01', 'the client asked for encryption again after it was answered'),
  ),
  'startup-without-terminator': logged(
    NOT_THE_PROTOCOL,
    fatal('08P01', 'invalid startup packet layout: expected terminator as last byte'),
  ),
  'startup-without-user': logged(
    "The client's connection string names no user.",
    fatal('28000', 'no username supplied'),
  ),
  'name-too-long': fatal('08P01', '{what} too long', 'The limit is {limit} bytes.'),
  'unsupported-options': fatal(
    '08P01',
    "unsupported options startup parameter: only '-c config=val' and '--config=val' are allowed",
    'Add "options" to ignore_startup_parameters to drop what is not understood.',
  ),
  'bad-replication': fatal(
    '22023',
    'invalid value for parameter "replication": "{value}"',
    'Valid values are: "false", 0, "true", 1, "database".',
  ),
  'bad-message': logged(NOT_THE_PROTOCOL, fatal('08P01', 'broken {what} packet')),
  'bad-length': logged(
    NOT_THE_PROTOCOL,
    fatal('08P01', 'bad packet header: a message of type {type} cannot have the length {length}'),
  ),
  'message-too-large': fatal(
    '54000',
    'a message of {length} bytes is over the limit of {limit} bytes',
    'The setting is max_packet_size.',
  ),
  'unknown-message': logged(NOT_THE_PROTOCOL, fatal('08P01', 'unknown pkt: invalid frontend message type {type}')),
  'simple-query': fatal(
    '0A000',
    'PQexec disallowed',
    'The simple query protocol is off (disable_pqexec). Use the extended protocol, for example statements with parameters.',
  ),
  'message-out-of-turn': logged(NOT_THE_PROTOCOL, fatal('08P01', 'a message of type {type} is out of turn {when}')),
  'statement-too-large': fatal(
    '54000',
    'a named prepared statement of {length} bytes is over the limit of {limit} bytes',
    'Send it as an unnamed statement, or set max_prepared_statements = 0.',
  ),

  // Logging in
  'password-failed': logged(
    'The password is wrong, or there is no such user. SHOW USERS lists the users of auth_file; others are looked up with auth_query.',
    fatal('28P01', 'password authentication failed'),
  ),
  'sasl-failed': logged(
    'The password is wrong, or there is no such user. SHOW USERS lists the users of auth_file; others are looked up with auth_query. If the password was changed, a SCRAM secret in auth_file must be copied again.',
    fatal('28P01', 'SASL authentication failed'),
  ),
  'trust-failed': logged(
    'There is no such user. SHOW USERS lists the users of auth_file; others are looked up with auth_query.',
    fatal('28000', '"trust" authentication failed'),
  ),
  'password-too-long': fatal('08P01', 'password too long', 'The limit is {limit} bytes.'),
  'empty-password': logged(
    'The application did not get its password; usually an environment variable is not set.',
    fatal('28P01', 'empty password returned by client'),
  ),
  'bad-sasl-mechanism': logged(
    NOT_THE_PROTOCOL,
    fatal('28000', 'client selected an invalid SASL authentication mechanism'),
  ),
  'channel-binding-shortened': fatal(
    '28000',
    'SCRAM channel binding negotiation error',
    'The client believes that channel binding is not offered, although it is. Somebody may be intercepting the connection.',
  ),
  'channel-binding-failed': fatal(
    '28000',
    'SCRAM channel binding check failed',
    'The client saw another certificate than the one in client_tls_cert_file. Something intercepts the connection.',
  ),
  'bad-sasl-message': logged(NOT_THE_PROTOCOL, fatal('08P01', 'malformed SCRAM message: {reason}')),
  'login-timeout': fatal('08006', 'client_login_timeout', 'The setting is client_login_timeout.'),
  'login-timeout-server-down': fatal(
    '08006',
    'client_login_timeout (server down)',
    'No server could be opened or became free in that time; the log of the pooler has details. The setting is client_login_timeout.',
  ),
  'no-such-database': fatal(
    '3D000',
    'no such database: {database}',
    'Databases are listed in the section [databases].',
  ),
  'database-disabled': fatal(
    '57P03',
    'database "{database}" is disabled',
    'An administrator has run DISABLE. ENABLE ends it.',
  ),
  'replication-without-database': fatal(
    '3D000',
    'no such database: {database}',
    'Physical replication copies a whole PostgreSQL. Add an entry "{database} = host=…" to [databases] that says where it is.',
  ),
  'replication-renewed': fatal(
    '57P01',
    'terminating replication connection: {reason}',
    'Connect again: replication continues where it stopped.',
  ),
  'replication-over': fatal('57P01', 'replication client has left'),
  'client-killed': fatal('57P01', 'admin forced disconnect', 'An administrator has run KILL_CLIENT.'),
  'suspend-timeout': fatal(
    '57P01',
    'suspend_timeout',
    'An administrator has run SUSPEND, and this connection did not receive all data in time. The setting is suspend_timeout.',
  ),
  'server-given-up': fatal(
    '57P01',
    'database configuration changed',
    'The server had to be closed ({reason}), and server_fast_close is on. Connect again.',
  ),
  'database-removed': fatal(
    '57P01',
    'database removed',
    'The database was removed from the configuration, or an administrator has run KILL.',
  ),
  'hba-rejected': fatal('28000', 'login rejected', 'A rule of auth_hba_file rejects this client.'),
  'hba-no-rule': fatal('28000', 'no authentication method is found', 'No rule of auth_hba_file matches this client.'),
  'certificate-failed': fatal(
    '28000',
    'certificate authentication failed',
    'Check client_tls_sslmode and auth_ident_file. The user must be known to auth_file or auth_query.',
  ),
  'ldap-failed': fatal('28000', 'LDAP authentication failed', 'If the password is correct, see the log of the pooler.'),
  'pam-failed': fatal('28000', 'PAM authentication failed', 'If the password is correct, see the log of the pooler.'),
  'peer-failed': fatal(
    '28000',
    'unix socket login rejected',
    'Check auth_ident_file. The user must be known to auth_file or auth_query.',
  ),
  'auth-query-failed': fatal('F0000', 'bouncer config error', 'See the log of the pooler, and the setting auth_query.'),
  'owner-unknown': fatal(
    '28000',
    'unix socket login rejected',
    'The pooler can see who is at the other end of a unix socket only if the optional package koffi can be loaded.',
  ),
  'console-not-allowed': fatal('42501', 'not allowed', 'The settings are admin_users and stats_users.'),

  // Limits
  'too-many-clients': fatal(
    '53300',
    'no more connections allowed (max_client_conn)',
    'The setting is max_client_conn.',
  ),
  'too-many-database-clients': fatal(
    '53300',
    'client connections exceeded (max_db_client_connections)',
    'The setting is max_db_client_connections.',
  ),
  'too-many-user-clients': fatal(
    '53300',
    'client connections exceeded (max_user_client_connections)',
    'The setting is max_user_client_connections.',
  ),

  // Waiting for a server
  'query-wait-timeout': fatal(
    '57014',
    'query_wait_timeout',
    'No server became free: SHOW POOLS on the console shows why. The settings are query_wait_timeout and default_pool_size.',
  ),
  'server-login-failing': logged(
    'Check the host, the port, the firewall, and pg_hba.conf and max_connections of PostgreSQL. The pooler retries automatically.',
    fatal('08006', 'server login has been failing, cached error: {error} (server_login_retry)'),
  ),
  'server-wrong-password-type': fatal(
    '28000',
    'server login failed: wrong password type',
    'The server asks for {method}, and {known}. Store a plain password in [databases] or in auth_file, or the SCRAM secret that the server has.',
  ),
  'any-without-forced-user': fatal(
    'F0000',
    'bouncer config error',
    'auth_type=any requires forced user: the server asks for a password, and the database in [databases] has no user.',
  ),
  'server-login-failed': logged(
    'See the reason, and the log of PostgreSQL.',
    fatal('08006', 'server login failed: {reason}'),
  ),
  'server-shutting-down': fatal(
    '57P01',
    'server shutting down',
    'An administrator has run SHUTDOWN WAIT_FOR_SERVERS, or has stopped the pooler.',
  ),
  'pooler-shutting-down': fatal('57P01', 'pooler is shutting down'),
  'worker-ends': fatal(
    '57P01',
    'terminating connection due to administrator command',
    'This worker process is being replaced. Connect again.',
  ),
  'wait-cancelled': error('57014', 'canceling statement due to user request'),

  // Running
  'server-crashed': fatal(
    '08006',
    'server conn crashed?',
    'The server closed the connection without giving a reason; see its log.',
  ),
  'server-nonsense': fatal(
    '08P01',
    'server conn crashed?',
    'The server sent what the protocol does not allow here: {reason}.',
  ),
  'query-timeout': fatal('57014', 'query timeout', 'The setting is query_timeout.'),
  'idle-transaction-timeout': fatal('25P03', 'idle transaction timeout', 'The setting is idle_transaction_timeout.'),
  'transaction-timeout': fatal('25P04', 'transaction timeout', 'The setting is transaction_timeout.'),
  'client-idle-timeout': fatal('57P05', 'client_idle_timeout', 'The setting is client_idle_timeout.'),
  'statement-mode-transaction': fatal(
    '0A000',
    'transaction blocks not allowed in statement pooling mode',
    'The setting is pool_mode.',
  ),
  'statement-unknown': postgresError('26000', 'prepared statement "{name}" does not exist', 'FetchPreparedStatement'),
  'too-many-statements': error(
    '54000',
    'the prepared statements of this connection are over the limit of {limit} bytes',
    'Deallocate statements that are no longer needed, or set max_prepared_statements = 0.',
  ),
  'stale-plan': postgresError('0A000', 'cached plan must not change result type', 'RevalidateCachedQuery'),
  'statement-exists': postgresError('42P05', 'prepared statement "{name}" already exists', 'StorePreparedStatement'),
  'internal-error': fatal(
    'XX000',
    'internal error of the pooler',
    'This is a bug in pgweir. Please report it with the log.',
  ),

  // The console
  'console-command': error('42601', "invalid command '{command}', use SHOW HELP;", '{hint}'),
  'console-access': error('42501', 'admin access needed', 'The setting is admin_users.'),
  'console-refused': error('0A000', '{command} is not supported', '{why}.'),
  'reload-failed': error('F0000', 'RELOAD failed, see logs for additional details', 'Nothing was changed.'),
  'console-database-needed': error('42601', 'a database is required'),
  'console-no-database': error('3D000', 'no such database: {database}', 'SHOW DATABASES lists them.'),
  'console-own-database': error('0A000', 'cannot {verb} admin db: {database}'),
  'not-paused': error('55000', 'pooler is not paused/suspended'),
  'already-suspended': error('55000', 'already suspended/paused', 'RESUME ends it.'),
  'suspended-while-paused': error(
    '55000',
    'cannot suspend with paused databases',
    'Run RESUME for the paused databases first.',
  ),
  'suspension-ended': error('55000', 'the suspension was ended by RESUME before all data was delivered'),
  'database-not-paused': error('55000', 'database {database} is not paused'),
  'pause-ended': error('55000', 'the pause was ended by RESUME before all servers were free'),
  'client-unknown': error('42704', 'client not found', 'SHOW CLIENTS lists the clients with their ids.'),
  'client-id-bad': error('22023', 'invalid client pointer supplied', 'Use an id or a ptr from SHOW CLIENTS.'),
  'shutting-down': error('55000', 'pooler is shutting down'),
  'set-failed': error('22023', 'SET failed', '{why}.'),
  'set-needs-restart': error(
    '55P02',
    'parameter "{key}" cannot be changed without restarting the pooler',
    'Change it in the configuration file.',
  ),
  'no-workers': error('55000', 'there is only one process, which cannot be replaced', 'The setting is workers.'),
  'restart-runs': error('55000', 'workers are being replaced already', 'SHOW WORKERS shows the progress.'),
  'console-several-commands': error('42601', 'cannot insert multiple commands into a prepared statement'),
  'console-parameters': error(
    '0A000',
    'console commands take no parameters',
    'Write the values into the text of the command.',
  ),
  'console-formats': error('08P01', 'bind message has {formats} result formats but the command has {columns} columns'),
  'console-function-call': error('0A000', 'function calls are not supported on the console'),
  'console-too-many': error('54000', 'too many {what} on the console', 'The limit is {limit}. Close some of them.'),
  'console-message-too-large': logged(
    'Split the command.',
    fatal('54000', 'a message of {length} bytes is over the limit of {limit} bytes of the console'),
  ),
  'portal-unknown': error('34000', 'portal "{name}" does not exist'),
  'portal-exists': error('42P03', 'portal "{name}" already exists'),
} as const satisfies Record<string, ProblemRow>

export type ProblemKind = keyof typeof PROBLEMS

export type ProblemDetails = Readonly<Record<string, string | number>>

/** A problem caused from outside (client, server, network or operator). Expected: it ends one connection or one request, never the process. */
export class PoolerError extends Error {
  override readonly name = 'PoolerError'
  readonly kind: ProblemKind
  /** The values for the placeholders of its texts. `kind` and `details` are all that another process needs to rebuild the error. */
  readonly details: ProblemDetails
  readonly severity: Severity
  readonly sqlstate: string
  readonly hint: string | undefined
  /** The hint for the log; may exist even if the client gets none. */
  readonly logHint: string | undefined
  readonly routine: string | undefined

  constructor(kind: ProblemKind, details: ProblemDetails = {}, options?: ErrorOptions) {
    const row: ProblemRow = PROBLEMS[kind]
    super(fill(row.message, details), options)
    this.kind = kind
    this.details = details
    this.severity = row.severity
    this.sqlstate = row.sqlstate
    this.hint = row.hint === undefined ? undefined : fill(row.hint, details)
    this.logHint = row.logHint ?? this.hint
    this.routine = row.routine
  }
}

/** Undefined for an error of Postgres'. */
export function kindOf(notice: object): ProblemKind | undefined {
  return notice instanceof PoolerError ? notice.kind : undefined
}

function fill(sentence: string, details: ProblemDetails): string {
  return sentence.replace(/\{(\w+)\}/g, (_, name: string) => String(details[name] ?? `(${name})`))
}

/** Returns the whole of docs/messages.md. A test compares them; `npx vitest run test/unit/problems.test.ts -u` rewrites the file. */
export function messagesPage(): string {
  const rows = Object.entries<ProblemRow>(PROBLEMS).map(
    ([kind, { severity, sqlstate, message, hint = '' }]) =>
      `| ${severity} | ${sqlstate} | ${cell(message)} | ${cell(hint)} | ${kind} |`,
  )
  return `${INTRODUCTION}\n\n| severity | SQLSTATE | message | hint | kind |\n| --- | --- | --- | --- | --- |\n${rows.join('\n')}\n`
}

const INTRODUCTION = `# Messages

<!-- Generated from src/problems.ts: change the table there, then run \`npx vitest run test/unit/problems.test.ts -u\`. -->

These are the errors that pgweir itself sends to clients. Errors of PostgreSQL are passed on unchanged. Where PgBouncer has a message for the same error, pgweir uses its text, because scripts
match it. The SQLSTATEs are more specific: PgBouncer reports nearly all of these errors as 08P01. \`FATAL\` ends the connection, \`ERROR\` does not. Words
in braces are replaced by details. Every message is also logged, as \`pooler error: …\`, before it is sent to the client.
Hints that could help an attacker are only in the log. For what each message means and what to do, see
[troubleshooting](troubleshooting.md#by-message).`

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}
