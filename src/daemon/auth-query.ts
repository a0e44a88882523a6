/** Looks up users that are not in auth_file, in Postgres itself; and remembers for a while what it was told. */

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

/** What is asked, and where. */
export interface Question {
  readonly database: string
  /** Who asks. */
  readonly asker: string
  readonly query: string
}

/** null: there is no such user. */
export type Answer = Secret | null | PoolerError

/** As whom something is asked for a client, and in which database; null if nobody is to ask. */
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

/** Whether anybody is asked about users of one database or another. */
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

/** Strangers may ask for any number of names. */
const MAX_KNOWN = 10_000

export class AuthQueries {
  readonly #options: AuthQueriesOptions
  readonly #known = new Lru<string, Known>(MAX_KNOWN)
  readonly #asked = new AskedOnce<Answer>()

  /** How often which kind was found. */
  readonly #found: Record<Secret['kind'], number> = { plain: 0, md5: 0, scram: 0 }

  /** Of the SCRAM secret that was found last. */
  #iterations: number | null = null

  constructor(options: AuthQueriesOptions) {
    this.#options = options
  }

  /** What most users have who are looked up. It is SCRAM in PostgreSQL, unless somebody has wanted it otherwise. */
  get usualShape(): SecretShape {
    const { plain, md5, scram } = this.#found
    if (scram >= plain + md5) return { kind: 'scram', iterations: this.#iterations }
    return { kind: md5 > plain ? 'md5' : 'plain', iterations: null }
  }

  /** Which kinds they are known or likely to have. */
  get kinds(): ReadonlySet<Secret['kind']> {
    return new Set(['scram', ...KINDS.filter((kind) => this.#found[kind] > 0)])
  }

  /** Calls back at once where the answer is known. */
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
          onFailed: (problem) => tell(this.#failed(question, reasonOf(problem))),
        },
      ),
    )
  }

  /** Somebody has not logged in with it: it may be another one by now. */
  forget(question: Question, user: string): void {
    this.#known.delete(keyOf(question, user))
  }

  #understand(question: Question, key: string, rows: readonly Row[]): Answer {
    const [row] = rows
    if (row !== undefined && row.length !== 2)
      return this.#failed(question, `it has ${row.length} columns, and must have two: name and secret`)
    let secret: Secret | null = null
    try {
      // As in PgBouncer no password is one that nobody can give.
      if (row !== undefined) secret = row[1] == null ? new PlainSecret('') : parseSecret(row[1])
    } catch (problem) {
      return this.#failed(question, (problem as Error).message)
    }
    const known = this.#known.get(key)?.secret
    // Keys that were derived from a secret hang on the object.
    if (known && secret && isSameSecret(known, secret)) secret = known
    if (secret !== null && !isNobodys(secret)) this.#found[secret.kind]++
    if (secret?.kind === 'scram') this.#iterations = secret.iterations
    this.#known.set(key, { secret, foundMs: this.#options.clock.nowMs })
    return secret
  }

  #debug({ database, asker }: Question, user: string, answer: Answer): void {
    if (answer instanceof PoolerError) return
    const found = answer === null ? 'no such user' : `a secret of the kind ${answer.kind}`
    this.#options.log.debug(`auth_query of ${asker} in database ${database} about ${user}: ${found}`)
  }

  /** What went wrong is no affair of a client that is not in yet. */
  #failed({ database, asker }: Question, reason: string): PoolerError {
    this.#options.log.error(`auth_query of ${asker} in database ${database} failed: ${reason}`, {
      hint: 'Whoever is not in auth_file cannot log in meanwhile. The settings are auth_query, auth_user and auth_dbname.',
    })
    return new PoolerError('auth-query-failed')
  }
}

const KINDS = ['plain', 'md5', 'scram'] as const satisfies readonly Secret['kind'][]

/** Nobody logs in with it. */
export function isNobodys(secret: Secret): boolean {
  return secret.kind === 'plain' && secret.isEmpty
}

/** With what there is to do about it. */
export function reasonOf({ message, hint }: Notice): string {
  return hint ? `${message} (${hint})` : message
}

function keyOf({ database, asker, query }: Question, user: string): string {
  return JSON.stringify([database, asker, query, user])
}
