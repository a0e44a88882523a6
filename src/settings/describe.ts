/** Describes the settings for people: the reference page docs/settings.md, and the rows of `SHOW CONFIG`. */

import { DATABASE_ROWS } from './databases.ts'
import type { Settings } from './load.ts'
import { PEER_ROWS } from './peers.ts'
import { SETTING_KEYS, SETTING_ROWS, SETTINGS, type SettingRow, TOPICS } from './schema.ts'
import { USER_ROWS } from './users.ts'

export interface ConfigRow {
  readonly key: string
  readonly value: string | null
  readonly default: string | null
  readonly changeable: 'yes' | 'no'
}

/** Returns the rows in PgBouncer's order and format: sorted by key with one exception, times in seconds, 0 and 1 for no and yes. */
export function describeConfig({ general }: Pick<Settings, 'general'>): ConfigRow[] {
  return SETTING_KEYS.toSorted(inOrderOfPgbouncer).map((key) => {
    const row: SettingRow<unknown> = SETTINGS[key] as SettingRow<unknown>
    const shown = (value: unknown) => {
      const text = row.type.print(value)
      return text === '' && row.isNullIfEmpty ? null : text
    }
    const changeable = row.access === 'reload' ? 'yes' : 'no'
    return { key, value: shown(general[key]), default: shown(row.default), changeable }
  })
}

function inOrderOfPgbouncer(one: string, other: string): number {
  // PgBouncer's own list has pool_mode at the place of "pool_idle".
  const place = (key: string) => (key === 'pool_mode' ? 'pool_idle' : key)
  return place(one) < place(other) ? -1 : 1
}

/** Returns the whole of docs/settings.md. A test compares them; `npx vitest run test/unit/settings/describe.test.ts -u` rewrites the file. */
export function settingsPage(): string {
  const topics = Object.entries(TOPICS).map(([topic, rows]) => `### ${topic}\n\n${settingTable(Object.keys(rows))}`)
  return `${[
    INTRODUCTION,
    '## Section [pgbouncer]',
    ...topics,
    `## Section [databases]\n\n${DATABASES_INTRODUCTION}`,
    entryTable(DATABASE_ROWS),
    `## Section [users]\n\n${USERS_INTRODUCTION}`,
    entryTable(USER_ROWS),
    `## Section [peers]\n\n${PEERS_INTRODUCTION}`,
    entryTable(PEER_ROWS),
  ].join('\n\n')}\n`
}

const INTRODUCTION = `# Settings

<!-- Generated from src/settings: change the tables there, then run \`npx vitest run test/unit/settings/describe.test.ts -u\`. -->

Each setting is a key of the section \`[pgbouncer]\` of the ini file (the section may also be called \`[pgweir]\`), a flag and an environment variable:
\`default_pool_size = 5\`, \`--default-pool-size 5\` and \`PGWEIR_DEFAULT_POOL_SIZE=5\` mean the same. Flags take precedence over the environment, the
environment over the file, and the file over the defaults. \`pgweir check config.ini\` reports all problems of a file at once.

In the file, \`;\` and \`#\` begin a comment only at the start of a line. \`%include FILE\` inserts another file. \`%include FOLDER\` inserts every \`*.ini\` and
\`*.conf\` file of the folder in the order of their names, except hidden ones. The path is looked up first in the folder that pgweir was started in, then in the
folder of the including file. Other relative paths start at the folder that pgweir was started in.

Times are in seconds, possibly with a fraction, or have a unit: \`300ms\`, \`10s\`, \`5min\`, \`1h\`, \`2d\`. Without a unit, \`tcp_user_timeout\` is in milliseconds.
Sizes in bytes may have the units kB, MB and GB. A setting marked *restart* takes effect only when pgweir starts; all others also take effect at a reload
(\`RELOAD\`, \`SIGHUP\`) or through \`SET\` on the console.

Values in the file, in \`--database\` and in \`--upstream\` may refer to environment variables: \`\${APP_PASSWORD}\` is replaced by the value of the variable, which
may contain any characters. Secrets may be read from a file: \`password=file:/run/secrets/app\` is the content of that file without its last line end. A missing
or empty variable or file is an error, reported with the line that refers to it; messages show what is written in the line, not the value. For a literal
\`\${NAME}\`, write \`$\${NAME}\`. A reload reads such files again, but still uses the environment that the process was started with.`

const DATABASES_INTRODUCTION = `One line per database: \`name = host=… port=… dbname=…\`. The entry \`*\` applies to every name without an entry of its own. Put a value with spaces
in single quotes, and write a single quote inside quotes twice; a backslash is an ordinary character. Put a name with characters other than letters,
digits and \`_.-*\` in double quotes. The names \`pgweir\` and \`pgbouncer\` are reserved for the console.

If a key is missing from a line, the setting of \`[pgbouncer]\` applies. A negative number means the same, and so does 0 where the table says so.

If a reload changes ${renewing()} of a line, the servers of that database are closed once they are free. Other changes take effect at once. If a reload
removes a line, the clients of that database are disconnected (\`database removed\`), even if the entry \`*\` applies to its name from then on.

Without a file, \`--upstream postgres://user:password@host:5432/\` (or \`PGWEIR_UPSTREAM\`) defines the entry \`*\`; if there is no auth_file, clients log in with the
user and password of that URL. \`--database 'name=host=…'\` adds a line to this section, and may be repeated.`

const USERS_INTRODUCTION = `One line per user: \`name = pool_mode=… pool_size=…\`.`

const PEERS_INTRODUCTION = `One line per pooler behind the same address: \`peer_id = host=… port=… pool_size=…\`. A client sends a cancel request on a new connection,
which may arrive at another pooler than the client's own. The cancel key of each client contains the \`peer_id\` of its pooler, so the other pooler can pass the
request on. The format of the key is PgBouncer's: a pgweir and a PgBouncer can be peers. All poolers may use the same file, because each ignores the line with its own
\`peer_id\`. The connection with the request is closed when the peer has dealt with it, at the latest after \`cancel_wait_timeout\`. A request that was passed on
three times is dropped. The workers of one pgweir are not peers: they pass requests on to each other without \`[peers]\`.`

function settingTable(keys: readonly string[]): string {
  const rows = keys.map((key) => {
    const row = SETTING_ROWS.get(key)
    return row === undefined
      ? []
      : [code(key), row.type.name, code(row.type.print(row.default)), restart(row), row.meaning]
  })
  return table(['setting', 'takes', 'default', '', 'meaning'], rows)
}

/** Lists the keys of a database whose change renews its servers. */
function renewing(): string {
  const keys = Object.entries(DATABASE_ROWS).filter(([, row]) => 'renewsServers' in row)
  return keys
    .map(([key]) => code(key))
    .join(', ')
    .replace(/, ([^,]*)$/, ' or $1')
}

function restart({ access }: SettingRow<unknown>): string {
  return access === 'restart' ? '*restart*' : ''
}

interface DescribedRow {
  readonly type: { readonly name: string }
  readonly default: unknown
  readonly meaning: string
}

function entryTable(entries: Readonly<Record<string, DescribedRow>>): string {
  const rows = Object.entries(entries).map(([key, row]) => [
    code(key),
    row.type.name,
    row.default === null ? '' : code(String(row.default)),
    row.meaning,
  ])
  return table(['key', 'takes', 'default', 'meaning'], rows)
}

function code(value: string): string {
  return value === '' ? '' : `\`${value}\``
}

function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(headings), line(headings.map(() => '---')), ...rows.map(line)].join('\n')
}
