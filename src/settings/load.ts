/** Builds the settings from defaults, ini file, environment and flags; later sources override earlier ones. Collects all problems, throws none. */

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
  /** The texts by key: `{ default_pool_size: '5' }`. */
  readonly flags?: Readonly<Record<string, string>>
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Lines for [databases], from `--database`. They replace entries of the same name. */
  readonly databases?: readonly string[]
  /** A URL for the fallback entry, from `--upstream`. Default: PGWEIR_UPSTREAM, which keeps the password out of the output of `ps`. */
  readonly upstream?: string | null
  readonly files?: Files
  /** Secrets that were read from files, by path, kept for later loads by the same process: see `References`. */
  readonly keptSecrets?: Map<string, string>
}

export interface Origin extends Place {
  /** `console` means SET; such a value lasts until the next reload. */
  readonly from: 'default' | 'ini' | 'environment' | 'flag' | 'console'
}

export interface Settings {
  readonly general: GeneralSettings
  readonly databases: ReadonlyMap<string, DatabaseSettings>
  /** The entry `*`, used for names without an entry of their own; see `databaseFor`. */
  readonly fallback: DatabaseSettings | null
  readonly users: ReadonlyMap<string, UserSettings>
  /** By the name of the line, which is a peer id. May contain this pooler itself. */
  readonly peers: ReadonlyMap<string, PeerSettings>
  /** Where each general setting's value comes from. */
  readonly origins: Readonly<Record<SettingKey, Origin>>
  readonly iniFile: string | null
  /** User and password of `--upstream`, if it contains both. Without an auth_file, clients log in with them. */
  readonly upstreamLogin: { readonly user: string; readonly password: string } | null
}

/** Where and how the settings are written in the files. */
export interface Written {
  /** The lines of [databases], [users] and [peers], by subject: `database "app"`. */
  readonly places: ReadonlyMap<string, Place>
  /** Values that refer to a variable or a file, so that the value differs from the text. */
  readonly references: readonly Place[]
  /** The file may also be used by PgBouncer: it has the section [pgbouncer]. */
  readonly isPgbouncers: boolean
}

