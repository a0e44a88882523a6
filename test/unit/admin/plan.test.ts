import { describe, expect, test } from 'vitest'
import type { Answer, ConsoleContext } from '../../../src/admin/answer.ts'
import { COMMANDS } from '../../../src/admin/commands.ts'
import { Conversation } from '../../../src/admin/conversation.ts'
import { planScript, planStatement } from '../../../src/admin/plan.ts'
import { TOPICS } from '../../../src/admin/show/topics.ts'
import { PoolerError } from '../../../src/problems.ts'
import { passedOn } from '../../../src/workers/control.ts'
import { loadText } from '../settings/virtual-files.ts'

const { settings } = loadText('[databases]\napp = host=db\n')

/** A fleet that is never asked, because these commands do not need it. */
const FLEET = {} as ConsoleContext['fleet']

const NOBODY: ConsoleContext['asker'] = { id: 7, atEnd: () => {} }

async function answer(text: string, conversation = new Conversation()): Promise<Answer> {
  return planStatement(text).run({ fleet: FLEET, settings, conversation, asker: NOBODY })
}

async function rowsOf(text: string): Promise<unknown[]> {
  return [...((await answer(text)).rows ?? [])]
}

function problemOf(text: string): PoolerError {
  try {
    planScript(text)
  } catch (problem) {
    if (problem instanceof PoolerError) return problem
    throw problem
  }
  throw new Error(`${text} should have been refused`)
}

async function runProblemOf(text: string): Promise<PoolerError> {
  try {
    await answer(text)
  } catch (problem) {
    if (problem instanceof PoolerError) return problem
    throw problem
  }
  throw new Error(`${text} should have failed`)
}

describe('a command', () => {
  test('is recognized in any letter case, quoting and spacing', async () => {
    for (const text of ['SHOW VERSION', 'show version;', '\tSelect\n"version" ; ', '/* app */ show version -- please'])
      expect(await rowsOf(text), text).toEqual([[expect.stringMatching(/^pgweir \d+\.\d+\.\d+/)]])
  })

  test('that does not exist is refused with PgBouncer’s message and the most similar command as a hint', () => {
    expect(problemOf('foo bar')).toMatchObject({
      severity: 'ERROR',
      sqlstate: '42601',
      message: `invalid command 'foo bar', use SHOW HELP;`,
      hint: 'SHOW HELP lists the commands.',
    })
    expect(problemOf(' shwo pools ;')).toMatchObject({
      message: `invalid command 'shwo pools', use SHOW HELP;`,
      hint: 'Did you mean SHOW?',
    })
    expect(problemOf('recconect').hint).toBe('Did you mean RECONNECT?')
    expect(problemOf('show clinets').hint).toBe('Did you mean SHOW CLIENTS?')
    expect(problemOf('select poools').hint).toBe('Did you mean SELECT POOLS?')
    expect(problemOf('show everything').hint).toBe('SHOW HELP lists the topics.')
    expect(problemOf('show').message).toBe(`invalid command 'show', use SHOW HELP;`)
  })

  test('that is too long is not repeated in full', () => {
    expect(problemOf('x'.repeat(10_000)).message.length).toBeLessThan(300)
  })

  test('with wrong arguments is refused with its syntax as a hint', () => {
    expect(problemOf('pause one two').hint).toBe('It is written PAUSE [<db>].')
    expect(problemOf('disable').message).toBe('a database is required')
    expect(problemOf('disable one two').hint).toBe('It is written DISABLE <db>.')
    expect(problemOf('reload now').hint).toBe('It is written RELOAD.')
    expect(problemOf('shutdown wait_for_godot').hint).toContain('WAIT_FOR_SERVERS')
    for (const text of ['set', 'set a', 'set a =', 'set a = b c', 'set a b', `set 'a' = b`, 'kill_client', `pause 'x'`])
      expect(problemOf(text).message, text).toBe(`invalid command '${text}', use SHOW HELP;`)
  })

  test('of PgBouncer that pgweir does not support says so', async () => {
    expect(await runProblemOf('show fds')).toMatchObject({
      severity: 'ERROR',
      sqlstate: '0A000',
      message: 'SHOW FDS is not supported',
    })
  })

  test('takes no parameters', () => {
    expect(problemOf('pause $1')).toMatchObject({ sqlstate: '0A000', message: 'console commands take no parameters' })
  })

  test('that is wrong keeps the other commands of the same query from running', () => {
    expect(problemOf('show version; shwo pools').message).toContain('shwo pools')
    expect(planScript('show version; show lists')).toHaveLength(2)
  })

  test('cannot be prepared together with another command', () => {
    expect(() => planStatement('show version; show lists')).toThrow('cannot insert multiple commands')
  })

  test('that is empty is an empty query', async () => {
    expect(await answer(' ; ')).toEqual({ tag: null })
    expect(planScript('-- nothing')).toEqual([])
  })
})

