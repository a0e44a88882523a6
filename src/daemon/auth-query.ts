/** Looks up users that are not in auth_file in Postgres (auth_query), and caches the answers for auth_query_lifetime. */

import { isSameSecret, PlainSecret, parseSecret, type Secret, type SecretShape } from '../auth/secrets.ts'
import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { Lru } from '../base/lru.ts'
import type { Host } from '../client/host.ts'
import type { Row } from '../pool/lookup.ts'
import { PoolerError } from '../problems.ts'
import type { DatabaseSettings } from '../settings/databases.ts'
import { databaseFor, type Settings } from '../settings/load.ts'
import { CONSOLE_NAMES } from '../settings/logging-in.ts'
import type { Notice } from '../wire/notices.ts'
import { AskedOnce } from './asked-once.ts'
import type { Inquiries } from './inquiries.ts'

/** An auth_query, and where and as whom it runs. */
export interface Question {
  readonly database: string
  /** The user that runs the query: auth_user. */
  readonly asker: string
  readonly query: string
}

/** null if there is no such user. */
export type Answer = Secret | null | PoolerError

/**
 * The user and the database with which queries about a client of database `name` run. Returns null if that database does not exist, or if
 * there is no auth_user or no database to ask in.
 */
export function askerFor(
  settings: Settings,
  name: string,
): { readonly asker: string; readonly database: string; readonly own: DatabaseSettings | null } | null {
  const { general } = settings
  const isConsole = CONSOLE_NAMES.includes(name)
  const own = isConsole ? null : databaseFor(settings, name)
  if (own === null && !isConsole) return null
  const asker = own?.auth_user ?? general.auth_user
  const database = (own?.auth_dbname ?? general.auth_dbname) || (isConsole ? '' : name)
  return asker === '' || database === '' ? null : { asker, database, own }
}

/** Whether any database has an auth_user. */
export function hasAsker({ general, databases, fallback }: Settings): boolean {
  return general.auth_user !== '' || [...databases.values(), fallback].some((each) => each?.auth_user)
}

export interface AuthQueriesOptions {
  readonly clock: Clock
  readonly log: Log
  readonly inquiries: Pick<Inquiries, 'ask'>
  settings(): Settings
}

interface Known {
  readonly secret: Secret | null
  readonly foundMs: number
}

/** Limit on the cache, since unauthenticated clients may ask for any number of names. */
const MAX_KNOWN = 10_000

export class AuthQueries {
  readonly #options: AuthQueriesOptions
  readonly #known = new Lru<string, Known>(MAX_KNOWN)
  readonly #asked = new AskedOnce<Answer>()

  /** How often each kind of secret was found. */
  readonly #found: Record<Secret['kind'], number> = { plain: 0, md5: 0, scram: 0 }

  /** The iterations of the SCRAM secret that was found last. */
  #iterations: number | null = null

  constructor(options: AuthQueriesOptions) {
    this.#options = options
  }

