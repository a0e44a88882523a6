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

Each setting is a key of the section \`[pgbouncer]\` of the ini file (or \`[pgweir]\`, which is the same), a flag and an environment variable:
\`default_pool_size = 5\`, \`--default-pool-size 5\` and \`PGWEIR_DEFAULT_POOL_SIZE=5\` say the same. Flags win over the environment, the
environment over the file, the file over the defaults. \`pgweir check config.ini\` shows every problem of a file at once.

In the file, \`;\` and \`#\` begin a comment only at the start of a line. \`%include FILE\` reads another file in its place, or each \`*.ini\` and
\`*.conf\` of a folder in the order of their names, but for hidden ones; it is looked for from the folder that pgweir was
started in, and else beside the including file. Other paths are taken from the folder that pgweir was started in.

Times are seconds, with fractions, or have a unit: \`300ms\`, \`10s\`, \`5min\`, \`1h\`, \`2d\`; \`tcp_user_timeout\` is milliseconds without one. Numbers that\nare sizes in bytes may have kB, MB or GB. A setting marked *restart* takes effect when pgweir starts;
all others also at a reload (\`RELOAD\`, \`SIGHUP\`) or through \`SET\` on the console.

A value in the file, in \`--database\` and in \`--upstream\` may refer to the environment: \`\${APP_PASSWORD}\` is what that variable holds, whatever
characters these are. \`password=file:/run/secrets/app\` is the content of that file without the end of its last line, and so for each secret.
A variable or a file that is missing or empty is an error with the line that names it; messages repeat what is written, not what it stands for. \`$\${NAME}\`
with two dollars means just that text with one. A reload reads files again; the environment of a process stays as it was at its start.`

const DATABASES_INTRODUCTION = `One line per database: \`name = host=… port=… dbname=…\`. The entry \`*\` answers for every name without an entry of its own. A value with spaces
stands in single quotes, and a quote inside quotes is written twice; a backslash is an ordinary character. A name with characters other than letters,
digits and \`_.-*\` stands in double quotes. \`pgweir\` and \`pgbouncer\` are the admin console.

What a line does not say is as in the section above. A negative number says the same, and so does 0 where the table says so.

A reload that changes ${renewing()} of a line has the servers of that database closed as they come free; what else it changes holds at once. The
clients of a line that is gone are dropped (\`database removed\`).

Without a file, \`--upstream postgres://user:password@host:5432/\` (or \`PGWEIR_UPSTREAM\`) is the entry \`*\` (where there is no auth_file, clients log in with the user and password of
that URL), and \`--database 'name=host=…'\`, which may be repeated, is a
line of this section.`

const USERS_INTRODUCTION = `One line per user: \`name = pool_mode=… pool_size=…\`.`

const PEERS_INTRODUCTION = `One line per pooler behind the same address: \`peer_id = host=… port=… pool_size=…\`. A client's cancel request comes by a new connection,
which may arrive at another pooler than the client's; the keys that clients get hold their pooler's \`peer_id\`, by which the request is passed on. The
layout is PgBouncer's, so that either may be a peer of the other. The file may be the same everywhere: the line of the own \`peer_id\` is ignored. Clients
see the end of their request's connection when the peer has dealt with it, at the latest after \`cancel_wait_timeout\`; a request that went
from peer to peer three times is dropped. The workers of one pgweir are not peers: they pass requests on by themselves.`

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
