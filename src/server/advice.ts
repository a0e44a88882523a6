/** Hints for operators on why a server ended, by the reason in the log. Everyday reasons have none. */

const ADVICE: Readonly<Record<string, string>> = {
  'server conn crashed?':
    'PostgreSQL, or something between it and pgweir, closed the connection without giving a reason; see the log of PostgreSQL at this time. If something in between drops idle connections, use a shorter server_idle_timeout, or set tcp_keepidle.',
  'client disconnected with query in progress':
    'The client left before the answer, so the query was canceled. See the log line about the client.',
  'client disconnected with query in progress, which could not be canceled':
    'The query may still run in PostgreSQL; pg_stat_activity shows it, and pg_terminate_backend ends it.',
  'client disconnect while server was not ready':
    'The client left during a transaction, which is rolled back. See the log line about the client. If this happens often, it is costly: a new server must be opened each time.',
  'a query of the pooler ended within a transaction':
    'One of server_check_query, server_reset_query and auth_query begins a transaction and does not end it.',
  'no answer while checking':
    'Something in between, such as a firewall, may have dropped the idle connection; use a shorter server_idle_timeout, or set tcp_keepidle. If that does not help, PostgreSQL hangs, or server_check_query waits for a lock.',
  'test query failed': 'The setting is server_check_query; the log of PostgreSQL says why it failed.',
  'reset query failed': 'The setting is server_reset_query; the log of PostgreSQL says why it failed.',
  'idle server got dirty': 'PostgreSQL sent something that nobody had asked for; see its log at this time.',
  'a query of the pooler takes too long':
    'The query is auth_query; its database is slow, or the query waits for a lock.',
  'connect failed':
    'See the reason. Check host, port and firewall, and whether PostgreSQL runs there. pgweir retries automatically.',
  'login failed':
    'See the reason. Check pg_hba.conf and max_connections of PostgreSQL, TLS, and the user and password that pgweir logs in with. pgweir retries automatically.',
  'idle server got an error':
    'PostgreSQL closed the connection, for example because of a restart, pg_terminate_backend or idle_session_timeout; see its log at this time.',
  'the server sent nonsense':
    'Check for a proxy between pgweir and PostgreSQL. If there is none, report this with the log.',
  'internal error': 'This is a bug in pgweir. Please report it with the log.',
}

/** The reasons with a hint, for a test that checks that the code still gives each of them. */
export const ADVISED: readonly string[] = Object.keys(ADVICE)

/**
 * Returns the hint, or undefined if there is nothing to do. Text in parentheses at the end of the reason, or after a colon, comes from
 * elsewhere (Postgres, the system) and is ignored.
 */
export function adviceOn(reason: string): string | undefined {
  return ADVICE[reason] ?? ADVICE[reason.replace(/ \([^()]*\)$/, '')] ?? ADVICE[reason.replace(/:.*$/s, '')]
}