  /** The shape that most looked-up secrets have. SCRAM if in doubt, since it is PostgreSQL's default. */
  get usualShape(): SecretShape {
    const { plain, md5, scram } = this.#found
    if (scram >= plain + md5) return { kind: 'scram', iterations: this.#iterations }
    return { kind: md5 > plain ? 'md5' : 'plain', iterations: null }
  }

  /** The kinds of secret that were found so far, and SCRAM, which is likely. */
  get kinds(): ReadonlySet<Secret['kind']> {
    return new Set(['scram', ...KINDS.filter((kind) => this.#found[kind] > 0)])
  }

  /** Looks up the secret of `user`. Calls `done` at once if the answer is cached. */
  find(question: Question, user: string, session: Pick<Host, 'isOpen'>, done: (answer: Answer) => void): void {
    const { clock, settings, inquiries } = this.#options
    const { auth_query_lifetime: lifetimeMs, client_login_timeout: timeoutMs } = settings().general
    const key = keyOf(question, user)
    const known = this.#known.get(key)
    if (known && clock.nowMs - known.foundMs < lifetimeMs) {
      done(known.secret)
      return
    }
    this.#asked.ask(key, { session, done }, ({ tell, isWanted, onUnwanted }) =>
      inquiries.ask(
        { ...question, user, timeoutMs },
        {
          isWanted,
          onUnwanted,
          onFound: (rows) => {
            const answer = this.#understand(question, key, rows)
            this.#debug(question, user, answer)
            tell(answer)
          },
          onFailed: (problem) => tell(this.#failed(question, reasonOf(problem), problem.sqlstate)),
        },
      ),
    )
  }

  /** Called when a client has left, whether it was being looked up or not. */
  left(session: Pick<Host, 'isOpen'>): void {
    this.#asked.left(session)
  }

  /** Called after a failed login: the user's secret may have changed, so the cached answer is dropped. */
  forget(question: Question, user: string): void {
    this.#known.delete(keyOf(question, user))
  }

  #understand(question: Question, key: string, rows: readonly Row[]): Answer {
    const [row] = rows
    if (row !== undefined && row.length !== 2)
      return this.#failed(question, `the result has ${row.length} columns instead of two (name and secret)`)
    let secret: Secret | null = null
    try {
      // As in PgBouncer, a user without a password gets an empty secret, with which no login succeeds.
      if (row !== undefined) secret = row[1] == null ? new PlainSecret('') : parseSecret(row[1])
    } catch (problem) {
      return this.#failed(question, (problem as Error).message)
    }
    const known = this.#known.get(key)?.secret
    // Keep the old object: derived keys are stored on it.
    if (known && secret && isSameSecret(known, secret)) secret = known
    if (secret !== null && !isNobodys(secret)) this.#found[secret.kind]++
    if (secret?.kind === 'scram') this.#iterations = secret.iterations
    this.#known.set(key, { secret, foundMs: this.#options.clock.nowMs })
    return secret
  }

  #debug({ database, asker }: Question, user: string, answer: Answer): void {
    if (answer instanceof PoolerError) return
    const found = answer === null ? 'no such user' : `${answer.kind} secret`
    this.#options.log.debug(`auth_query of ${asker} in database ${database} for user ${user}: ${found}`)
  }

  /** Logs the reason. The error for the client does not contain it, since the client has not logged in. */
  #failed({ database, asker }: Question, reason: string, sqlstate: string | null = null): PoolerError {
    const { log } = this.#options
    const problem = new PoolerError('auth-query-failed')
    const sentence = `auth_query of ${asker} in database ${database} failed: ${reason}`
    // Clients may name any database. That one does not exist is no trouble of the others.
    if (sqlstate === NO_SUCH_DATABASE && !this.#isConfigured(database))
      log.warning(sentence, { kind: problem.kind, hint: MISNAMED })
    else log.error(sentence, { kind: problem.kind, hint: BROKEN })
    return problem
  }

  /** Whether the settings name the database, so that it must exist. */
  #isConfigured(database: string): boolean {
    const { general, databases, fallback } = this.#options.settings()
    const isChosen = [general, fallback, ...databases.values()].some((each) => each?.auth_dbname === database)
    return isChosen || databases.has(database)
  }
}

/** invalid_catalog_name */
const NO_SUCH_DATABASE = '3D000'

const BROKEN =
  'Until this is fixed, users who are not in auth_file cannot log in. The settings are auth_query, auth_user and auth_dbname.'

const MISNAMED =
  'A client has named a database that PostgreSQL does not have; its own line follows. With auth_dbname, auth_query runs in the same database for all.'

const KINDS = ['plain', 'md5', 'scram'] as const satisfies readonly Secret['kind'][]

/** Whether no login can succeed with this secret. */
export function isNobodys(secret: Secret): boolean {
  return secret.kind === 'plain' && secret.isEmpty
}

/** The message of a notice, with its hint. */
export function reasonOf({ message, hint }: Notice): string {
  return hint ? `${message} (${hint})` : message
}

function keyOf({ database, asker, query }: Question, user: string): string {
  return JSON.stringify([database, asker, query, user])
}
