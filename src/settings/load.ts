/** Puts the settings together: defaults, then the ini file, then the environment, then flags. Finds every problem, throws none. */

import { type Pairs, parseConnectionString, parseUpstreamUrl } from './connection-string.ts'
import { type DatabaseSettings, FALLBACK_NAME, readDatabase } from './databases.ts'
import type { Reading } from './entry.ts'
import { diskFiles, type Entry, type Files, type Heading, readIni, splitEntry } from './ini.ts'
import { nearest, suggestion } from './nearest.ts'
import { type PeerSettings, readPeer } from './peers.ts'
import { error, hasErrors, NOWHERE, type Place, type Problem, quote, warning } from './problem.ts'
import { References } from './references.ts'
import {
  DEFAULTS,
  ENVIRONMENT_PREFIX,
  environmentName,
  flagName,
  type GeneralSettings,
  isSettingKey,
  SETTING_KEYS,
  SETTING_ROWS,
  type SettingKey,
} from './schema.ts'
import { slipHint, slipIn } from './slips.ts'
import { readUser, type UserSettings } from './users.ts'

export interface LoadOptions {
  readonly iniFile?: string | null
  /** By key, as text: `{ default_pool_size: '5' }`. */
  readonly flags?: Readonly<Record<string, string>>
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Lines for [databases], from `--database`. They replace entries of the same name. */
  readonly databases?: readonly string[]
  /** A URL for the fallback entry, from `--upstream`, or else from PGWEIR_UPSTREAM, which keeps its password out of `ps`. */
  readonly upstream?: string | null
  readonly files?: Files
  /** Secrets that were read from files, by path, for as long as the process may load its settings again: see `References`. */
  readonly keptSecrets?: Map<string, string>
}

export interface Origin extends Place {
  /** `console` is a SET, which lasts until the next reload. */
  readonly from: 'default' | 'ini' | 'environment' | 'flag' | 'console'
}

export interface Settings {
  readonly general: GeneralSettings
  readonly databases: ReadonlyMap<string, DatabaseSettings>
  /** The entry `*`, for names without an entry of their own; see `databaseFor`. */
  readonly fallback: DatabaseSettings | null
  readonly users: ReadonlyMap<string, UserSettings>
  /** By the name of the line, which is a number. The own one may be among them. */
  readonly peers: ReadonlyMap<string, PeerSettings>
  /** Where each general setting's value comes from. */
  readonly origins: Readonly<Record<SettingKey, Origin>>
  readonly iniFile: string | null
  /** Of `--upstream`, where it names both: without an auth_file, clients log in with the same. */
  readonly upstreamLogin: { readonly user: string; readonly password: string } | null
}

/** How the settings stand in the files. */
export interface Written {
  /** Of the lines of [databases], [users] and [peers]: `database "app"`. */
  readonly places: ReadonlyMap<string, Place>
  /** Where a value refers to something, and is not what is written. */
  readonly references: readonly Place[]
  /** It is a file of PgBouncer's, too: the section is [pgbouncer]. */
  readonly isPgbouncers: boolean
}

export interface Loaded {
  /** Complete even where there are errors: what was wrong keeps its default. */
  readonly settings: Settings
  readonly problems: readonly Problem[]
}

export interface LoadedText extends Loaded {
  readonly written: Written
}

