/** Applies changed settings while the pooler runs (RELOAD, SET): reads and checks them as a whole, logs what changes, and updates each part. */

import type { Log } from '../base/log.ts'
import { PoolerError } from '../problems.ts'
import { changesBetween, describeChanges, withoutRestart } from '../settings/changes.ts'
import { diskFiles } from '../settings/ini.ts'
import type { Loaded, Settings } from '../settings/load.ts'
import { formatProblem, hasErrors, type Problem } from '../settings/problem.ts'
import { References } from '../settings/references.ts'
import { withSetting } from '../settings/set.ts'
import type { Databases } from './databases.ts'
import { type HbaSetup, loadHba } from './hba.ts'
import { takeUnreadable } from './kept-files.ts'
import type { Live, LoadedFiles } from './live.ts'
import type { LiveSettings } from './live-settings.ts'
import { logProblems, type OpenLog } from './open-log.ts'
import { loadTls, type TlsSetup } from './tls.ts'
import { type LoadedUsers, loadUsers, type UserChanges, type UserFileContent, type Users } from './users.ts'

export interface ApplierParts {
  readonly live: LiveSettings
  readonly log: Log
  readonly users: Pick<Users, 'replace'>
  readonly databases: Pick<Databases, 'refresh'>
  readonly tls: Live<TlsSetup>
  readonly hba: Live<HbaSetup>
  readonly reopenLog: OpenLog['reopen']
  /** Reads the settings from the same sources as at the start. */
  load(iniFile: string): Loaded
}

/** Which files, other than auth_file, the primary has read again and found good. */
export interface ReadFiles {
  readonly tls: boolean
  readonly hba: boolean
}

/** Settings that were read and found good, ready to be applied. In a fleet, the primary prepares them for all workers. */
export interface Prepared {
  /** Includes changes that take effect only after a restart. */
  readonly settings: Settings
  /** The users of auth_file; null if the file was not read. */
  readonly users: UserFileContent | null
  /** Null if keys and certificates were not read. */
  readonly tls: TlsSetup | null
  /** Null if auth_hba_file was not read. */
  readonly hba: HbaSetup | null
}

export class Applier {
  readonly #parts: ApplierParts

  constructor(parts: ApplierParts) {
    this.#parts = parts
  }

  /**
   * First half of RELOAD: reads and checks everything. Changes nothing yet, except that it reopens the log file. If anything is wrong, logs
   * all problems and throws 'reload-failed'.
   */
  readAgain(): Prepared {
    const { log, load, live } = this.#parts
    // First, because a log rotation that has moved the file away depends on it even if the settings turn out to be bad.
    this.#reopenLog()
    const { settings, problems } = load(live.now.general.conffile)
    const users = loadUsers(settings)
    const { setup, problems: inTls } = loadTls(settings)
    const { setup: hba, problems: inHba } = loadHba(settings)
    const all = [...problems, ...users.problems, ...inTls, ...inHba, ...logProblems(settings)]
    for (const problem of all) tell(log, problem)
    for (const path of takeUnreadable())
      log.warning(`${path} cannot be read by user ${settings.general.user}; its previous content stays in use`)
    if (hasErrors(all)) throw new PoolerError('reload-failed')
    return { settings, users, tls: setup, hba }
  }

  /** The current settings, for workers that should only reopen the log file. */
  get unchanged(): Prepared {
    return { settings: this.#parts.live.now, users: null, tls: null, hba: null }
  }

  /** First half of SET. Throws if the setting can only be changed by a restart or the value is not valid. */
  readSet(key: string, value: string): Prepared {
    const { live, log } = this.#parts
    const outcome = withSetting(live.now, key, value, new References(process.env, diskFiles))
    if ('why' in outcome) {
      if (outcome.why === null) throw new PoolerError('set-needs-restart', { key })
      throw new PoolerError('set-failed', { why: outcome.why })
    }
    const { settings } = outcome
    const isOtherFile = settings.general.auth_file !== live.now.general.auth_file
    const users = isOtherFile ? loadUsers(settings) : null
    const isTls = /^(client|server)_tls/.test(key)
    const { setup, problems: inTls } = isTls ? loadTls(settings) : NOT_READ
    // loadHba checks that login by certificate goes with a client_tls_sslmode that asks clients for certificates.
    const isHba = key.startsWith('auth_') || key === 'client_tls_sslmode'
    const { setup: hba, problems: inHba } = isHba ? loadHba(settings) : NOT_READ
    for (const { severity, sentence } of [...(users?.problems ?? []), ...inTls, ...inHba, ...logProblems(settings)])
      if (severity === 'error') throw new PoolerError('set-failed', { why: sentence })
    if (outcome.warning !== null) log.warning(outcome.warning)
    return { settings, users, tls: setup, hba }
  }

  /** In a worker: applies settings that the primary has checked and sent. If a file cannot be read here, logs that and keeps the old content. */
  takeOver(settings: Settings, users: UserFileContent | null, files: ReadFiles): void {
    const { setup, problems: inTls } = files.tls ? loadTls(settings) : NOT_READ
    const { setup: hba, problems: inHba } = files.hba ? loadHba(settings) : NOT_READ
    for (const problem of [...inTls, ...inHba]) if (problem.severity === 'error') tell(this.#parts.log, problem)
    this.#take({ settings, users, tls: setup, hba })
  }

  /** The same if only auth_file has changed. */
  takeOverUsers(users: UserFileContent): void {
    this.#parts.users.replace(users)
  }

  /** In the process that reads auth_file: applies a change of that file alone. */
  takeUsers(users: LoadedUsers): void {
    for (const problem of users.problems) tell(this.#parts.log, problem)
    this.#tellOf(this.#parts.users.replace(users))
  }

  /** Second half of RELOAD and SET: logs the changes and applies them. Never fails. */
  apply(prepared: Prepared): void {
    const { settings } = prepared
    const { live, log } = this.#parts
    for (const { sentence, isWarning } of describeChanges(changesBetween(live.now, settings)))
      if (isWarning) log.warning(sentence)
      else log.info(sentence)
    this.#tellOf(this.#take(prepared))
  }

  #tellOf(users: UserChanges | null): void {
    if (users !== null && users.added + users.removed + users.changed > 0)
      this.#parts.log.info(`auth_file: ${users.added} users added, ${users.changed} changed, ${users.removed} removed`)
  }

  #take({ settings, users: content, tls: setup, hba: rules }: Prepared): UserChanges | null {
    const { live, users, databases, tls, hba } = this.#parts
    live.now = withoutRestart(live.now, settings)
    this.#reopenLog()
    if (setup !== null) tls.setup = setup
    if (rules !== null) hba.setup = rules
    const changes = content === null ? null : users.replace(content)
    databases.refresh()
    return changes
  }

  #reopenLog(): void {
    const { live, log, reopenLog } = this.#parts
    try {
      reopenLog(live.now.general)
    } catch (cause) {
      log.error(`the log file cannot be reopened, so the old one stays in use: ${reasonOf(cause)}`)
    }
  }
}

const NOT_READ: LoadedFiles<never> = { setup: null, problems: [] }

function tell(log: Log, problem: Problem): void {
  if (problem.severity === 'error') log.error(formatProblem(problem))
  else log.warning(formatProblem(problem))
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}
