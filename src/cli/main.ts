/** The command line: runs the right command with the right flags. */

import { existsSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { nearest } from '../settings/nearest.ts'
import { versionLine } from '../version.ts'
import { reportToStarter, startInBackground } from './commands/background.ts'
import { checkForMove } from './commands/check.ts'
import type { ConsoleFlags } from './commands/console.ts'
import { run, type Start, type Surroundings } from './commands/run.ts'
import type { TopFlags } from './commands/top.ts'
import {
  addOutputFlags,
  addRefusedFlags,
  addRunFlags,
  addServerFlags,
  addSettingFlags,
  type CommandLine,
  readCommandLine,
  refuseFlags,
} from './flags.ts'
import { arrangeHelp, EXAMPLES, SETTINGS_ARE_FLAGS } from './help.ts'

/** Everything outside the process that commands use, so that tests can replace it. */
export interface World extends Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Writes to standard output. */
  print(text: string): void
  /** Used instead by a pooler that was started in the background: reports to the process that has started it. */
  readonly starter: Pick<Surroundings, 'complain' | 'reportReady'>
  /** Loaded only when their command runs, so that `--version` and `check` start fast. */
  loadStart(): Promise<Start>
  loadConsole(): Promise<(texts: readonly string[], flags: ConsoleFlags) => Promise<number>>
  loadTop(): Promise<(flags: TopFlags) => Promise<number>>
  loadDemo(): Promise<(options: CommandLine & { readonly password?: string | undefined }) => Promise<number>>
}

/** Runs one command; resolves with the exit code. */
export async function main(args: string[], world: World = realWorld(args)): Promise<number> {
  let exitCode = 0
  const program = createProgram(world, (code) => {
    exitCode = code
  })
  try {
    await program.parseAsync(args, { from: 'user' })
  } catch (cause) {
    if (cause instanceof CommanderError) return cause.exitCode
    throw cause
  }
  return exitCode
}

