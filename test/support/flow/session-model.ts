/**
 * A model of one Postgres session: what it answers to each message, depending on its state. Property tests use it twice: behind the pooler, as
 * its servers, and beside it, for what a client would have received without a pooler.
 *
 * Its SQL is invented for this: `rows TAG N`, `fail TAG`, `bad TAG` (cannot be parsed), `begin`, `commit`, `rollback`, `ddl TAG`, `set ZONE`,
 * `copyin TAG`, `copyin-bad TAG`, `copyin-early TAG` (fails before it reads), `copyout TAG N`, `discard all`, `reset zone`, `set default`,
 * `deallocate all`, and the empty text. With `select` before them, `rows`, `fail` and `bad` are texts that a pooler may keep prepared.
 */

import type { Request } from './reading.ts'
import * as replies from './replies.ts'

export const DEFAULT_ZONE = 'Etc/UTC'

interface Portal {
  readonly text: string
  readonly parameters: readonly string[]
  sent: number
  isDone: boolean
}

/** A COPY FROM STDIN that is open. */
interface Copy {
  readonly isSimple: boolean
  readonly isBad: boolean
  rows: number
}

const UNKNOWN = '26000'

class SqlError extends Error {
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

/** A statement, with the version of the tables and the batch that it was parsed in. */
interface Parsed {
  readonly text: string
  readonly version: number
  readonly batch: number
}

/** The tables that several sessions share. A statement that was parsed before they have changed is refused. */
export class Tables {
  version = 0
  /** How often a statement was refused for that reason. */
  refusals = 0
}

export class SessionModel {
  #status: 'I' | 'T' | 'E' = 'I'
  readonly #tables: Tables
  readonly #statements = new Map<string, Parsed>()
  /** A statement that was parsed in the current batch is not refused: it locks its tables until the batch ends. */
  #batch = 0
  readonly #portals = new Map<string, Portal>()
  #skipsToSync = false
  #copy: Copy | null = null
  #zone: string
  /** Whether the zone was set in this session and not reset since. */
  #isZoneSet = false
  #zoneBefore: string
  #wasZoneSet = false
  #reportedZone: string
  readonly #firstZone: string

  constructor(zone = DEFAULT_ZONE, tables = new Tables()) {
    this.#tables = tables
    this.#zone = zone
    this.#zoneBefore = zone
    this.#reportedZone = zone
    this.#firstZone = zone
  }

  /** Returns all replies to a message. */
  answer(request: Request): Buffer[] {
    const out: Buffer[] = []
    try {
      this.#understand(request, out)
    } catch (problem) {
      if (!(problem instanceof SqlError)) throw problem
      this.#fail(problem, request, out)
    }
    return out
  }