test('stats_users may run only commands that look', () => {
  const forStats = [...COMMANDS].filter(([, { access }]) => access === 'stats').map(([name]) => name)
  expect(forStats).toEqual(['show', 'select'])
})

describe('a command that changes something calls the fleet:', () => {
  const asked: unknown[] = []
  const fleet = {
    control: passedOn(async ({ name, args }) => {
      asked.push([name, ...args])
      return true
    }),
  } as ConsoleContext['fleet']
  const run = (text: string) =>
    planStatement(text).run({ fleet, settings, conversation: new Conversation(), asker: NOBODY }) as Promise<Answer>

  test.each([
    ['reload', ['reload'], 'RELOAD'],
    ['SET default_pool_size = 5', ['set', 'default_pool_size', '5'], 'SET default_pool_size=5'],
    [`set Admin_Users TO 'ada, bob'`, ['set', 'admin_users', 'ada, bob'], 'SET admin_users=ada, bob'],
    ['pause', ['pause', null], 'PAUSE'],
    ['PAUSE "My DB"', ['pause', 'My DB'], 'PAUSE'],
    ['resume MyDb', ['resume', 'MyDb'], 'RESUME'],
    ['kill', ['kill', null], 'KILL'],
    ['disable app', ['disable', 'app'], 'DISABLE'],
    ['enable app', ['enable', 'app'], 'ENABLE'],
    ['reconnect', ['reconnect', null], 'RECONNECT'],
    ['wait_close app', ['waitClose', 'app'], 'WAIT_CLOSE'],
    ['kill_client 17', ['killClient', 17], 'KILL_CLIENT'],
    ['kill_client 0x1F', ['killClient', 31], 'KILL_CLIENT'],
    ['shutdown', ['shutdown', 'at_once'], 'SHUTDOWN'],
    ['shutdown WAIT_FOR_SERVERS;', ['shutdown', 'wait_for_servers'], 'SHUTDOWN'],
  ] as const)('%s', async (text, call, tag) => {
    asked.length = 0
    expect(await run(text)).toEqual({ tag })
    expect(asked).toEqual([call])
    expect(planStatement(text).access).toBe('admin')
  })
})

test('a table that lacks the data of a hanging worker comes with a warning, unless no worker is asked for it', async () => {
  const worker = { number: 1, pid: 4711, state: 'serving' }
  const workers = async () => [worker, { ...worker, number: 2, pid: 4712, state: 'silent' }]
  const fleet = { workers, state: async () => 'active' } as unknown as ConsoleContext['fleet']
  const noticesOf = async (text: string) =>
    (await planStatement(text).run({ fleet, settings, conversation: new Conversation(), asker: NOBODY })).notices
  expect(await noticesOf('show state')).toEqual([
    {
      severity: 'WARNING',
      sqlstate: '01000',
      message: 'worker 2 (pid 4712) does not answer: its data is missing',
    },
  ])
  for (const text of ['show config', 'show version', 'show workers']) expect(await noticesOf(text), text).toEqual([])
})