function createProgram(world: World, finish: (exitCode: number) => void): Command {
  const program = arrangeHelp(new Command('pgweir'))
    .description('A connection pooler for PostgreSQL. Without a command, it runs in the foreground.')
    .argument('[config.ini]', "configuration file, in PgBouncer's format")
    .version(versionLine, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .addHelpText('after', EXAMPLES)
    // Flags after a subcommand belong to it.
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({ writeOut: world.print, writeErr: world.complain })
    .hook('preAction', (_, command) => refuseFlags(program, command))
  addSettingFlags(addServerFlags(addOutputFlags(addRefusedFlags(addRunFlags(program)))))
  program.action(async (iniFile: string | undefined) => {
    const command = meantCommand(program, iniFile)
    if (command !== null) program.error(`error: there is no command "${iniFile}"; did you mean "${command}"?`)
    const { daemon = false, inBackground = false } = program.opts<{ daemon?: boolean; inBackground?: boolean }>()
    const given = { ...readCommandLine(program), iniFile: iniFile ?? null, env: world.env }
    const isQuiet = given.isQuiet || inBackground
    const options = { ...given, isQuiet, isDaemon: daemon && !inBackground, isInBackground: inBackground }
    // Loaded only once the settings are known to be good.
    const start: Start = async (settings, startOptions) => (await world.loadStart())(settings, startOptions)
    finish(await run(options, start, inBackground ? { ...world, ...world.starter } : world))
  })

  const checking = program
    .command('check')
    .description('report all problems of a configuration file, and differences from PgBouncer')
    .argument('<config.ini>')
  addSettingFlags(addServerFlags(checking), false)
    .addHelpText('after', SETTINGS_ARE_FLAGS)
    .action(async (iniFile: string) => {
      const options = { ...readCommandLine(checking), iniFile, env: world.env }
      finish(await checkForMove(options, world.print))
    })

  addConsole(program).action(async (texts: readonly string[], flags: ConsoleFlags) => {
    const talk = await world.loadConsole()
    finish(await talk(texts, { ...flags, ...settingsBefore(program) }))
  })

  const demo = program
    .command('demo')
    .description('start a temporary PostgreSQL with pgweir in front of it')
    .option('--password <password>', 'password of the role demo; random if not given')
  addSettingFlags(addOutputFlags(demo), false)
    .addHelpText('after', SETTINGS_ARE_FLAGS)
    .action(async () => {
      const startDemo = await world.loadDemo()
      const { password } = demo.opts<{ password?: string }>()
      finish(await startDemo({ ...readCommandLine(demo), password }))
    })
  addPlaceFlags(program.command('top').description('watch the pools of a running pgweir'))
    .option('--delay <seconds>', 'time between two updates', '1')
    .option('--once', 'print the table once and exit; works without a terminal')
    .action(async (flags: TopFlags) => {
      finish(await (await world.loadTop())({ ...flags, ...settingsBefore(program) }))
    })
  return program
}

/**
 * Returns the command that was probably meant by an argument in the place of the file; null if such a file exists or no command has a
 * similar name.
 */
function meantCommand(program: Command, word: string | undefined): string | null {
  if (word === undefined || !/^\w+$/.test(word) || existsSync(word)) return null
  return nearest(
    word,
    program.commands.map((command) => command.name()),
  )
}

function addConsole(program: Command): Command {
  const collect = (text: string, before: readonly string[] = []) => [...before, text]
  const command = program
    .command('console')
    .description(
      'run commands on the console of a running pgweir; without commands, prompts for them, or reads them from a pipe',
    )
    .argument('[commands...]', "commands to run, such as 'show pools'; stops at the first ERROR")
    .option('--json', 'print an array of objects for each command, one line each')
    .option('-x, --expanded', 'print each column on a line of its own')
    .option('-c, --command <text>', 'command to run, like an argument; may be repeated', collect)
  return addPlaceFlags(command)
}

/**
 * Returns the settings given before a subcommand. Subcommands that talk to a running pooler have no settings of their own, but these say
 * where it is.
 */
function settingsBefore(program: Command): Pick<ConsoleFlags, 'settings'> {
  const { flags } = readCommandLine(program)
  return Object.keys(flags).length > 0 ? { settings: flags } : {}
}

/** Adds the flags that say where the console of a running pooler is. */
function addPlaceFlags(command: Command): Command {
  return command
    .option('--config <config.ini>', 'configuration file of the pooler, which says where it listens')
    .option('--host <host>', 'address, or folder of the unix socket; if not given, PGHOST or the file')
    .option('-p, --port <port>', 'port; if not given, PGPORT, or the file, or 6432')
    .option(
      '-U, --username <name>',
      'user; if not given, PGUSER. Not needed on the unix socket for the operating-system user that runs pgweir',
    )
}

/**
 * Writes to standard output. It is not an error if the reader has seen enough and closed the pipe, as `head` does: the exit code tells the
 * result, too. Any other failure to write ends the process with exit code 1.
 */
function print(text: string): void {
  if (process.stdout.listenerCount('error') === 0)
    process.stdout.on('error', ({ code }: NodeJS.ErrnoException) => code === 'EPIPE' || process.exit(1))
  process.stdout.write(text)
}

function complain(text: string): void {
  if (process.stderr.listenerCount('error') === 0) process.stderr.on('error', () => {})
  process.stderr.write(text)
}

function realWorld(args: readonly string[]): World {
  return {
    env: process.env,
    uid: process.getuid?.(),
    print,
    complain,
    on: (signal, listener) => process.on(signal, listener),
    off: (signal, listener) => process.off(signal, listener),
    exit: (code) => process.exit(code),
    startInBackground: (general) => startInBackground(args, general, complain),
    reportReady: () => {},
    starter: {
      complain(complaint) {
        // The process that started us is gone, and standard error is the log's file.
        if (!reportToStarter({ complaint })) complain(complaint)
      },
      reportReady: () => void reportToStarter({ ready: true }),
    },
    loadStart: async () => (await import('../daemon/launch.ts')).launch,
    loadConsole: async () => {
      const { talk } = await import('./commands/console.ts')
      const streams = { input: process.stdin, output: process.stdout, errors: process.stderr, env: process.env }
      return (texts, flags) => talk(texts, flags, streams)
    },
    loadTop: async () => {
      const { top } = await import('./commands/top.ts')
      const streams = { input: process.stdin, output: process.stdout, errors: process.stderr, env: process.env }
      return (flags) => top(flags, streams)
    },
    loadDemo: async () => (await import('./commands/demo.ts')).demo,
  }
}