export interface Loaded {
  /** Complete even if there are errors: a setting with a wrong value keeps its default. */
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
    draft.problems.push(warning(NOWHERE, `${quote(path)} can no longer be read; its previous content stays in use`))

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

/** The entry for the database that a client asks for: its own entry, or the fallback with that name; null if there is neither. */
export function databaseFor(settings: Pick<Settings, 'databases' | 'fallback'>, name: string): DatabaseSettings | null {
  const own = settings.databases.get(name)
  if (own !== undefined) return own
  const { fallback } = settings
  return fallback && { ...fallback, name, dbname: fallback.dbname === FALLBACK_NAME ? name : fallback.dbname }
}

/** The databases that have lost their own line. They end even if `*` matches their names, because that entry may lead elsewhere, as another user. */
export function removedDatabases(
  before: Pick<Settings, 'databases'>,
  after: Pick<Settings, 'databases'>,
): ReadonlySet<string> {
  return new Set([...before.databases.keys()].filter((name) => !after.databases.has(name)))
}

const UPSTREAM_VARIABLE = `${ENVIRONMENT_PREFIX}UPSTREAM`

/** [pgweir] is another name for the section [pgbouncer]. */
const GENERAL_SECTIONS = ['pgbouncer', 'pgweir']
/** What messages call a line of each of these sections. */
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
  /** The place of each line of [databases], [users] and [peers], also used to notice duplicates. */
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
        // For a service named pgweir, Kubernetes and Docker set variables such as PGWEIR_PORT. So only a likely misspelling is reported.
        const guess = nearest(
          key,
          SETTING_KEYS.filter((each) => SETTING_ROWS.get(each)?.noEffect === undefined),
        )
        if (guess !== null)
          this.problems.push(
            warning(
              NOWHERE,
              `the environment variable ${name} is not a setting; did you mean "${environmentName(guess)}"?`,
            ),
          )
      }
    }
  }

  takeFlags(flags: Readonly<Record<string, string>>): void {
    for (const [key, text] of Object.entries(flags)) this.#set(key, text, flagName(key), { from: 'flag', ...NOWHERE })
  }

  /** Sets `conffile` to the file that was read, so that the next reload reads it again, unless the file itself sets `conffile`. */
  noteFile(iniFile: string | null): void {
    if (this.origins.conffile.from !== 'ini' || this.general.conffile === '') this.general.conffile = iniFile ?? ''
  }

  takeDatabaseFlag(text: string): void {
    const entry = splitEntry(text)
    if (entry === null) this.problems.push(error(NOWHERE, "--database must have the form 'name=host=… port=…'"))
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

  /** Finds problems that concern several settings together. */
  checkTogether(iniFile: string | null): void {
    const general = this.general as unknown as GeneralSettings
    if (/^[\s,]*$/.test(general.listen_addr) && general.unix_socket_dir === '')
      this.problems.push(
        error(
          this.origins.listen_addr,
          'listen_addr and unix_socket_dir are both empty, so clients cannot connect; set at least one of them',
        ),
      )
    const all = [...this.databases.values(), ...(this.fallback === null ? [] : [this.fallback])]
    if (general.unix_socket_dir === '')
      for (const { name } of all.filter(({ host }) => host === ''))
        this.problems.push(
          error(
            this.places.get(`database ${quote(name)}`) ?? NOWHERE,
            `database ${quote(name)} has no host, and unix_socket_dir is empty; set host to say where its server is`,
          ),
        )
    // Further problems might only be consequences of the errors so far.
    if (hasErrors(this.problems)) return
    const isEmpty = this.databases.size === 0 && this.fallback === null
    if (isEmpty && iniFile === null) {
      this.problems.push(error(NOWHERE, NOTHING_TO_POOL))
      return
    }
    if (isEmpty)
      this.problems.push(
        warning(
          { file: iniFile, line: null },
          'no databases are configured, so clients can only reach the admin console; add entries to [databases]',
        ),
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
          `neither auth_file nor auth_user is set, so nobody can log in with auth_type = ${general.auth_type}`,
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

  /** Warns about a key given twice in one file. In different files it is no problem: an %include may override what was set before. */
  #noticeSecond(first: Place | undefined, second: Place, subject: string): void {
    if (first?.line != null && first.file === second.file)
      this.problems.push(warning(second, `${subject} is already set on line ${first.line}; this line overrides it`))
  }

  #set(key: string, text: string, label: string, origin: Origin): void {
    const row = SETTING_ROWS.get(key)
    if (row !== undefined && isSettingKey(key)) {
      const isSecret = row.isSecret ?? false
      // For a flag, the shell has replaced variables already; only secrets may still refer to a file.
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
    const guess = CONNECTION.test(text) ? '; databases are defined under [databases]' : suggestion(key, SETTING_KEYS)
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

/**
 * Whether quotes and comments in a value are likely mistakes. The shell removes them from a flag, but not from the ini file, nor from a file
 * of environment variables that Docker reads.
 */
function hasSlips({ from }: Origin): boolean {
  return from === 'ini' || from === 'environment'
}

/** How a line of [databases] begins. */
const CONNECTION = /^(?:host|port|dbname|user|password|auth_user|pool_mode|pool_size)[ \t]*=|^postgres(?:ql)?:\/\//

const NOTHING_TO_POOL =
  "no database is configured; pass a configuration file, --upstream postgres://user:password@host/ or --database 'name=host=…', or try pgweir demo"

/** The values of auth_type that need users in a file. `trust`, too, accepts only users in auth_file. */
const NEEDS_USERS: readonly string[] = [
  'trust',
  'plain',
  'md5',
  'scram-sha-256',
  'cert',
] satisfies GeneralSettings['auth_type'][]

/** Sorts problems by file and line; those that belong to no file come last. */
function inReadingOrder(problems: readonly Problem[]): readonly Problem[] {
  const files = [...new Set(problems.map(({ file }) => file))].filter((file) => file !== null)
  const rank = ({ file }: Problem) => (file === null ? files.length : files.indexOf(file))
  return problems.toSorted((one, other) => rank(one) - rank(other) || (one.line ?? 0) - (other.line ?? 0))
}
