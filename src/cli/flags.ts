/** The flags of the command line: one for each setting, from the table of settings, and PgBouncer's own. */

import { type Command, Option } from 'commander'
import { flagName, isSettingKey, TOPICS } from '../settings/schema.ts'
import type { ValueType } from '../settings/values.ts'
import { IN_BACKGROUND_FLAG } from './commands/background.ts'

/** The contents of the command line, for `loadSettings`. */
export interface CommandLine {
  /** Settings by key, as text. */
  readonly flags: Readonly<Record<string, string>>
  readonly databases: readonly string[]
  readonly upstream: string | null
  readonly isQuiet: boolean
}

/**
 * Adds a flag for each setting. Flags of settings without effect are hidden; without `areListed`, for commands that are about something
 * else, all are.
 */
export function addSettingFlags(command: Command, areListed = true): Command {
  for (const [topic, rows] of Object.entries(TOPICS))
    for (const [key, row] of Object.entries(rows))
      if (key !== COUNTED)
        command.addOption(
          new Option(`${SHORT[key] ?? ''}${flagName(key)} <value>`, row.meaning.replaceAll('`', '') + usually(row))
            .helpGroup(`${topic}:`)
            .hideHelp('noEffect' in row || !areListed),
        )
  return command
}

export function addServerFlags(command: Command): Command {
  return command
    .option('--upstream <url>', 'PostgreSQL for databases without an entry: postgres://user:password@host:5432/')
    .option(
      '--database <line>',
      "line to add to [databases], such as 'app=host=10.0.0.5 port=5432'; may be repeated",
      collect,
    )
}

export function addOutputFlags(command: Command): Command {
  return command
    .option('-q, --quiet', 'do not log to standard error')
    .option('-v, --verbose', 'log more details; may be repeated', (_, earlier: number = 0) => earlier + 1)
}

/** Adds the flags that only the pooler itself has. */
export function addRunFlags(command: Command): Command {
  return command
    .option('-d, --daemon', 'run in the background; needs pidfile, and logfile or syslog')
    .addOption(new Option(IN_BACKGROUND_FLAG).hideHelp())
}

/** Adds PgBouncer's flags that are answered with an error, so that no script believes that they have worked. */
export function addRefusedFlags(command: Command): Command {
  return command.addOption(new Option('-R, --reboot').hideHelp())
}

/** Ends with an error if a refused flag was given, or one that does not apply to this command. */
export function refuseFlags(program: Command, command: Command): void {
  const given = program.opts()
  for (const [flag, answer] of Object.entries(REFUSED)) if (given[flag] !== undefined) program.error(`error: ${answer}`)
  if (given['daemon'] !== undefined && command !== program)
    program.error(`error: -d is for the pooler itself: ${command.name()} cannot run in the background`)
  for (const flag of ['upstream', 'database'])
    if (given[flag] !== undefined && command.name() === 'demo')
      program.error(
        `error: --${flag} cannot be used with demo, which starts its own PostgreSQL: leave out the word demo`,
      )
}

/** Reads the flags. They may come before and after the name of a subcommand; the later ones win. */
export function readCommandLine(command: Command): CommandLine {
  const before = command.parent === null ? NOTHING_GIVEN : readCommandLine(command.parent)
  const given = command.opts<{ upstream?: string; database?: string[]; quiet?: boolean }>()
  return {
    flags: { ...before.flags, ...settingsAmong(given) },
    databases: [...before.databases, ...(given.database ?? [])],
    upstream: given.upstream ?? before.upstream,
    isQuiet: given.quiet ?? before.isQuiet,
  }
}

function usually<T>({ type, default: value }: { readonly type: ValueType<T>; readonly default: T }): string {
  const printed = type.print(value)
  return printed === '' || printed.length > MAX_DEFAULT ? '' : ` (default: ${printed})`
}

/** Longer defaults are not printed, such as the query of auth_query. */
const MAX_DEFAULT = 40

/** `verbose` is a number in a file, and on the command line the number of its flags. */
const COUNTED = 'verbose'

/** The short flags of PgBouncer that mean the same as a setting. */
const SHORT: Readonly<Record<string, string>> = { user: '-u, ' }

const REFUSED = {
  reboot:
    'taking over the sockets of a running process (-R) is not supported, because sessions have more state than their sockets; PgBouncer has deprecated it, too. deploy/restart.sh starts a second process with so_reuseport = 1, and the first one ends with its last client. To replace the processes of one pgweir, use RESTART WORKERS',
} as const

const NOTHING_GIVEN: CommandLine = { flags: {}, databases: [], upstream: null, isQuiet: false }

/** commander stores `--default-pool-size` as `defaultPoolSize`. */
function settingsAmong(given: object): Record<string, string> {
  const settings: Record<string, string> = {}
  for (const [attribute, value] of Object.entries(given)) {
    const key = attribute.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
    if (isSettingKey(key)) settings[key] = String(value)
  }
  return settings
}

function collect(text: string, earlier: string[] = []): string[] {
  return [...earlier, text]
}