test('SHOW HELP is a notice that lists the supported commands and topics', async () => {
  const { notices, rows, tag } = await answer('show help')
  expect({ rows, tag }).toEqual({ rows: undefined, tag: 'SHOW' })
  expect(planStatement('show help').columns).toBe(null)
  const [notice] = notices ?? []
  expect(notice).toMatchObject({ severity: 'NOTICE', sqlstate: '00000', message: 'Console usage' })
  for (const topic of TOPICS.keys()) expect(notice?.detail).toContain(topic.toUpperCase())
  expect(notice?.detail).toMatch(/^\n\tSHOW HELP\|/)
  expect(notice?.detail).toContain('PAUSE [<db>]')
  expect(notice?.detail).not.toContain('FDS')
})

test('SHOW CONFIG lists each setting', async () => {
  expect(await rowsOf('show config')).toContainEqual(['default_pool_size', '20', '20', 'yes'])
})

describe('a statement that drivers send by themselves', () => {
  test('is answered', async () => {
    expect(await rowsOf('SELECT 1')).toEqual([[1]])
    expect(await rowsOf('select version()')).toEqual(await rowsOf('show version'))
    expect(await rowsOf('select pg_catalog.version();')).toEqual(await rowsOf('show version'))
    expect(await rowsOf('SHOW client_encoding')).toEqual([['UTF8']])
    expect(await rowsOf('select datestyle')).toEqual([['ISO']])
    expect(await rowsOf('SHOW TRANSACTION ISOLATION LEVEL')).toEqual([['read committed']])
    expect(planStatement('show TIMEZONE').columns).toEqual([{ name: 'timezone', type: 'text' }])
    for (const text of ['reset all', 'close all', 'unlisten *', 'discard all', 'deallocate all', 'savepoint "a"'])
      expect((await answer(text)).tag, text).toMatch(/^[A-Z ]+$/)
  })

  test('is ignored with a notice if it would change how Postgres formats values', async () => {
    for (const text of [
      `SET client_encoding TO 'UTF8'`,
      `SET DateStyle = 'ISO, MDY'`,
      'set datestyle to iso, mdy',
      'SET extra_float_digits = 3',
      `set session application_name = 'x'`,
      `SET LOCAL timezone = 'UTC'`,
      `SET TIME ZONE 'Europe/Berlin'`,
      `set names 'utf8'`,
      'SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY',
      'SET TRANSACTION ISOLATION LEVEL SERIALIZABLE',
    ]) {
      const { notices, tag } = await answer(text)
      expect({ tag, messages: notices?.map(({ message }) => message) }, text).toEqual({
        tag: 'SET',
        messages: ['SET ignored'],
      })
    }
  })

  test('is not mistaken for a setting of pgweir, nor the other way round', () => {
    for (const text of ['set pool_mode = session', 'set session = 1', 'set local to 2'])
      expect(planStatement(text).access, text).toBe('admin')
    expect(problemOf('show pool_mode').message).toContain('invalid command')
    expect(problemOf('select 2').message).toContain('invalid command')
    expect(problemOf('show client_encoding please').message).toContain('invalid command')
  })

  test('begins and ends a transaction that is a status only', async () => {
    const conversation = new Conversation()
    const steps: [string, string, boolean][] = [
      ['begin', 'BEGIN', true],
      ['rollback to savepoint a', 'ROLLBACK', true],
      ['commit', 'COMMIT', false],
      ['START TRANSACTION READ ONLY', 'BEGIN', true],
      ['rollback work', 'ROLLBACK', false],
      ['begin isolation level serializable', 'BEGIN', true],
      ['end', 'COMMIT', false],
    ]
    for (const [text, tag, isInTransaction] of steps) {
      expect((await answer(text, conversation)).tag, text).toBe(tag)
      expect(conversation.isInTransaction, text).toBe(isInTransaction)
    }
  })

  test('deallocates prepared statements', async () => {
    const conversation = new Conversation()
    for (const name of ['one', 'Two', 'three']) conversation.prepare(name, planStatement('show version'))
    await answer('deallocate ONE', conversation)
    await answer('DEALLOCATE PREPARE "Two"', conversation)
    expect(conversation.preparedStatements).toBe(1)
    await expect(answer('deallocate one', conversation)).rejects.toMatchObject({ sqlstate: '26000' })
    await answer('deallocate all', conversation)
    expect(conversation.preparedStatements).toBe(0)
  })
})