export function loadSettings(options: LoadOptions): LoadedText {
  const { flags = {}, env = {}, databases = [], files = diskFiles } = options
  const iniFile = options.iniFile ?? (flags['conffile'] || env[environmentName('conffile')] || null)
  const upstream = options.upstream ?? (env[UPSTREAM_VARIABLE] || null)
  const references = new References(env, files, options.keptSecrets)
  const draft = new Draft(references)

  if (iniFile !== null) draft.takeIni(iniFile, files)
  draft.takeEnvironment(env)
  draft.takeFlags(flags)
  draft.noteFile(iniFile)
  for (const text of databases) draft.takeDatabaseFlag(text)
  if (upstream !== null) draft.takeUpstream(upstream, options.upstream == null ? UPSTREAM_VARIABLE : '--upstream')
  draft.checkTogether(iniFile)
  for (const path of references.unreadable)
    draft.problems.push(warning(NOWHERE, `${quote(path)} cannot be read any more: what was read before goes on`))

  const settings = {
    general: draft.general as unknown as GeneralSettings,
    databases: draft.databases,
    fallback: draft.fallback,
    users: draft.users,
    peers: draft.peers,
    origins: draft.origins,
    iniFile,
    upstreamLogin: draft.upstreamLogin,
  }
  const { places, isPgbouncers } = draft
  const written = { places, isPgbouncers, references: references.places }
  return { settings, problems: inReadingOrder(draft.problems), written }
}

/** The entry for a database that a client asks for: its own, or else the fallback under that name. */
export function databaseFor(settings: Pick<Settings, 'databases' | 'fallback'>, name: string): DatabaseSettings | null {
  const own = settings.databases.get(name)
  if (own !== undefined) return own
  const { fallback } = settings
  return fallback && { ...fallback, name, dbname: fallback.dbname === FALLBACK_NAME ? name : fallback.dbname }
}

const UPSTREAM_VARIABLE = `${ENVIRONMENT_PREFIX}UPSTREAM`

/** [pgweir] is the same section under our own name. */
const GENERAL_SECTIONS = ['pgbouncer', 'pgweir']
/** What a line of each of these sections is called. */
const NOUNS: ReadonlyMap<string, string> = new Map([
  ['databases', 'database'],
  ['users', 'user'],
  ['peers', 'peer'],
])
const SECTIONS = [...GENERAL_SECTIONS, ...NOUNS.keys()]

class Draft {
  readonly general: Record<SettingKey, unknown> = { ...DEFAULTS }
  readonly origins = Object.fromEntries(SETTING_KEYS.map((key) => [key, { from: 'default', ...NOWHERE }])) as Record<
    SettingKey,
    Origin
  >
  readonly databases = new Map<string, DatabaseSettings>()
  readonly users = new Map<string, UserSettings>()
  readonly peers = new Map<string, PeerSettings>()
  readonly problems: Problem[] = []
  fallback: DatabaseSettings | null = null
  upstreamLogin: { readonly user: string; readonly password: string } | null = null
  /** Where each line of [databases], [users] and [peers] was, to notice a second one. */
  readonly places = new Map<string, Place>()
  isPgbouncers = false
  readonly #references: References

  constructor(references: References) {
    this.#references = references
  }

  takeIni(path: string, files: Files): void {
    const { headings, entries } = readIni(path, files, this.problems)
    for (const heading of headings) this.#checkHeading(heading)
    for (const entry of entries) this.#takeEntry(entry)
  }

  takeEnvironment(env: Readonly<Record<string, string | undefined>>): void {
    for (const [name, text] of Object.entries(env)) {
      if (text === undefined || !name.startsWith(ENVIRONMENT_PREFIX) || name === UPSTREAM_VARIABLE) continue
      const key = name.slice(ENVIRONMENT_PREFIX.length).toLowerCase()
      const isExact = name === environmentName(key)
      if (isExact && isSettingKey(key)) {
        this.#set(key, text, name, { from: 'environment', ...NOWHERE })
      } else {
        // Kubernetes and Docker set variables of their own after a service's name, such as PGWEIR_PORT: only a likely slip is told.
        const guess = nearest(
          key,
          SETTING_KEYS.filter((each) => SETTING_ROWS.get(each)?.noEffect === undefined),
        )
        if (guess !== null)
          this.problems.push(
            warning(NOWHERE, `${name} in the environment is not a setting; did you mean "${environmentName(guess)}"?`),
          )
      }
    }
  }

  takeFlags(flags: Readonly<Record<string, string>>): void {
    for (const [key, text] of Object.entries(flags)) this.#set(key, text, flagName(key), { from: 'flag', ...NOWHERE })
  }

