/** Other settings for what runs: reads and checks them as a whole, tells what is different, and hands it to each part. Nobody is dropped. */

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
  /** Reads the settings from where they were read at the start. */
  load(iniFile: string): Loaded
}

/** Which files besides auth_file have been read again, and hold from now on as they are. */
export interface ReadFiles {
  readonly tls: boolean
  readonly hba: boolean
}

/** Settings that were found to be good. Where there are several processes, one reads them for all. */
export interface Prepared {
  /** With what holds only after a restart. */
  readonly settings: Settings
  /** Of auth_file; null if it was not read. */
  readonly users: UserFileContent | null
  /** With keys and certificates; null if they were not read. */
  readonly tls: TlsSetup | null
  /** Of auth_hba_file; null if it was not read. */
  readonly hba: HbaSetup | null
}

export class Applier {
  readonly #parts: ApplierParts

  constructor(parts: ApplierParts) {
    this.#parts = parts
  }

  /**
   * RELOAD, first half: reads everything, and changes nothing but that the log's file is opened anew. Throws if anything is wrong, once the
   * log has been told what.
   */
  readAgain(): Prepared {
    const { log, load, live } = this.#parts
    // Whoever has moved it away has not asked whether the settings are good.
    this.#reopenLog()
    const { settings, problems } = load(live.now.general.conffile)
    const users = loadUsers(settings)
    const { setup, problems: inTls } = loadTls(settings)
    const { setup: hba, problems: inHba } = loadHba(settings)
    const all = [...problems, ...users.problems, ...inTls, ...inHba, ...logProblems(settings)]
    for (const problem of all) tell(log, problem)
    for (const path of takeUnreadable())
      log.warning(`${path} cannot be read by user ${settings.general.user}: what was read before goes on`)
    if (hasErrors(all)) throw new PoolerError('reload-failed')
    return { settings, users, tls: setup, hba }
  }

  /** What holds now, for processes that are to do no more than open the log's file anew. */
  get unchanged(): Prepared {
    return { settings: this.#parts.live.now, users: null, tls: null, hba: null }
  }

  /** SET, first half. Throws if the value is not one for this setting. */
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
    // Logins by certificate need clients that show one.
    const isHba = key.startsWith('auth_') || key === 'client_tls_sslmode'
    const { setup: hba, problems: inHba } = isHba ? loadHba(settings) : NOT_READ
    for (const { severity, sentence } of [...(users?.problems ?? []), ...inTls, ...inHba, ...logProblems(settings)])
      if (severity === 'error') throw new PoolerError('set-failed', { why: sentence })
    if (outcome.warning !== null) log.warning(outcome.warning)
    return { settings, users, tls: setup, hba }
  }

  /** Settings that the primary has found to be good, and has told of. What cannot be read any more stays as it was. */
  takeOver(settings: Settings, users: UserFileContent | null, files: ReadFiles): void {
    const { setup, problems: inTls } = files.tls ? loadTls(settings) : NOT_READ
    const { setup: hba, problems: inHba } = files.hba ? loadHba(settings) : NOT_READ
    for (const problem of [...inTls, ...inHba]) if (problem.severity === 'error') tell(this.#parts.log, problem)
    this.#take({ settings, users, tls: setup, hba })
  }

  /** The same, if nothing but auth_file is another one. */
  takeOverUsers(users: UserFileContent): void {
    this.#parts.users.replace(users)
  }

  /** auth_file has been written anew, and nothing else. */
  takeUsers(users: LoadedUsers): void {
    for (const problem of users.problems) tell(this.#parts.log, problem)
    this.#tellOf(this.#parts.users.replace(users))
  }

  /** The second half of either: never fails. */
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
      log.error(`the log file cannot be opened, the old one goes on: ${reasonOf(cause)}`)
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
