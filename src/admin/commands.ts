/** THE command table of the console. To add a command, add a row. The console checks access rights where it runs commands, not here. */

import { PoolerError } from '../problems.ts'
import type { Column } from '../wire/rows.ts'
import type { Control, ShutdownMode } from '../workers/control.ts'
import type { Access } from './access.ts'
import type { Answer, ConsoleContext } from './answer.ts'
import { REFUSED_TOPICS, TOPICS } from './show/topics.ts'
import { HELP, TAKES, type Takes } from './takes.ts'

export interface Command {
  readonly access: Access
  readonly takes: Takes
  /** @param name the name of the command in this table */
  run(args: readonly string[], context: ConsoleContext, name: string): Answer | Promise<Answer>
  readonly help: string
  /** The columns of the result, needed before the command runs. Not given if the command returns no rows. */
  columns?(args: readonly string[]): readonly Column[] | null
}

/** The access that a command needs. A topic that is refused needs `admin`, since PgBouncer answers it only to admins. */
export function accessTo({ takes, access }: Command, [topic = '']: readonly string[]): Access {
  return takes === 'topic' && REFUSED_TOPICS.has(topic) ? 'admin' : access
}

const SHOW: Command = {
  access: 'stats',
  takes: 'topic',
  run: show,
  help: 'shows a table; the topics are listed below',
  columns: ([topic = '']) => TOPICS.get(topic)?.columns ?? null,
}

const ROWS = {
  show: SHOW,
  select: { ...SHOW, help: 'does the same as SHOW' },
  set: { access: 'admin', takes: 'key = value', run: set, help: 'changes a setting until the next reload or restart' },
  reload: {
    access: 'admin',
    takes: 'nothing',
    run: does((control) => control.reload()),
    help: 'reads the configuration and the users again',
  },
  pause: {
    access: 'admin',
    takes: 'database?',
    run: does((control, [database = null]) => control.pause(database)),
    help: 'gives clients no more servers, and closes servers once they are free; clients wait meanwhile. Answers when all servers are closed',
  },
  resume: {
    access: 'admin',
    takes: 'database?',
    run: does((control, [database = null]) => control.resume(database)),
    help: 'ends a PAUSE, KILL or SUSPEND; give the name of the database if the PAUSE or KILL had one',
  },
  disable: {
    access: 'admin',
    takes: 'database',
    run: does((control, [database = '']) => control.disable(database)),
    help: 'refuses new clients of a database; connected clients stay',
  },
  enable: {
    access: 'admin',
    takes: 'database',
    run: does((control, [database = '']) => control.enable(database)),
    help: 'ends a DISABLE',
  },
  reconnect: {
    access: 'admin',
    takes: 'database?',
    run: does((control, [database = null]) => control.reconnect(database)),
    help: 'closes each server once it is free; new servers are opened as needed',
  },
  kill: {
    access: 'admin',
    takes: 'database?',
    run: does((control, [database = null]) => control.kill(database)),
    help: 'does a PAUSE and disconnects all clients at once; new clients wait for RESUME',
  },
  kill_client: {
    access: 'admin',
    takes: 'client id',
    run: does(killClient),
    help: 'disconnects one client, given by its id or ptr, and cancels its running query',
  },
  restart: {
    access: 'admin',
    takes: 'workers',
    run: does((control) => control.restartWorkers()),
    help: 'starts to replace the worker processes, one by one; SHOW WORKERS shows the progress',
  },
  suspend: {
    access: 'admin',
    takes: 'nothing',
    run: suspend,
    help: 'stops reading from all clients and servers, until RESUME or until the console connection that ran it ends. Answers when all data read before has been delivered',
  },
  shutdown: {
    access: 'admin',
    takes: 'mode?',
    run: does((control, [mode = 'at_once']) => control.shutdown(mode as ShutdownMode)),
    help: 'ends the pooler: at once, when all servers are free, or when all clients have disconnected',
  },
  wait_close: {
    access: 'admin',
    takes: 'database?',
    run: does((control, [database = null]) => control.waitClose(database)),
    help: 'waits until all servers that a RECONNECT or RELOAD replaces are closed',
  },
} as const satisfies Record<string, Command>

export const COMMANDS: ReadonlyMap<string, Command> = new Map<string, Command>(Object.entries(ROWS))

/** Makes the `run` of a command that is answered with its own name once it is done. */
function does(work: (control: Control, args: readonly string[]) => Promise<void>): Command['run'] {
  return async (args, { fleet }, name) => {
    await work(fleet.control, args)
    return { tag: name.toUpperCase() }
  }
}

async function suspend(_args: readonly string[], { fleet, asker }: ConsoleContext, name: string): Promise<Answer> {
  // Registered before the wait, so that it also runs if the client leaves while SUSPEND is still waiting.
  asker.atEnd(() => fleet.control.endSuspension(asker.id).catch(() => {}))
  await fleet.control.suspend(asker.id)
  return { tag: name.toUpperCase() }
}

async function killClient(control: Control, [text = '']: readonly string[]): Promise<void> {
  if (!/^(\d{1,15}|0x[0-9a-f]{1,13})$/i.test(text)) throw new PoolerError('client-id-bad')
  if (!(await control.killClient(Number(text)))) throw new PoolerError('client-unknown')
}

async function set([key = '', value = '']: readonly string[], { fleet }: ConsoleContext): Promise<Answer> {
  await fleet.control.set(key, value)
  return { tag: `SET ${key}=${value}` }
}

function show(args: readonly string[], context: ConsoleContext): Answer | Promise<Answer> {
  const [name = ''] = args
  if (name === HELP) return help()
  const topic = TOPICS.get(name)
  if (topic) return topic.run(context)
  throw new PoolerError('console-refused', {
    command: `SHOW ${name.toUpperCase()}`,
    why: REFUSED_TOPICS.get(name) ?? '',
  })
}

function help(): Answer {
  const usage = usageLines().map((line) => `\n\t${line}`)
  return {
    notices: [{ severity: 'NOTICE', sqlstate: '00000', message: 'Console usage', detail: usage.join('') }],
    tag: 'SHOW',
  }
}

const TOPICS_PER_LINE = 7

/** The usage of all commands, formatted like PgBouncer's help. */
function usageLines(): string[] {
  const topics = [HELP, ...TOPICS.keys()].map((name) => name.toUpperCase())
  const lines: string[] = []
  while (topics.length > 0) lines.push(`SHOW ${topics.splice(0, TOPICS_PER_LINE).join('|')}`)
  for (const [name, command] of COMMANDS) {
    if (command.run === show) continue
    lines.push(usageOf(name, command))
  }
  return lines
}

export function usageOf(name: string, { takes }: Command): string {
  return `${name.toUpperCase()} ${TAKES[takes].usage}`.trim()
}