  /** The next reload reads the same, unless the file itself says otherwise. */
  noteFile(iniFile: string | null): void {
    if (this.origins.conffile.from !== 'ini' || this.general.conffile === '') this.general.conffile = iniFile ?? ''
  }

  takeDatabaseFlag(text: string): void {
    const entry = splitEntry(text)
    if (entry === null) this.problems.push(error(NOWHERE, "--database is not of the form 'name=host=… port=…'"))
    else this.#addDatabase(entry.key, parseConnectionString(entry.value), NOWHERE)
  }

  takeUpstream(url: string, label: string): void {
    const pairs = parseUpstreamUrl(url)
    if (pairs.problem === null) {
      this.#addDatabase(FALLBACK_NAME, pairs, NOWHERE)
      const { user = null, password = null } = this.fallback ?? {}
      if (user !== null && password !== null) this.upstreamLogin = { user, password }
    } else this.problems.push(error(NOWHERE, `${label}: ${pairs.problem}`))
  }

  /** Problems that no single line has. */
  checkTogether(iniFile: string | null): void {
    const general = this.general as unknown as GeneralSettings
    if (/^[\s,]*$/.test(general.listen_addr) && general.unix_socket_dir === '')
      this.problems.push(
        error(this.origins.listen_addr, 'listen_addr and unix_socket_dir are empty: clients could connect nowhere'),
      )
    const all = [...this.databases.values(), ...(this.fallback === null ? [] : [this.fallback])]
    if (general.unix_socket_dir === '')
      for (const { name } of all.filter(({ host }) => host === ''))
        this.problems.push(
          error(
            this.places.get(`database ${quote(name)}`) ?? NOWHERE,
            `database ${quote(name)} has no host, and unix_socket_dir is empty: where is its server?`,
          ),
        )
    // The rest may only be a consequence of the errors so far.
    if (hasErrors(this.problems)) return
    const isEmpty = this.databases.size === 0 && this.fallback === null
    if (isEmpty && iniFile === null) {
      this.problems.push(error(NOWHERE, NOTHING_TO_POOL))
      return
    }
    if (isEmpty)
      this.problems.push(
        warning({ file: iniFile, line: null }, 'there are no [databases], so clients can reach the admin console only'),
      )
    const [peer] = this.peers.keys()
    if (peer !== undefined && general.peer_id === 0)
      this.problems.push(
        warning(this.places.get(`peer ${quote(peer)}`) ?? NOWHERE, '[peers] is not used, because peer_id is not set'),
      )
    if (
      general.auth_file === '' &&
      this.upstreamLogin === null &&
      general.auth_user === '' &&
      all.every(({ auth_user }) => auth_user === null) &&
      NEEDS_USERS.includes(general.auth_type)
    )
      this.problems.push(
        warning(
          this.origins.auth_type,
          `no auth_file is set, so nobody can log in with auth_type = ${general.auth_type}`,
        ),
      )
  }