  #understand({ name, texts }: Request, out: Buffer[]): void {
    const [first = '', second = '', ...more] = texts
    if (this.#copy) {
      this.#goOnCopying(name, out, this.#copy)
      return
    }
    if (this.#skipsToSync && name !== 'Sync') return
    switch (name) {
      case 'Query':
        this.#statements.delete('')
        this.#portals.delete('')
        this.#run({ text: first, parameters: [], sent: 0, isDone: false }, 0, true, out)
        if (!this.#copy) this.#ready(out)
        return
      case 'FunctionCall':
        this.#refuseFailed('select')
        out.push(replies.functionResult(first))
        this.#ready(out)
        return
      case 'Parse':
        if (first === '') this.#statements.delete('')
        if (commandOf(second).startsWith('bad')) throw new SqlError('42601', `syntax error at ${second}`)
        this.#refuseFailed(second)
        if (first !== '' && this.#statements.has(first))
          throw new SqlError('42P05', `prepared statement "${first}" already exists`)
        this.#statements.set(first, { text: second, version: this.#tables.version, batch: this.#batch })
        out.push(replies.parseComplete)
        return
      case 'Bind': {
        const text = this.#statement(second)
        this.#refuseFailed(text)
        if (first !== '' && this.#portals.has(first)) throw new SqlError('42P03', `portal "${first}" already exists`)
        this.#portals.set(first, { text, parameters: more, sent: 0, isDone: false })
        out.push(replies.bindComplete)
        return
      }
      case 'Describe':
        if (first === 'statement') {
          // Postgres sends this before it checks the tables.
          if (this.#statements.has(second) && this.#status !== 'E') out.push(replies.parameterDescription())
          const text = this.#statement(second)
          // In a failed transaction Postgres would still describe a statement without rows. The pooler cannot always do so, since a statement
          // that was evicted cannot be prepared again there.
          this.#refuseFailed(text)
          out.push(describe(text))
        } else out.push(describe(this.#portal(second).text))
        return
      case 'Execute':
        this.#run(this.#portal(first), Number(second || 0), false, out)
        return
      case 'Close':
        if (first === 'statement') this.#statements.delete(second)
        else this.#portals.delete(second)
        out.push(replies.closeComplete)
        return
      case 'Sync':
        this.#skipsToSync = false
        this.#batch++
        this.#ready(out)
        return
      default:
        // Flush, and COPY messages outside a COPY.
        return
    }
  }

  #run(portal: Portal, limit: number, isSimple: boolean, out: Buffer[]): void {
    const [verb = '', tag = '', count = '1'] = commandOf(portal.text).split(' ')
    this.#refuseFailed(portal.text)
    if (portal.isDone && verb !== 'rows') throw new SqlError('55000', 'portal cannot be run')
    switch (verb) {
      case '':
        out.push(replies.emptyQuery)
        break
      case 'rows': {
        const left = Number(count) - portal.sent
        const now = limit > 0 ? Math.min(limit, left) : left
        if (isSimple) out.push(describe(portal.text))
        for (let row = 0; row < now; row++) out.push(replies.dataRow([tag, ...portal.parameters].join('|')))
        portal.sent += now
        if (limit > 0 && now === limit) {
          out.push(replies.portalSuspended)
          return
        }
        out.push(replies.complete(`SELECT ${now}`))
        break
      }
      case 'fail':
        throw new SqlError('22012', `failed: ${tag}`)
      case 'bad':
        throw new SqlError('42601', `syntax error at ${portal.text}`)
      case 'begin':
        this.#status = 'T'
        this.#zoneBefore = this.#zone
        this.#wasZoneSet = this.#isZoneSet
        out.push(replies.complete('BEGIN'))
        break
      case 'commit':
      case 'rollback':
        out.push(replies.complete(verb === 'commit' && this.#status !== 'E' ? 'COMMIT' : 'ROLLBACK'))
        if (this.#status !== 'I' && (verb === 'rollback' || this.#status === 'E')) {
          this.#zone = this.#zoneBefore
          this.#isZoneSet = this.#wasZoneSet
        }
        this.#status = 'I'
        break
      case 'ddl':
        out.push(replies.complete('ALTER TABLE'))
        break
      case 'set':
      case 'reset':
        if (verb === 'reset' || tag === 'default') this.#resetZone()
        else {
          this.#zone = tag
          this.#isZoneSet = true
        }
        out.push(replies.complete(verb.toUpperCase()))
        break
      case 'deallocate':
        for (const name of [...this.#statements.keys()]) if (name !== '') this.#statements.delete(name)
        out.push(replies.complete('DEALLOCATE ALL'))
        break
      case 'discard':
      case 'DISCARD':
        if (this.#status !== 'I') throw new SqlError('25001', 'DISCARD ALL cannot run inside a transaction block')
        this.#statements.clear()
        this.#portals.clear()
        this.#resetZone()
        out.push(replies.complete('DISCARD ALL'))
        break
      case 'copyin-early':
        out.push(replies.copyIn())
        throw new SqlError('P0001', `failed early: ${tag}`)
      case 'copyin':
      case 'copyin-bad':
        this.#copy = { isSimple, isBad: verb === 'copyin-bad', rows: 0 }
        out.push(replies.copyIn())
        break
      case 'copyout':
        out.push(replies.copyOut())
        for (let row = 0; row < Number(count); row++) out.push(replies.copyData(`${tag}\n`))
        out.push(replies.copyDone, replies.complete(`COPY ${count}`))
        break
      case 'select':
        this.#setConfig(portal.text, out)
        break
      default:
        throw new Error(`the model does not know ${portal.text}`)
    }
    portal.isDone = true
  }

  /** Postgres allows a reset within a transaction. The model does not, since a pooler restores settings only after the transaction. */
  #resetZone(): void {
    if (this.#status !== 'I') throw new SqlError('25001', 'the model resets nothing inside a transaction block')
    this.#zone = this.#firstZone
    this.#isZoneSet = false
  }

  #goOnCopying(name: string, out: Buffer[], copy: Copy): void {
    switch (name) {
      case 'CopyData':
        if (copy.isBad) throw new SqlError('22P04', 'bad COPY data')
        copy.rows++
        return
      case 'CopyDone':
        this.#copy = null
        out.push(replies.complete(`COPY ${copy.rows}`))
        if (copy.isSimple) this.#ready(out)
        return
      case 'CopyFail':
        throw new SqlError('57014', 'COPY from stdin failed')
      case 'Sync':
      case 'Flush':
        return
      default:
        throw new Error(`the model was sent ${name} during COPY`)
    }
  }

  /** Runs the statement with which the pooler changes settings, or restores those that were reset. */
  #setConfig(text: string, out: Buffer[]): void {
    const values: string[] = []
    const isLeft = text.startsWith('select case when') && this.#isZoneSet
    for (const [, name, value] of text.matchAll(/set_config\('(\w+)', (?:'([^']*)'|null), false\)/g)) {
      if (name === 'TimeZone' && !isLeft) {
        this.#zone = value ?? this.#firstZone
        this.#isZoneSet = value !== undefined
      }
      values.push(value ?? '')
    }
    if (values.length === 0) throw new Error(`the model does not know ${text}`)
    out.push(replies.rowDescription(...values.map(() => 'set_config')), replies.dataRow(...values))
    out.push(replies.complete('SELECT 1'))
  }

  #fail({ code, message }: SqlError, { name }: Request, out: Buffer[]): void {
    out.push(replies.error(code, message))
    const endsAtOnce = name === 'Query' || name === 'FunctionCall' || this.#copy?.isSimple
    this.#copy = null
    if (this.#status === 'T') this.#status = 'E'
    if (this.#status === 'I') this.#portals.clear()
    if (endsAtOnce) this.#ready(out)
    else this.#skipsToSync = true
  }

  #ready(out: Buffer[]): void {
    if (this.#status === 'I') this.#portals.clear()
    if (this.#zone !== this.#reportedZone) out.push(replies.parameterStatus('TimeZone', this.#zone))
    this.#reportedZone = this.#zone
    out.push(replies.ready(this.#status))
  }

  #statement(name: string): string {
    const parsed = this.#statements.get(name)
    if (parsed !== undefined) {
      const { text, version, batch } = parsed
      if (!hasRows(text) || version === this.#tables.version || batch === this.#batch) return text
      this.#tables.refusals++
      throw new SqlError('0A000', 'cached plan must not change result type')
    }
    const what = name === '' ? 'unnamed prepared statement' : `prepared statement "${name}"`
    throw new SqlError(UNKNOWN, `${what} does not exist`)
  }

  #portal(name: string): Portal {
    const portal = this.#portals.get(name)
    if (!portal) throw new SqlError('34000', `portal "${name}" does not exist`)
    return portal
  }

  #refuseFailed(text: string): void {
    if (this.#status === 'E' && text !== 'commit' && text !== 'rollback')
      throw new SqlError('25P02', 'current transaction is aborted')
  }
}

function commandOf(text: string): string {
  return text.replace(/^select (?=rows|fail|bad)/, '')
}

function hasRows(text: string): boolean {
  return /^(rows|fail)/.test(commandOf(text))
}

/** The column is named after the text, so that descriptions of different statements differ. */
function describe(text: string): Buffer {
  return hasRows(text) ? replies.rowDescription(commandOf(text).split(' ')[1] ?? '') : replies.noData
}
