/** Hints for operators on why a server ended, by the reason in the log. Everyday reasons have none. */

const ADVICE: Readonly<Record<string, string>> = {
  'server conn crashed?':
    'PostgreSQL, or what is between, closed the connection without a word: see the log of PostgreSQL at this time. What cuts idle connections wants a shorter server_idle_timeout, or tcp_keepidle.',
  'client disconnected with query in progress':
    'Its client was gone before the answer, so that it was cancelled. The line about the client tells more.',
  'client disconnected with query in progress, which could not be cancelled':
    'What it ran may go on in PostgreSQL: pg_stat_activity shows it, and pg_terminate_backend ends it.',
  'client disconnect while server was not ready':
    'Its client was gone within a transaction, which is rolled back. The line about the client tells more. Often is costly: each time a server has to be opened anew.',
  'a query of the pooler ended within a transaction':
    'One of server_check_query, server_reset_query and auth_query begins a transaction and does not end it.',
  'no answer while checking':
    'What is between, such as a firewall, may have cut the idle connection without a word: a shorter server_idle_timeout, or tcp_keepidle, helps. If not, PostgreSQL hangs, or what server_check_query asks for is locked.',
  'test query failed': 'The setting is server_check_query; the log of PostgreSQL tells why.',
  'reset query failed': 'The setting is server_reset_query; the log of PostgreSQL tells why.',
  'idle server got dirty': 'PostgreSQL has said what nobody had asked for: see its log at this time.',
  'a query of the pooler takes too long': 'It is auth_query: the database that it is asked in is slow, or locked.',
  'connect failed':
    'Look at the cause: host, port and firewall, and whether PostgreSQL runs there. It is tried again by itself.',
  'login failed':
    'Look at the cause: pg_hba.conf and max_connections of PostgreSQL, TLS, and the user and password that it is logged in to with. It is tried again by itself.',
  'idle server got an error':
    'PostgreSQL has ended it, as a restart, pg_terminate_backend and idle_session_timeout do: see its log at this time.',
  'the server sent nonsense':
    'Look at what sits between the pooler and PostgreSQL. If that is nothing, report it with the log.',
  'internal error': 'This is a bug in pgweir: please report it with its log.',
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