  #checkHeading({ section, ...place }: Heading): void {
    if (section === 'pgbouncer') this.isPgbouncers = true
    if (SECTIONS.includes(section)) return
    this.problems.push(error(place, `there is no section ${quote(section)}${suggestion(section, SECTIONS)}`))
  }

  #takeEntry({ section, key, value, file, line }: Entry): void {
    const place = { file, line }
    if (GENERAL_SECTIONS.includes(section)) {
      if (isSettingKey(key)) this.#noticeSecond(this.origins[key], place, key)
      this.#set(key, value, key, { from: 'ini', ...place })
      return
    }
    const noun = NOUNS.get(section)
    if (noun !== undefined) {
      const subject = `${noun} ${quote(key)}`
      this.#noticeSecond(this.places.get(subject), place, subject)
      this.places.set(subject, place)
      const pairs = parseConnectionString(value)
      if (pairs.problem !== null && pairs.pairs.length === 0 && isSettingKey(key))
        this.problems.push(
          error(place, `${quote(key)} is a setting, and belongs under [pgbouncer], not under [${section}]`),
        )
      else if (section === 'databases') this.#addDatabase(key, pairs, place)
      else if (section === 'users') this.users.set(key, readUser(key, pairs, this.#reading(place)))
      else this.#addPeer(key, pairs, place)
    }
  }

  /** A second file may override the first, which is what %include is used for; twice in one file is a slip. */
  #noticeSecond(first: Place | undefined, second: Place, subject: string): void {
    if (first?.line != null && first.file === second.file)
      this.problems.push(warning(second, `${subject} was already given on line ${first.line}; this line counts`))
  }

  #set(key: string, text: string, label: string, origin: Origin): void {
    const row = SETTING_ROWS.get(key)
    if (row !== undefined && isSettingKey(key)) {
      const isSecret = row.isSecret ?? false
      // The shell has done that for a flag, but for files.
      const refers = !row.isResolvedInside && (origin.from === 'ini' || isSecret)
      const resolved = refers ? this.#references.resolve(text, isSecret, origin) : { value: text }
      const parsed = 'value' in resolved ? row.type.parse(resolved.value) : resolved
      if ('problem' in parsed) {
        const what = parsed === resolved ? '' : ` cannot be ${quote(text)}:`
        const hint = hasSlips(origin) ? slipHint(text) : ''
        this.problems.push({ ...error(origin, `${label}${what} ${parsed.problem}${hint}`), setting: key })
        return
      }
      this.general[key] = parsed.value
      this.origins[key] = origin
      const slip = row.type.showsSlips && hasSlips(origin) ? slipIn(text) : null
      if (slip !== null) this.problems.push(warning(origin, `${label}: ${slip}`))
      if (row.noEffect !== undefined && parsed.value !== row.default)
        this.problems.push(warning(origin, `${label} has no effect: ${row.noEffect}`))
      return
    }
    const guess = CONNECTION.test(text) ? '; a database is a line under [databases]' : suggestion(key, SETTING_KEYS)
    this.problems.push(error(origin, `there is no setting ${quote(label)}${guess}`))
  }

  #reading(place: Place): Reading {
    return { place, references: this.#references, problems: this.problems }
  }

  #addDatabase(name: string, pairs: Pairs, place: Place): void {
    const database = readDatabase(name, pairs, this.#reading(place))
    if (name === FALLBACK_NAME) this.fallback = database
    else this.databases.set(name, database)
  }

  #addPeer(name: string, pairs: Pairs, place: Place): void {
    const peer = readPeer(name, pairs, this.#reading(place))
    if (peer !== null) this.peers.set(name, peer)
  }
}

/** A shell has taken the quotes and comments of a flag; files of variables, as Docker reads them, are read by none. */
function hasSlips({ from }: Origin): boolean {
  return from === 'ini' || from === 'environment'
}

/** How a line of [databases] begins. */
const CONNECTION = /^(?:host|port|dbname|user|password|auth_user|pool_mode|pool_size)[ \t]*=|^postgres(?:ql)?:\/\//

const NOTHING_TO_POOL =
  "there is nothing to pool; give a configuration file, --upstream postgres://user:password@host/ or --database 'name=host=…'; or have a look with pgweir demo"

/** `trust`, too, knows only who is in the file. */
const NEEDS_USERS: readonly string[] = [
  'trust',
  'plain',
  'md5',
  'scram-sha-256',
  'cert',
] satisfies GeneralSettings['auth_type'][]

/** File by file and from top to bottom, then what was in no file. */
function inReadingOrder(problems: readonly Problem[]): readonly Problem[] {
  const files = [...new Set(problems.map(({ file }) => file))].filter((file) => file !== null)
  const rank = ({ file }: Problem) => (file === null ? files.length : files.indexOf(file))
  return problems.toSorted((one, other) => rank(one) - rank(other) || (one.line ?? 0) - (other.line ?? 0))
}
